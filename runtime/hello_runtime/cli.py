"""The command `hello-infer`: a thin layer over `Decoder`."""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from io import BufferedReader
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from hello_runtime import __version__
from hello_runtime.command import Command
from hello_runtime.errors import UnknownCharacterError, printable
from hello_runtime.model.model_file import CELLS, UNKNOWN_POLICIES, Unknown
from hello_runtime.process import ending_at_once
from hello_runtime.text.lines import (
    Block,
    InputError,
    open_output,
    read_arguments,
    read_file,
    read_pieces,
    read_stream,
)

if TYPE_CHECKING:
    from hello_runtime.decoder import Decoder
    from hello_runtime.engine.batching import Annotation

STANDARD_INPUT = "standard input, line"

SECTIONS = {
    "Text": ("input_file", "output_file", "stream", "as_json"),
    "Model": ("model", "cell", "unknown"),
    "In place of decoding": ("info", "pairs"),
    "Machine": ("provider", "threads"),
}
"""Of the help."""


def complete_provider(_: click.Context, __: click.Parameter, start: str) -> list[str]:
    """Return the providers whose name starts so, for a shell that completes it."""
    from hello_runtime.engine.plugins import installed_plugins

    return [
        name for name in ("cpu", "cuda", "auto", *installed_plugins()) if name.startswith(start)
    ]


@click.command("hello-infer", cls=Command, sections=SECTIONS)
@click.argument("texts", nargs=-1, metavar="[TEXT]...")
@click.option(
    "--cell", type=click.Choice(CELLS), help="Which of the carried models to use.  [default: gru]"
)
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="An artifact folder or .onnx file of hello-export, in place of a carried model.",
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
    help="Write to FILE, which appears when all of it is there.",
)
@click.option(
    "--stream",
    is_flag=True,
    help="Answer each character of the standard input as it arrives; for causal models.",
)
@click.option(
    "--score",
    "pairs",
    type=click.Path(path_type=Path),
    metavar="PAIRS",
    help="Tell how well the model does on the lines of PAIRS, which are input, TAB, target, of "
    "equal length in characters; plain or gzip.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with confidences.")
@click.option(
    "--provider",
    metavar="[cpu|cuda|auto|NAME]",
    default="cpu",
    show_default=True,
    shell_complete=complete_provider,
    help="What the model must run on; NAME is that of an installed package onnxruntime-ep-NAME, "
    "and auto the first of cuda, such packages and cpu that runs.",
)
@click.option("--threads", type=click.IntRange(min=1), help="[default: the CPUs it may use]")
@click.option(
    "--unknown",
    type=click.Choice(UNKNOWN_POLICIES),
    help="What a character outside the model's alphabet gets.  [default: the model's own choice]",
)
@click.option("--info", is_flag=True, help="Tell what the model is, and decode nothing.")
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
) -> None:
    """Rewrite text, one character for one character, and print a line for each line.

    Each TEXT is a line. Without any, or with -, the lines are those of the standard input.
    """
    if model and cell:
        raise click.UsageError("--model and --cell exclude each other.")
    if texts and input_file:
        raise click.UsageError("TEXT and --input exclude each other.")
    if info and (texts or input_file or threads or unknown or stream):
        raise click.UsageError("--info decodes nothing: give it only --model, --cell, --provider.")
    if "-" in texts and len(texts) > 1:
        raise click.UsageError("- (the standard input) stands alone.")
    if stream and (input_file or as_json or texts not in ((), ("-",))):
        raise click.UsageError("--stream reads the standard input, without TEXT, --input, --json.")
    if pairs and (texts or input_file or output_file or stream or info):
        raise click.UsageError("--score excludes TEXT, --input, --output, --stream and --info.")

    source = None if info or stream or pairs else read_blocks(texts, input_file)
    with ending_at_once():  # only now, so that help and usage are answered without the engine
        from hello_runtime.decoder import Decoder
    decoder = Decoder.open(model, provider, threads, cell=cell or "gru", unknown=unknown)
    if provider == "auto":
        for error in decoder.passed_over:
            click.echo(f"passed over: {error}", err=True)
        click.echo(f"running on {decoder.provider}", err=True)
    results: Generator[bytes, None, None]
    if pairs:
        results = (text.encode() for text in [score(decoder, pairs, as_json)])
    elif stream:
        results = stream_lines(decoder)
    elif source is None:
        results = (text.encode() for text in [describe(decoder, as_json)])
    elif input_file and not as_json:
        results = decode_file(decoder, source, input_file, shown=shows_progress(output_file))
    else:
        results = (decode_block(decoder, block, as_json) for block in source)
    with open_output(output_file) as output, closing(results):
        for result in results:
            output.write(result)
            output.flush()


def read_blocks(texts: tuple[str, ...], input_file: Path | None) -> Iterator[Block]:
    """Return the lines to decode: of the file, of the command line, or of the standard input."""
    if input_file:
        return read_file(input_file)
    if texts and texts != ("-",):
        return read_arguments(texts)
    if sys.stdin is None or (not texts and sys.stdin.isatty()):
        raise click.UsageError("nothing to decode: give a TEXT, --input FILE, - or a pipe.")
    return read_stream(cast(BufferedReader, sys.stdin.buffer), STANDARD_INPUT)


def decode_block(decoder: Decoder, block: Block, as_json: bool) -> bytes:
    """Return the output of some input lines."""
    try:
        if as_json:
            rows = decoder.annotate_batch(block.texts)
            return "".join(map(to_json, block.texts, rows)).encode()
        decoded = decoder.decode_batch(block.texts)
    except UnknownCharacterError as error:
        raise InputError(f"{block.place(error.index)}: {error}") from error
    return join_lines(decoded, block)


def decode_file(
    decoder: Decoder, blocks: Iterator[Block], path: Path, *, shown: bool
) -> Generator[bytes, None, None]:
    """Yield the output of a file's lines, while the engine works on those that follow."""
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
    """Return decoded lines, in UTF-8, with the ends that they had."""
    lines = zip(decoded, block.ends, strict=True)
    return b"".join(part.encode() for part in chain.from_iterable(lines))


def stream_lines(decoder: Decoder) -> Generator[bytes, None, None]:
    """Yield the output of the standard input as it arrives; each line is a stream of its own.

    A CR waits for what follows, which tells whether it belongs to the line's end.
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
                yield (stream.feed(text) + line[len(text) :] + "\n").encode()
                stream = decoder.stream()
                number += 1
            text = rest.removesuffix("\r")
            held = rest[len(text) :]
            yield stream.feed(text).encode()
        yield stream.feed(held).encode()
    except UnknownCharacterError as error:
        raise InputError(f"{STANDARD_INPUT} {number}: {error}") from error


def shows_progress(output_file: Path | None) -> bool:
    """Tell whether stderr is a terminal, and not one to which the output goes as well."""
    to_terminal = output_file is None and sys.stdout is not None and sys.stdout.isatty()
    return sys.stderr is not None and sys.stderr.isatty() and not to_terminal


@contextmanager
def progress_bar(path: Path, *, shown: bool) -> Iterator[Callable[[int], None]]:
    """Show how much of a file is decoded; yield a function that is told of further bytes."""
    if not shown or not path.is_file():
        yield lambda _: None
        return
    with click.progressbar(length=path.stat().st_size, label=path.name, file=sys.stderr) as bar:
        yield bar.update


def to_json(text: str, annotation: Annotation) -> str:
    """Return a line of JSON: the text, what became of it, and how sure each character is."""
    row = {
        "input": text,
        "output": annotation.text,
        "confidence": annotation.confidence.astype(float).round(4).tolist(),
    }
    return json.dumps(row, ensure_ascii=False) + "\n"


def score(decoder: Decoder, pairs: Path, as_json: bool) -> str:
    """Return how well a model does on a file of pairs, for people or as JSON."""
    # Imported here, because decoding needs none of it.
    from hello_runtime.text.baseline import BASELINE_NAME, read_baseline
    from hello_runtime.text.score import score_model, score_table

    file = decoder.file.with_name(BASELINE_NAME)
    baseline = read_baseline(file) if file.exists() else None
    scores = score_model(decoder, pairs, baseline)
    if baseline is None:
        every = decoder.info.guard is None
        counted = "every word counts" if every else "words count that the model's guard lets change"
        click.echo(f"no most frequent targets, for there is no {file}; {counted}", err=True)
    if as_json:
        named = {name: row and row._asdict() for name, row in scores.items()}
        return json.dumps(named) + "\n"
    return score_table(scores, "scored lines") + "\n"


def describe(decoder: Decoder, as_json: bool) -> str:
    """Return what a model is, for people or as JSON."""
    info = decoder.info
    facts: dict[str, Any] = {
        "model": str(decoder.file),
        "bytes": decoder.file.stat().st_size,
        "provider": decoder.provider,
        "cell": info.cell,
        "nonlinearity": info.nonlinearity,
        "layers": info.layers,
        "hidden_size": info.hidden_size,
        "causal": info.causal,
        "input_alphabet": info.input_alphabet,
        "output_alphabet": info.output_alphabet,
        "unknown": info.unknown,
        "guarded": info.guard is not None,
        "weights": info.weights,
        "training": dict(info.training),
    }
    if as_json:
        return json.dumps(facts) + "\n"
    for name in ("input_alphabet", "output_alphabet"):
        facts[name] = f"{len(facts[name])} characters: {ascii_start(facts[name])}"
    scores = facts["training"].pop("scores", None)
    facts |= {f"training, {name}": value for name, value in facts.pop("training").items()}
    if isinstance(scores, dict):
        facts |= {f"score, {name}": json.dumps(row) for name, row in scores.items()}
    lines = (
        f"{printable(name.replace('_', ' ')):<28}{printable(value)}\n"
        for name, value in facts.items()
    )
    return "".join(lines)


def ascii_start(alphabet: str, width: int = 60) -> str:
    """Return the beginning of an alphabet; what a terminal may not show in its place is escaped."""
    shown = ascii(alphabet)[1:-1]
    return shown if len(shown) <= width else f"{shown[:width]}..."
