"""The command `hello-infer`: a thin layer over `Decoder`."""

from __future__ import annotations

import json
import math
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from io import BufferedReader
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from hello_runtime import __version__
from hello_runtime.command import Command
from hello_runtime.errors import InputError, UnknownCharacterError
from hello_runtime.model.model_file import BUNDLED_CELLS, UNKNOWN_POLICIES, Unknown
from hello_runtime.process import ending_at_once
from hello_runtime.text.lines import (
    Block,
    open_output,
    read_arguments,
    read_file,
    read_pieces,
    read_stream,
)
from hello_runtime.text.normal_forms import normalise

if TYPE_CHECKING:
    from hello_runtime.classification import Classification
    from hello_runtime.decoder import Decoder
    from hello_runtime.engine.batching import Annotation

STANDARD_INPUT = "standard input, line"

SECTIONS = {
    "Text": ("input_file", "output_file", "stream", "as_json"),
    "Generated text": ("generate", "prompt", "temperature", "top", "seed"),
    "Model": ("model", "cell", "unknown"),
    "Instead of decoding": ("info", "pairs"),
    "Machine": ("provider", "threads"),
}
"""The sections of the help, and their options."""

STREAM_USAGE = "--stream reads the standard input, without TEXT, --input, --json."
DRAWING = ("prompt", "temperature", "top", "seed")
"""The options of --generate."""
EXCLUSIVE = (
    ("model", ("cell",), "--model and --cell exclude each other."),
    ("texts", ("input_file",), "TEXT and --input exclude each other."),
    (
        "info",
        ("texts", "input_file", "threads", "unknown", "stream"),
        "--info decodes nothing: give it only --model, --cell, --provider.",
    ),
    (
        "generate",
        ("texts", "input_file", "stream", "as_json", "info", "pairs"),
        "--generate excludes TEXT, --input, --stream, --json, --info and --score.",
    ),
    (
        "stream",
        ("input_file", "as_json"),
        STREAM_USAGE,
    ),
    (
        "pairs",
        ("texts", "input_file", "output_file", "stream", "info"),
        "--score excludes TEXT, --input, --output, --stream and --info.",
    ),
)
"""An option, those that it excludes, and the error."""


def complete_provider(_: click.Context, __: click.Parameter, start: str) -> list[str]:
    """Return the providers that start with what was typed, for shell completion."""
    from hello_runtime.engine.devices import installed_plugins

    return [
        name for name in ("cpu", "cuda", "auto", *installed_plugins()) if name.startswith(start)
    ]


@click.command("hello-infer", cls=Command, sections=SECTIONS)
@click.argument("texts", nargs=-1, metavar="[TEXT]...")
@click.option("--cell", type=click.Choice(BUNDLED_CELLS), help="A bundled model.  [default: gru]")
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="An artifact folder or .onnx file of hello-export, instead of a bundled model.",
)
@click.option(
    "--input",
    "input_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Decode the lines of FILE.",
)
@click.option(
    "--output",
    "output_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write to FILE, which appears only when it is complete.",
)
@click.option(
    "--stream",
    is_flag=True,
    help="Decode each character of the standard input as it arrives; for causal models.",
)
@click.option(
    "--score",
    "pairs",
    type=click.Path(path_type=Path),
    metavar="PAIRS",
    help="Score the model on the lines of PAIRS: input, TAB, target; "
    "plain or gzip.  A classifier takes lines of text, TAB, class, and a model that "
    "generates any text.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print JSON, with confidences or probabilities."
)
@click.option(
    "--generate",
    type=click.IntRange(min=1),
    metavar="N",
    help="Print the prompt and N more characters, as they are drawn, by a model of the task next.",
)
@click.option("--prompt", metavar="TEXT", help="What the text begins with.  [default: a new line]")
@click.option(
    "--temperature",
    type=click.FloatRange(min=0),
    help="0 for the most probable character; above 1 for more variety.  [default: 1]",
)
@click.option(
    "--top",
    type=click.IntRange(min=1),
    metavar="K",
    help="Draw from the K most probable characters only.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**64 - 1),
    help="The same seed draws the same text everywhere.  [default: another each time]",
)
@click.option(
    "--provider",
    metavar="[cpu|cuda|auto|NAME]",
    default="cpu",
    show_default=True,
    shell_complete=complete_provider,
    help="Device to run on.  NAME is an installed package onnxruntime-ep-NAME; auto is the first "
    "that works of cuda, these packages and cpu.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="Engine calls at the same time.  [default: the CPUs it may use]",
)
@click.option(
    "--unknown",
    type=click.Choice(UNKNOWN_POLICIES),
    help="What characters outside the model's alphabet become: an error, a copy, or the label that "
    "the model gives them.  [default: as the model says]",
)
@click.option("--info", is_flag=True, help="Describe the model.")
@click.version_option(__version__, prog_name="hello-infer")
def main(
    texts: tuple[str, ...],
    cell: str | None,
    model: Path | None,
    input_file: Path | None,
    output_file: Path | None,
    stream: bool,
    pairs: Path | None,
    as_json: bool,
    provider: str,
    threads: int | None,
    unknown: Unknown | None,
    info: bool,
    generate: int | None,
    **drawing: Any,
) -> None:
    """Rewrite each line of text, print its class, or generate text: as the model can.

    Each TEXT is a line. Without TEXT, or with -, the lines come from the standard input.
    """
    check_usage(click.get_current_context().params)
    source = None if info or stream or pairs or generate else read_blocks(texts, input_file)
    with ending_at_once():  # only now: help and usage errors do not wait for onnxruntime
        from hello_runtime.decoder import Decoder
    decoder = Decoder.open(model, provider, threads, cell=cell or "gru", unknown=unknown)
    if provider == "auto":
        for error in decoder.passed_over:
            click.echo(f"passed over: {error}", err=True)
        click.echo(f"running on {decoder.provider}", err=True)
    if pairs:
        results = encoded(score(decoder, pairs, as_json))
    elif generate:
        results = generated(decoder, generate, **drawing)
    elif stream:
        results = stream_lines(decoder)
    elif source is None:
        results = encoded(described(decoder, as_json))
    elif input_file and not as_json:
        results = decode_file(decoder, source, input_file, shown=shows_progress(output_file))
    else:
        results = decode_blocks(decoder, source, as_json)
    with open_output(output_file) as output, closing(results):
        for result in results:
            output.write(result)
            output.flush()


def described(decoder: Decoder, as_json: bool) -> str:
    """Return the facts about a model, as lines of text or as JSON."""
    # Imported here, because it imports numpy, for which the command's help should not wait.
    from hello_runtime.info import describe

    return describe(decoder, as_json)


def check_usage(given: Mapping[str, Any]) -> None:
    """Refuse options that exclude each other."""
    for option, excluded, message in EXCLUSIVE:
        if given[option] and any(given[other] for other in excluded):
            raise click.UsageError(message)
    texts = given["texts"]
    if "-" in texts and len(texts) > 1:
        raise click.UsageError("- (the standard input) stands alone.")
    if not given["generate"]:
        for option in DRAWING:
            if given[option] is not None:
                raise click.UsageError(f"--{option} belongs to --generate.")
    if not math.isfinite(given["temperature"] or 0):
        raise click.UsageError("--temperature is no number to divide by.")
    if given["stream"] and texts not in ((), ("-",)):
        raise click.UsageError(STREAM_USAGE)


def generated(
    decoder: Decoder,
    characters: int,
    prompt: str | None,
    temperature: float | None,
    top: int | None,
    seed: int | None,
) -> Generator[bytes, None, None]:
    """Yield a prompt, then each character with which the model continues it, then LF."""
    drawn = decoder.generate(
        prompt or "",
        characters,
        temperature=1.0 if temperature is None else temperature,
        top=top,
        seed=seed,
    )
    yield (prompt or "").encode()
    for character in drawn:
        yield character.encode()
    yield b"\n"


def encoded(text: str) -> Generator[bytes, None, None]:
    """Yield a text in UTF-8."""
    yield text.encode()


def read_blocks(texts: tuple[str, ...], input_file: Path | None) -> Iterator[Block]:
    """Return the lines to decode: of the file, of the command line, or of the standard input."""
    if input_file:
        return read_file(input_file)
    if texts and texts != ("-",):
        return read_arguments(texts)
    if sys.stdin is None or (not texts and sys.stdin.isatty()):
        raise click.UsageError("nothing to decode: give a TEXT, --input FILE, - or a pipe.")
    return read_stream(cast(BufferedReader, sys.stdin.buffer), STANDARD_INPUT)


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
