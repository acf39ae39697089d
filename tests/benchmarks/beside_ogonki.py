"""Scores ogonki, a package that restores Polish diacritics, on the lines that a model is scored on.

    python tests/benchmarks/beside_ogonki.py PAIRS --baseline RUN/baseline.json

PAIRS are lines of input, TAB, target: a run's `holdout.tsv`, or what `text_to_pairs.py` makes. The
words that count are those of the run, so that `hello-infer --score PAIRS` has the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import click
import ogonki
from hello_runtime.text.baseline import read_baseline
from hello_runtime.text.pairs import read_pairs
from hello_runtime.text.score import MODEL, score_outputs, score_table


def restore(texts: Sequence[str]) -> list[str]:
    """Restore lines as one text, as the package reads a file: it looks beyond the line's ends."""
    restored: str = ogonki.restore("\n".join(texts))
    return restored.split("\n")


@click.command()
@click.argument("pairs", type=click.Path(exists=True, path_type=Path))
@click.option("--baseline", required=True, type=click.Path(exists=True, path_type=Path))
def main(pairs: Path, baseline: Path) -> None:
    """Print the table of `hello-train`, with ogonki in the model's place."""
    lines = list(dict.fromkeys(pair for _, pair in read_pairs(pairs)))
    outputs = restore([line.input for line in lines])
    scores = score_outputs(lines, outputs, read_baseline(baseline))
    scores[f"ogonki {version('ogonki')}"] = scores.pop(MODEL)
    click.echo(score_table(scores, "held-out lines"))


if __name__ == "__main__":
    main()
