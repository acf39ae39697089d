"""The command `hello-infer`: a thin layer over `Decoder`."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from io import BufferedReader
from pathlib import Path
from typing import Any, cast

import click

from hello_runtime import __version__
from hello_runtime.command import Command
from hello_runtime.model.model_file import BUNDLED_CELLS, UNKNOWN_POLICIES, Unknown
from hello_runtime.process import importing
from hello_runtime.results import (
    STANDARD_INPUT,
    decode_blocks,
    decode_file,
    encoded,
    generated,
    shows_progress,
    stream_lines,
)
from hello_runtime.text.lines import (
    Block,
    open_output,
    read_arguments,
    read_file,
    read_stream,
)
from hello_runtime.text.memory import memory_factor

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
OTHER_INPUT = ("input_file", "info", "stream", "pairs", "generate")
"""The options with which no lines of the standard input are decoded."""
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
    """Rewrite or classify each line of text, or generate text, by the task of the model.

    Each TEXT is a line. Without TEXT, or with -, the lines come from the standard input.
    """
    check_usage(click.get_current_context().params)
    with importing():  # only now: help and usage errors do not wait for onnxruntime
        from hello_runtime.decoder import Decoder
    decoder = Decoder.open(model, provider, threads, cell=cell or "gru", unknown=unknown)
    if provider == "auto":
        for error in decoder.passed_over:
            click.echo(f"passed over: {error}", err=True)
        click.echo(f"running on {decoder.provider}", err=True)
    if pairs:
        from hello_runtime.scoring import score_file

        results = encoded(score_file(decoder, pairs, as_json))
    elif generate:
        results = generated(decoder, generate, **drawing)
    elif stream:
        results = stream_lines(decoder)
    elif info:
        from hello_runtime.info import describe

        results = encoded(describe(decoder, as_json))
    else:
        factor = memory_factor(decoder.info, decoder._numbers_per_character, as_json=as_json)
        blocks = read_blocks(texts, input_file, factor)
        if input_file and not as_json:
            results = decode_file(decoder, blocks, input_file, shown=shows_progress(output_file))
        else:
            results = decode_blocks(decoder, blocks, as_json)
    with open_output(output_file) as output, closing(results):
        for result in results:
            output.write(result)
            output.flush()


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
    reads_stdin = texts in ((), ("-",)) and not any(given[name] for name in OTHER_INPUT)
    if reads_stdin and (sys.stdin is None or (not texts and sys.stdin.isatty())):
        raise click.UsageError("nothing to decode: give a TEXT, --input FILE, - or a pipe.")


def read_blocks(texts: tuple[str, ...], input_file: Path | None, factor: int) -> Iterator[Block]:
    """Return the lines to decode: of the file, of the command line, or of the standard input.

    For `factor` see `read_stream`.
    """
    if input_file:
        return read_file(input_file, factor)
    if texts and texts != ("-",):
        return read_arguments(texts)
    return read_stream(cast(BufferedReader, sys.stdin.buffer), STANDARD_INPUT, factor)
