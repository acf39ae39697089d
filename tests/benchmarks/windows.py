"""Counts what windows cost: the characters that they decode otherwise than the whole line would.

    python tests/benchmarks/windows.py TEXT --artifact DIR [--characters 1000000] [--json]

The lines of TEXT become lines of a hundred thousand characters. A bidirectional model decodes each
as a whole, in one engine call, and in windows, with the overlap of the runtime and with less.
"""

from __future__ import annotations

from pathlib import Path

import click
from hello_runtime import Decoder
from hello_runtime.engine import batching, windows
from hello_runtime.text.codepoints import LONGEST_ROW
from measuring import show

LINE = 100_000


@click.command()
@click.argument("text", type=click.Path(exists=True, path_type=Path))
@click.option("--artifact", required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--characters", default=1_000_000, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(text: Path, artifact: Path, characters: int, as_json: bool) -> None:
    """Print a row for each overlap."""
    decoder = Decoder.open(artifact)
    if decoder.info.causal:
        raise click.UsageError("a causal model reads no windows; give a bidirectional one")
    content = text.read_text(encoding="utf-8").replace("\n", " ")[:characters]
    if len(content) < characters:
        raise click.UsageError(f"{text} has only {len(content)} characters")
    lines = [content[start : start + LINE] for start in range(0, characters, LINE)]
    overlap = windows.OVERLAP
    vars(batching)["LONGEST_ROW"] = LINE
    expected = "".join(decoder.decode_batch(lines))
    rows = []
    for windows.OVERLAP in (0, 16, 64, overlap):
        vars(batching)["LONGEST_ROW"] = LONGEST_ROW
        found = "".join(decoder.decode_batch(lines))
        different = sum(a != b for a, b in zip(found, expected, strict=True))
        rows.append(
            {
                "window": windows.WINDOW,
                "overlap": windows.OVERLAP,
                "characters": characters,
                "decoded otherwise": different,
            }
        )
    show(rows, as_json=as_json, title=f"Windows of {artifact}", packages=["onnxruntime"])


if __name__ == "__main__":
    main()
