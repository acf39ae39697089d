"""Compares every recurrence on every engine, on a million characters each: the long form.

    python tests/benchmarks/parity.py [--characters 1000000] [--hidden-size 128] [--json]

Each network has two layers, 64 values a character, 90 labels, a guard and weights as PyTorch draws
them; it is exported to a folder and opened from there. Exit code 1 if any engine disagrees.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import click
from hello_export.errors import ParityError
from hello_export.proof.cases import grid_cases
from hello_export.proof.engines import Engine
from hello_export.proof.installed import ENGINES
from hello_export.proof.prove import prove
from hello_export.proof.torchscript_engine import TorchScript
from hello_export.proof.verdict import Report, Verdict
from hello_train.network.model import Network
from networks import KINDS, random_network, save


def measure(network: Network, characters: int) -> Report:
    """Export a network and compare the files with it."""
    with tempfile.TemporaryDirectory() as name:
        save(network, Path(name))
        return prove(network, Path(name), grid_cases(network.config, characters))


def table_cell(verdict: Verdict) -> str:
    """Return what the table shows of an engine."""
    if verdict.not_compared:
        return "-"
    if verdict.failure:
        return "fails"
    differences = verdict.text_differences
    shown = (
        f"{verdict.max_difference['logits']:.1e}" if "logits" in verdict.max_difference else "text"
    )
    shown += f", {differences} differ" if differences else ""
    return shown + (f", {verdict.ties} tied" if verdict.ties else "")


@click.command()
@click.option("--characters", default=1_000_000, show_default=True)
@click.option("--hidden-size", default=128, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(characters: int, hidden_size: int, as_json: bool) -> None:
    """Print a row for each network: the largest difference of its logits on each engine."""
    engines: tuple[type[Engine], ...] = (TorchScript, *ENGINES)
    names = [engine.name for engine in engines]
    versions = [f"{engine.name} {engine.installed_version() or 'missing'}" for engine in engines]
    if not as_json:
        click.echo(", ".join(versions))
        click.echo(f"| network | cases | characters | float64 | {' | '.join(names)} |")
        click.echo(f"|---|---|---|---|{'---|' * len(names)}")
    failures = []
    for cell, nonlinearity in KINDS:
        for bidirectional in (False, True):
            network = random_network(
                cell, nonlinearity, bidirectional=bidirectional, hidden_size=hidden_size, layers=2
            )
            report = measure(network, characters)
            name = f"{cell} {'relu ' if nonlinearity == 'relu' else ''}"
            name += "bidirectional" if bidirectional else "causal"
            if as_json:
                click.echo(json.dumps({"network": name, **report.to_json()}))
            else:
                by_name = {verdict.engine: verdict for verdict in report.verdicts}
                columns = [table_cell(by_name[engine]) for engine in names]
                most = max(report.verdicts, key=lambda verdict: verdict.cases)
                click.echo(
                    f"| {name} | {most.cases} | {most.characters} | "
                    f"{table_cell(report.rounding)} | {' | '.join(columns)} |"
                )
            try:
                report.check()
            except ParityError as error:
                failures.append(f"{name}: {error}")
    if failures:
        sys.exit("\n".join(failures))


if __name__ == "__main__":
    main()
