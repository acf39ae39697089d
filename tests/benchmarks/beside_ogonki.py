"""Scores ogonki, a package that restores Polish diacritics, on the lines that a model is scored on.

    python tests/benchmarks/beside_ogonki.py PAIRS --baseline RUN/baseline.json

PAIRS are lines of input, TAB, target: a run's `holdout.tsv`, or what `text_to_pairs.py` makes. The
words that count are those of the run, so that `hello-infer --score PAIRS` has the same.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import click
import ogonki
from hello_train.data.lines import read_pairs
from hello_train.fit.score import Baseline, compare, table


def restore(texts: Sequence[str]) -> list[str]:
    """Restore lines as one text, as the package reads a file: it looks beyond the line's ends."""
    restored: str = ogonki.restore("\n".join(texts))
    return restored.split("\n")


@click.command()
@click.argument("pairs", type=click.Path(exists=True, path_type=Path))
@click.option("--baseline", required=True, type=click.Path(exists=True, path_type=Path))
def main(pairs: Path, baseline: Path) -> None:
    """Print the table of `hello-train`, with ogonki in the model's place."""
    content = json.loads(baseline.read_text(encoding="utf-8"))
    known = Baseline(content["words"], frozenset(content["changeable"]))
    lines = read_pairs(pairs)
    rows = compare(restore([line.input for line in lines]), lines, known)
    rows[f"ogonki {version('ogonki')}"] = rows.pop("model")
    click.echo(table(rows))


if __name__ == "__main__":
    main()
