"""Tries other engines on 25 artifacts, and prints the table of docs/engines.md.

    python tests/benchmarks/other_engines.py --environments DIR [--engine NAME]... [--json FILE]

Without DIR it tries the engines that this Python has. What eager PyTorch computes is the truth.
"""

from __future__ import annotations

import json
import platform
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import click
from engines.artifacts import Kind, kinds, write_artifacts, write_empty
from engines.environments import ENGINES, Engine, NotInstalledError, environment
from engines.outcomes import Steps, Verdict, judge, reason, try_engine

COLUMNS: dict[Verdict, str] = {
    "right": "right",
    "wrong": "silently wrong",
    "fails": "fails at a line",
    "ends": "ends the process",
    "refused": "refused",
}


@dataclass
class Found:
    """What came of the files with an engine."""

    engine: Engine
    version: str = ""
    missing: str = ""
    """Why it was not tried."""
    files: dict[str, Steps] = field(default_factory=dict)
    empty: str = ""
    """What came of an empty line."""


def try_all(
    engines: Sequence[Engine], chosen: list[Kind], environments: Path | None, folder: Path
) -> list[Found]:
    """Try engines on artifacts, which are written to a folder."""
    empty = write_empty(folder)
    files = [*write_artifacts(folder, chosen), empty]
    results = []
    for engine in engines:
        click.echo(engine.name, err=True)
        found = Found(engine)
        results.append(found)
        try:
            python, place, found.version = environment(engine, environments)
            found.files = try_engine(python, engine.adapter, files, place)
            found.empty = outcome_of_empty(found.files.pop(empty.stem))
        except (NotInstalledError, RuntimeError) as error:
            found.missing = " ".join(str(error).split())
    return results


def outcome_of_empty(steps: Steps) -> str:
    """Return what the table says of an empty line; nothing, where none could be read."""
    if "error" in steps["open"]:
        return "–"
    *_, last = steps.values()
    if "ended" in last:
        return f"ends the process ({last['ended']})"
    said = {"error": "an error", "difference": "no characters", "unsuitable": "–", "wrong": "wrong"}
    return next(text for key, text in said.items() if key in last)


def which(some: set[str], chosen: list[Kind]) -> str:
    """Return in few words which artifacts some are, by their names."""
    whole = in_common(some, chosen)
    if whole is not None:
        return whole
    for axis in range(len(chosen[0].traits)):
        parts: dict[str, set[str]] = {}
        for kind in chosen:
            if kind.name in some:
                parts.setdefault(kind.traits[axis], set()).add(kind.name)
        words = [in_common(part, chosen) for part in parts.values()]
        exact = [word for word in words if word is not None]
        if len(exact) == len(words):
            return "; ".join(exact)
    return ", ".join(sorted(some))


def in_common(some: set[str], chosen: list[Kind]) -> str | None:
    """Return the traits that some artifacts have and no others, empty for all, or None."""
    axes = range(len(chosen[0].traits))
    have = [{kind.traits[axis] for kind in chosen if kind.name in some} for axis in axes]

    def meant(limiting: list[int]) -> set[str]:
        return {
            kind.name
            for kind in chosen
            if all(kind.traits[axis] in have[axis] for axis in limiting)
        }

    needed = list(axes)
    for axis in reversed(axes):
        fewer = [each for each in needed if each != axis]
        if meant(fewer) == meant(needed):
            needed = fewer
    if meant(needed) != some:
        return None
    values = [dict.fromkeys(kind.traits[axis] for kind in chosen) for axis in axes]
    return " ".join(
        ", ".join(value for value in values[axis] if value in have[axis]) for axis in needed
    )


def table(results: list[Found], chosen: list[Kind]) -> list[str]:
    """Return the rows in Markdown, one for the versions of an engine that do the same."""
    head = ["engine", "version", "opens", *COLUMNS.values(), "an empty line"]
    versions: dict[tuple[str, ...], list[str]] = {}
    for found in results:
        versions.setdefault((found.engine.name, *cells(found, chosen)), []).append(found.version)
    rows = [[name, ", ".join(each), *rest] for (name, *rest), each in versions.items()]
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def cells(found: Found, chosen: list[Kind]) -> list[str]:
    """Return what the table says of an engine behind its version."""
    if found.missing:
        return ["not tried", *[""] * (len(COLUMNS) + 1)]
    row = [str(sum(steps["open"] == {} for steps in found.files.values()))]
    for verdict in COLUMNS:
        files = {file for file, steps in found.files.items() if judge(steps) == verdict}
        named = which(files, chosen) if verdict != "right" else ""
        row.append(f"{len(files)}: {named}".removesuffix(": ") if files else "")
    return [*row, found.empty]


def reasons(found: Found) -> list[str]:
    """Return the most frequent text for each verdict but `right`."""
    if found.missing:
        return [f"not tried: {found.missing}"]
    lines = []
    for verdict, label in COLUMNS.items():
        texts = Counter(
            reason(steps)[:160] for steps in found.files.values() if judge(steps) == verdict
        )
        if verdict != "right" and texts:
            lines.append(f"{label}: {texts.most_common(1)[0][0]}")
    return lines


def largest_difference(results: list[Found]) -> float:
    """Return the largest difference of a number that counted as right."""
    return max(
        (
            result.get("difference", 0.0)
            for found in results
            for steps in found.files.values()
            for result in steps.values()
        ),
        default=0.0,
    )


@click.command()
@click.option("--environments", type=click.Path(path_type=Path), help="Where they lie, or go.")
@click.option("--engine", "names", multiple=True, help="Only engines of this name.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="What came of each.")
def main(environments: Path | None, names: tuple[str, ...], json_file: Path | None) -> None:
    """Print the table, and what the engines said where they were not right."""
    engines = [
        engine
        for engine in ENGINES
        if (not names or engine.name in names) and (environments or not engine.pinned)
    ]
    if environments:
        environments = environments.resolve()
        environments.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        results = try_all(engines, kinds(), environments, Path(folder))
    today = datetime.now(timezone.utc).date()
    click.echo(f"{len(kinds())} artifacts, {today}, {platform.system()} {platform.machine()}\n")
    click.echo("\n".join(table(results, kinds())))
    click.echo(
        f"\nThe largest difference of a right number is {largest_difference(results):.1e}.\n"
    )
    for found in results:
        for line in reasons(found):
            click.echo(f"- {found.engine.name} {found.version}: {line}")
    if json_file:
        said = {f"{each.engine.name} {each.version}": each.files for each in results}
        json_file.write_text(json.dumps(said, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
