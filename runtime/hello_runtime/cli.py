"""The command `hello-infer`: a thin layer over `Decoder`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any, cast, get_args

import click

from hello_runtime.decoder import Annotation, Decoder
from hello_runtime.errors import HelloRuntimeError, UnknownCharacterError
from hello_runtime.lines import (
    Block,
    InputError,
    open_output,
    read_arguments,
    read_file,
    read_stream,
)
from hello_runtime.model_file import CELLS, Unknown
from hello_runtime.providers import PROVIDERS


class OneLineErrors(click.Command):
    """A command that turns the package's errors into one line on stderr and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except HelloRuntimeError as error:
            raise click.ClickException(str(error).replace("\n", " ")) from error
        except BrokenPipeError:
            raise
        except OSError as error:
            raise click.ClickException(f"{error.filename}: {error.strerror}") from error


@click.command(cls=OneLineErrors, context_settings={"help_option_names": ["-h", "--help"]})
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
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with confidences.")
@click.option("--provider", type=click.Choice(list(PROVIDERS)), default="cpu", show_default=True)
@click.option("--threads", type=click.IntRange(min=1), help="[default: the CPUs it may use]")
@click.option(
    "--unknown",
    type=click.Choice(get_args(Unknown)),
    help="What a character outside the model's alphabet gets.  [default: the model's own choice]",
)
@click.option("--info", is_flag=True, help="Tell what the model is, and decode nothing.")
@click.version_option(package_name="hello-rnn", prog_name="hello-infer")
def main(
    texts: tuple[str, ...],
    cell: str | None,
    model: Path | None,
    input_file: Path | None,
    output_file: Path | None,
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
    if info and (texts or input_file or threads or unknown):
        raise click.UsageError("--info decodes nothing: give it only --model, --cell, --provider.")
    if "-" in texts and len(texts) > 1:
        raise click.UsageError("- (the standard input) stands alone.")

    blocks: Iterator[Block] = iter(()) if info else read_blocks(texts, input_file)
    decoder = Decoder.open(model, provider, threads, cell=cell or "gru", unknown=unknown)
    if info:
        results = iter([describe(decoder, as_json)])
    else:
        results = (decode_block(decoder, block, as_json) for block in blocks)
    with open_output(output_file) as output:
        for result in results:
            output.write(result.encode())
            output.flush()


def read_blocks(texts: tuple[str, ...], input_file: Path | None) -> Iterator[Block]:
    """Return the lines to decode: of the file, of the command line, or of the standard input."""
    if input_file:
        return read_file(input_file)
    if texts and texts != ("-",):
        return read_arguments(texts)
    if sys.stdin is None or (not texts and sys.stdin.isatty()):
        raise click.UsageError("nothing to decode: give a TEXT, --input FILE, - or a pipe.")
    return read_stream(cast(BufferedReader, sys.stdin.buffer), "standard input, line")


def decode_block(decoder: Decoder, block: Block, as_json: bool) -> str:
    """Return the output of some input lines."""
    try:
        if as_json:
            return "".join(map(to_json, block.texts, decoder.annotate_batch(block.texts)))
        decoded = decoder.decode_batch(block.texts)
    except UnknownCharacterError as error:
        raise InputError(f"{block.place(error.index)}: {error}") from error
    return "".join(text + end for text, end in zip(decoded, block.ends, strict=True))


def to_json(text: str, annotation: Annotation) -> str:
    """Return a line of JSON: the text, what became of it, and how sure each character is."""
    row = {
        "input": text,
        "output": annotation.text,
        "confidence": annotation.confidence.astype(float).round(4).tolist(),
    }
    return json.dumps(row, ensure_ascii=False) + "\n"


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
    lines = (f"{name.replace('_', ' '):<28}{printable(value)}\n" for name, value in facts.items())
    return "".join(lines)


def ascii_start(alphabet: str, width: int = 60) -> str:
    """Return the beginning of an alphabet; what a terminal may not show in its place is escaped."""
    shown = ascii(alphabet)[1:-1]
    return shown if len(shown) <= width else f"{shown[:width]}..."


def printable(value: object) -> str:
    """Return a value as one line that does nothing to a terminal."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in str(value))
