"""Compare where a model puts a character, such as a space or a hyphen, with where pairs have it.

    python tests/benchmarks/points.py PAIRS --model ARTIFACT --mark ' '

PAIRS are lines of input, TAB, target. A point is a place in the input behind which the mark stands
in the target. Printed are the number of points, the share that the model finds, and of those that
it sets the share that are right.
"""

from __future__ import annotations

from pathlib import Path

import click
from hello_runtime import Decoder
from hello_runtime.text.pairs import read_pairs, split_pair


def points(text: str, mark: str) -> set[int]:
    """Return behind how many other characters a mark stands."""
    found, others = set(), 0
    for char in text:
        if char == mark:
            found.add(others)
        else:
            others += 1
    return found


@click.command()
@click.argument("pairs", type=click.Path(path_type=Path))
@click.option("--model", type=click.Path(path_type=Path), required=True)
@click.option("--mark", default=" ", help="A character; U+00AD can be given as soft-hyphen.")
def main(pairs: Path, model: Path, mark: str) -> None:
    """Print how many points a model finds, and how many of its own are right."""
    mark = "\u00ad" if mark == "soft-hyphen" else mark
    lines = [pair for _, pair in read_pairs(pairs, split_pair)]
    outputs = Decoder.open(model).decode_batch([pair.input for pair in lines])
    wanted = written = both = 0
    for pair, output in zip(lines, outputs, strict=True):
        expected, found = points(pair.target, mark), points(output, mark)
        wanted, written, both = (
            wanted + len(expected),
            written + len(found),
            both + len(expected & found),
        )
    click.echo(
        f"{wanted} points, {both / wanted:.2%} found; {both / written:.2%} of those set right"
    )


if __name__ == "__main__":
    main()
