"""Measures of models that do not rewrite: the accuracy of a classifier, or bits per character."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

Measures: TypeAlias = "Mapping[str, float | int]"
"""What was measured, by name: `accuracy` and `line_count`, or `bits` and `character_count`."""

MODEL, MOST_FREQUENT = "model", "most frequent class"
"""What is measured, beside what was counted."""
FORMATS = {"accuracy": "{:.2%}", "bits": "{:.3f}", "line_count": "{}", "character_count": "{}"}
TITLES = {
    "accuracy": "accuracy",
    "bits": "bits per character",
    "line_count": "lines",
    "character_count": "characters",
}


def measures_table(rows: Mapping[str, Measures], title: str) -> str:
    """Return measures as a table for people.

    >>> print(measures_table({"model": {"accuracy": 0.75, "line_count": 4}}, "scored lines"))
    scored lines              accuracy       lines
    model                       75.00%           4
    """
    names = [*next(iter(rows.values()))]
    width = max(22, *map(len, rows))
    columns = [max(10, len(TITLES[name])) for name in names]
    line = "  ".join([f"{{:<{width}}}", *(f"{{:>{column}}}" for column in columns)]).format
    lines = [line(title, *(TITLES[name] for name in names))]
    for row, measures in rows.items():
        lines.append(line(row, *(FORMATS[name].format(measures[name]) for name in names)))
    return "\n".join(lines)
