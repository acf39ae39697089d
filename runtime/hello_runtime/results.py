"""What `hello-infer` writes, in pieces of UTF-8, as soon as each is known."""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from io import BufferedReader
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from hello_runtime.errors import InputError, UnknownCharacterError
from hello_runtime.text.lines import Block, read_pieces
from hello_runtime.text.normal_forms import normalise

if TYPE_CHECKING:
    from hello_runtime.classification import Classification
    from hello_runtime.decoder import Decoder
    from hello_runtime.engine.batching import Annotation

STANDARD_INPUT = "standard input, line"


def generated(
    decoder: Decoder,
    characters: int,
    prompt: str | None,
    temperature: float | None,
    top: int | None,
    seed: int | None,
) -> Generator[bytes, None, None]:
    """Yield a prompt in the model's normal form, each character that continues it, then LF."""
    drawn = decoder.generate(
        prompt or "",
        characters,
        temperature=1.0 if temperature is None else temperature,
        top=top,
        seed=seed,
    )
    yield normalise(prompt or "", decoder.info.normalization).encode()
    for character in drawn:
        yield character.encode()
    yield b"\n"


def encoded(text: str) -> Generator[bytes, None, None]:
    """Yield a text in UTF-8."""
    yield text.encode()


def decode_blocks(
    decoder: Decoder, blocks: Iterator[Block], as_json: bool
) -> Generator[bytes, None, None]:
    """Yield the output of each block; a single text takes the short way, `Decoder.decode`."""
    for block in blocks:
        texts = block.texts
        try:
            read = texts
            if as_json:
                read = [normalise(text, decoder.info.normalization) for text in texts]
            if as_json and decoder.info.task == "classify":
                rows = zip(read, decoder.classify_batch(read), strict=True)
                names = decoder.info.classes
                yield "".join([class_to_json(text, row, names) for text, row in rows]).encode()
            elif as_json:
                yield "".join(map(to_json, read, decoder.annotate_batch(read))).encode()
            elif len(texts) == 1:
                yield join_lines([decoder.decode(texts[0])], block)
            else:
                yield join_lines(decoder.decode_batch(texts), block)
        except UnknownCharacterError as error:
            raise InputError(f"{block.place(error.index)}: {error}") from error


def decode_file(
    decoder: Decoder, blocks: Iterator[Block], path: Path, *, shown: bool
) -> Generator[bytes, None, None]:
    """Yield the output of a file block by block, while the engine runs the next block."""
    reading: deque[Block] = deque()

    def texts() -> Iterator[list[str]]:
        for block in blocks:
            reading.append(block)
            yield block.texts

    with (
        progress_bar(path, shown=shown) as advance,
        closing(decoder.decode_batches(texts())) as batches,
    ):
        try:
            for decoded in batches:
                block = reading.popleft()
                yield join_lines(decoded, block)
                advance(block.size)
        except UnknownCharacterError as error:
            raise InputError(f"{reading[-1].place(error.index)}: {error}") from error


def join_lines(decoded: list[str], block: Block) -> bytes:
    """Return decoded lines in UTF-8, each with its original line end."""
    lines = zip(decoded, block.ends, strict=True)
    return b"".join(part.encode() for part in chain.from_iterable(lines))


def stream_lines(decoder: Decoder) -> Generator[bytes, None, None]:
    """Yield the output of the standard input as it arrives; each line is a stream of its own.

    A CR is held back until the next character shows whether it belongs to a line end, CR LF.
    """
    stream = decoder.stream()
    if sys.stdin is None:
        raise click.UsageError("nothing to decode: the standard input is closed.")
    number = 1
    held = ""
    try:
        for piece in read_pieces(cast(BufferedReader, sys.stdin.buffer), STANDARD_INPUT):
            *lines, rest = (held + piece).split("\n")
            for line in lines:
                text = line.removesuffix("\r")
                yield (stream.feed(text, final=True) + line[len(text) :] + "\n").encode()
                stream = decoder.stream()
                number += 1
            text = rest.removesuffix("\r")
            held = rest[len(text) :]
            yield stream.feed(text).encode()
        yield stream.feed(held, final=True).encode()
    except UnknownCharacterError as error:
        raise InputError(f"{STANDARD_INPUT} {number}: {error}") from error


def shows_progress(output_file: Path | None) -> bool:
    """Tell whether to show progress: stderr is a terminal, and the output goes elsewhere."""
    to_terminal = output_file is None and sys.stdout is not None and sys.stdout.isatty()
    return sys.stderr is not None and sys.stderr.isatty() and not to_terminal


@contextmanager
def progress_bar(path: Path, *, shown: bool) -> Iterator[Callable[[int], None]]:
    """Show how much of a file is decoded; yield a function that takes the bytes of a block."""
    if not shown or not path.is_file():
        yield lambda _: None
        return
    with click.progressbar(length=path.stat().st_size, label=path.name, file=sys.stderr) as bar:
        yield bar.update


def to_json(text: str, annotation: Annotation) -> str:
    """Return a line of JSON: input, output, and the confidence of each character of the input."""
    row = {
        "input": text,
        "output": annotation.text,
        "confidence": annotation.confidence.astype(float).round(4).tolist(),
    }
    return json.dumps(row, ensure_ascii=False) + "\n"


def class_to_json(text: str, row: Classification, names: tuple[str, ...]) -> str:
    """Return a line of JSON: input, class, confidence, and the probability of each class.

    An empty line has the class null.
    """
    shares = row.probabilities.astype(float).round(4).tolist()
    content = {
        "input": text,
        "class": row.label or None,
        "confidence": round(row.confidence, 4),
        "probabilities": dict(zip(names, shares, strict=True)),
    }
    return json.dumps(content, ensure_ascii=False) + "\n"


def score_measures(decoder: Decoder, path: Path, as_json: bool) -> str:
    """Return the measures of a model that does not rewrite, as a table or as JSON."""
    from hello_runtime.text.classes import score_classes
    from hello_runtime.text.measures import measures_table
    from hello_runtime.text.passages import score_text

    by_line = decoder.info.task == "classify"
    measures = (score_classes if by_line else score_text)(decoder, path)
    if as_json:
        return json.dumps(measures) + "\n"
    return measures_table(measures, "scored lines" if by_line else "scored text") + "\n"


def score(decoder: Decoder, pairs: Path, as_json: bool) -> str:
    """Return the scores of a model on a file, as a table or as JSON."""
    if decoder.info.task != "rewrite":
        return score_measures(decoder, pairs, as_json)
    # Imported here, because decoding does not need it.
    from hello_runtime.text.baseline import BASELINE_NAME, read_baseline
    from hello_runtime.text.score import score_model, score_table

    file = decoder.file.with_name(BASELINE_NAME)
    baseline = read_baseline(file) if file.exists() else None
    scores = score_model(decoder, pairs, baseline)
    if baseline is None:
        every = decoder.info.guard is None
        counted = "every word counts" if every else "words count that the model's guard lets change"
        click.echo(f"no most frequent targets without {file}; {counted}", err=True)
    if as_json:
        named = {name: row and row._asdict() for name, row in scores.items()}
        return json.dumps(named) + "\n"
    return score_table(scores, "scored lines") + "\n"
