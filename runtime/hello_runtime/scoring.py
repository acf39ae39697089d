"""Scores an open model on a file: what `hello-infer --score` prints.

The file holds what the model's task asks for, and may be larger than the memory: pairs for
`rewrite`, lines `text TAB class` for `classify`, and any text for `next`.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from hello_runtime.errors import AlignmentError, InputError, UnknownCharacterError
from hello_runtime.generation import checked_texts, read_through
from hello_runtime.text.baseline import BASELINE_NAME, Baseline, read_baseline
from hello_runtime.text.codepoints import LONGEST_ROW
from hello_runtime.text.lines import NormalLines
from hello_runtime.text.measures import MODEL, MOST_FREQUENT, measures_table
from hello_runtime.text.normal_forms import normalise
from hello_runtime.text.pairs import (
    BLOCK,
    Aligned,
    AnyPair,
    in_blocks,
    normalising,
    parse_aligned,
    parse_class,
    parse_either,
    read_pairs,
)
from hello_runtime.text.passages import PASSAGE, passages_of
from hello_runtime.text.score import ROWS, Score, Tally, score_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hello_runtime.decoder import Decoder
    from hello_runtime.model.metadata import ModelInfo
    from hello_runtime.text.measures import Measures

PASSAGES = 32 * PASSAGE
"""Characters of passages that are read side by side."""
STEPS = 128
"""Characters of each passage that are read at a time, which limits the memory for logits."""


def score_file(decoder: Decoder, path: Path, as_json: bool) -> str:
    """Return the scores of a model on a file, as a table or as JSON."""
    if decoder.info.task != "rewrite":
        return score_measures(decoder, path, as_json)
    file = decoder.file.with_name(BASELINE_NAME)
    baseline = read_baseline(file) if file.exists() else None
    scores = score_model(decoder, path, baseline)
    if baseline is None:
        every = decoder.info.guard is None
        counted = "every word counts" if every else "words count that the model's guard lets change"
        click.echo(f"no most frequent targets without {file}; {counted}", err=True)
    if as_json:
        named = {name: row and row._asdict() for name, row in scores.items()}
        return json.dumps(named) + "\n"
    return score_table(scores, "scored lines") + "\n"


def score_measures(decoder: Decoder, path: Path, as_json: bool) -> str:
    """Return the measures of a model that does not rewrite, as a table or as JSON."""
    by_line = decoder.info.task == "classify"
    measures = (score_classes if by_line else score_text)(decoder, path)
    if as_json:
        return json.dumps(measures) + "\n"
    return measures_table(measures, "scored lines" if by_line else "scored text") + "\n"


def score_model(decoder: Decoder, path: Path, baseline: Baseline | None) -> dict[str, Score | None]:
    """Return the scores of a model on a file of pairs; say which lines it cannot get right.

    Without a baseline its row is None, and the words that count are those with a character that
    the model's guard lets change. Without a guard every word counts.

    Raises:
        InputError: the file holds no pair or cannot be read, or a line is no pair of the kind that
            the model could write, or has a character that is unknown to a model that refuses them.
        EngineError: onnxruntime failed.
    """
    # Both are the same, for baseline and guard come from the same training lines.
    tally = Tally(baseline, baseline.changeable if baseline else decoder.info.changeable)
    unequal = first = 0
    with closing(decode_pairs(decoder, path, pair_parser(decoder.info))) as decoded:
        for block, outputs in decoded:
            add_block(tally, block, outputs, path)
            numbers = [number for number, pair in block if isinstance(pair, Aligned)]
            unequal, first = unequal + len(numbers), first or next(iter(numbers), 0)
    if unequal and decoder.info.width is None:
        click.echo(
            f"{path}: the sides of {unequal} lines, the first of them line {first}, differ in "
            f"length, and this model writes one character for each",
            err=True,
        )
    if not tally.total[0]:
        raise InputError(f"{path}: the file is empty; it must hold lines of input, tab, target")
    scores = tally.scores()
    return {name: scores.get(name) for name in ROWS}


def pair_parser(info: ModelInfo) -> Callable[[str], AnyPair]:
    """Return what parses a line of pairs for a model, brought into the model's normal form.

    Where the model writes one character for each, a line of equal sides is aligned so. Another one
    may stand among them: labels that occur too rarely are not learned.
    """
    parse = parse_either if info.width is None else parse_aligned
    return normalising(parse, info.normalization)


def add_block(
    tally: Tally, block: Sequence[tuple[int, AnyPair]], outputs: list[str], path: Path
) -> None:
    """Count some numbered pairs of a file.

    Raises:
        InputError: an output cannot be aligned with its input.
    """
    try:
        tally.add([pair for _, pair in block], outputs)
    except AlignmentError as error:
        lines = f"lines {block[0][0]} to {block[-1][0]}"
        raise InputError(
            f"{path}, {lines}: a line is too long to be scored ({error}); cut it"
        ) from error


def score_classes(decoder: Decoder, path: Path) -> dict[str, Measures]:
    """Return the accuracy of a classifier on a file, beside that of its most frequent class.

    Raises:
        InputError: the file holds no such line or cannot be read, or a line has a character that
            the model refuses.
        TaskError: the model's task is `next`.
        EngineError: onnxruntime failed.
    """
    classes: Counter[str] = Counter()
    right = 0
    form = decoder.info.normalization
    with closing(decode_pairs(decoder, path, normalising(parse_class, form))) as decoded:
        for block, outputs in decoded:
            targets = [pair.target for _, pair in block]
            classes.update(targets)
            # The classes of a network from outside are in any form.
            found = [normalise(output, form) for output in outputs]
            right += sum(map(str.__eq__, targets, found))
    count = classes.total()
    if not count:
        raise InputError(f"{path}: the file is empty; it must hold lines of text, tab, class")
    ((_, most),) = classes.most_common(1)
    return {
        MOST_FREQUENT: {"accuracy": most / count, "line_count": count},
        MODEL: {"accuracy": right / count, "line_count": count},
    }


def score_text(decoder: Decoder, path: Path) -> dict[str, Measures]:
    """Return the bits per character of a model on a text; characters that it lacks do not count.

    Raises:
        InputError: the file is empty or cannot be read, or has a character that the model refuses.
        TaskError: the model's task is not `next`.
        EngineError: onnxruntime failed.
    """
    bits, count = 0.0, 0
    lines = NormalLines(path, decoder.info.normalization, LONGEST_ROW)
    for block in in_blocks((passage for _, passage in passages_of(lines)), len, PASSAGES):
        try:
            texts = checked_texts(decoder, [passage[:-1] for passage in block])
        except UnknownCharacterError as error:
            raise InputError(f"{path}: in {block[error.index][:40]!r}: {error}") from error
        for number, (logits, _) in enumerate(read_through(decoder, texts, STEPS)):
            start = 1 + number * STEPS
            targets = [passage[start : start + STEPS] for passage in block]
            found = surprises(logits, targets, decoder.info.input_alphabet)
            bits, count = bits + float(found.sum()), count + len(found)
    if not count:
        raise InputError(f"{path}: there is no character in it that the model knows")
    return {MODEL: {"bits": bits / count, "character_count": count}}


def surprises(logits: NDArray[Any], targets: Sequence[str], alphabet: str) -> NDArray[np.float64]:
    """Return the surprise of each target character that is in the alphabet, in bits.

    >>> surprises(np.zeros((1, 3, 2)), ["ab?"], "ab").tolist()
    [1.0, 1.0]

    Args:
        logits: behind the character before each target, [rows, time, alphabet].
        targets: the characters of each row, at most `time`.
        alphabet: the characters that can be predicted.
    """
    number = {char: label for label, char in enumerate(alphabet)}
    known = [
        (row, step, number[char])
        for row, text in enumerate(targets)
        for step, char in enumerate(text)
        if char in number
    ]
    if not known:
        return np.zeros(0)
    rows, steps, labels = np.array(known).T
    chosen = logits[rows, steps].astype(np.float64)  # (targets, labels)
    largest = chosen.max(1)
    total = np.log(np.exp(chosen - largest[:, None]).sum(1)) + largest
    found: NDArray[np.float64] = (total - chosen[np.arange(len(labels)), labels]) / np.log(2)
    return found


def decode_pairs(
    decoder: Decoder, path: Path, parse: Callable[[str], AnyPair]
) -> Generator[tuple[list[tuple[int, AnyPair]], list[str]], None, None]:
    """Yield the numbered pairs of a file in blocks, each with what a model says of their inputs.

    Raises:
        InputError: see `read_pairs`; or an input has a character that the model refuses.
        TaskError: the model's task is `next`.
        EngineError: onnxruntime failed.
    """
    waiting: deque[list[tuple[int, AnyPair]]] = deque()

    def inputs() -> Iterator[list[str]]:
        for block in in_blocks(read_pairs(path, parse), lambda row: len(row[1].input), BLOCK):
            waiting.append(block)
            yield [pair.input for _, pair in block]

    try:
        with closing(decoder.decode_batches(inputs())) as batches:
            for outputs in batches:
                yield waiting.popleft(), outputs
    except UnknownCharacterError as error:
        number, _ = waiting[-1][error.index]
        raise InputError(f"{path}, line {number}: {error}") from error
