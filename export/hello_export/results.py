"""What `hello-export` prints: the proof, and what to do next."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from hello_export.artifact import Export
    from hello_export.job import ExportJob
    from hello_export.proof.verdict import Report


def show_export(made: Export, job: ExportJob, package: str | None) -> None:
    """Print the proof, and the command that decodes with the model, or that builds the wheel."""
    folder, example = job.folder, job.training.example
    show_proof(made.report)
    if made.cost:
        click.echo(f"{job.storage}: {made.cost}")
    if package:
        # Without a slash pip takes it for the name of a distribution, and asks its index.
        project = folder if folder.is_absolute() else f"./{folder}"
        click.echo(f"saved {folder}; its README says how to install the wheel that this builds:")
        click.echo(shlex.join(["pip", "wheel", "--no-deps", str(project)]))
        return
    click.echo(f"saved {folder}; now, with or without torch:")
    arguments = [example] if example[:1] != "-" else ["--", example]
    if job.network.config.task == "next":
        prompt = [] if "\n" in job.network.config.input_alphabet else ["--prompt", example[:1]]
        arguments = ["--generate", "200", *prompt]
    click.echo(shlex.join(["hello-infer", "--model", str(folder), *arguments]))


def show_page(page: Path, size: int) -> None:
    """Print a page's size in bytes, and why its JavaScript was not compared, if it was not."""
    from hello_export.proof.javascript import JavaScript

    if missing := JavaScript.missing():
        click.echo(f"note: the JavaScript of the page was not compared: {missing}", err=True)
    click.echo(f"saved {page}, {size} bytes: open it in a browser")


def show_proof(report: Report) -> None:
    """Print the table of a proof to stdout, and a line to stderr for each witness's fault."""
    from hello_export.proof.table import proof_table, warnings

    click.echo(proof_table(report))
    for line in warnings(report):
        click.echo(line, err=True)
