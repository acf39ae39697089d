"""The command of a package that has its model inside, as `hello-export --package` writes it.

It is `hello-infer` for one model. Packages that are installed somewhere call `packaged_command`,
and `run_command` and `forget_current_folder` of `hello_runtime.process`: these names stay.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hello_runtime.cli import DRAWING, SECTIONS, main
from hello_runtime.command import Command

if TYPE_CHECKING:
    from hello_runtime.model.tasks import Task

LINES = "Each TEXT is a line. Without TEXT, or with -, the lines come from the standard input."
HELP = {
    "rewrite": f"Rewrite each line of text.\n\n{LINES}",
    "classify": f"Print the class of each line of text.\n\n{LINES}",
    "next": "Generate text, one character after the other.",
}
"""The help of the command, for each task."""
GENERATION = ("generate", *DRAWING)
LEFT_OUT = {
    "rewrite": GENERATION,
    "classify": (*GENERATION, "stream"),
    "next": ("texts", "input_file", "stream", "generate"),
}
"""Parameters of `hello-infer` that are nothing to a model of each task."""
CHARACTERS = 200
"""How many characters a model of the task `next` draws, if nothing else is asked of it."""
GENERATE = click.Option(
    ["--generate"],
    type=click.IntRange(min=1),
    metavar="N",
    help=f"Print the prompt and N more characters, as they are drawn.  [default: {CHARACTERS}]",
)
"""The option of such a model, in the place of the one of `hello-infer`."""


def packaged_command(
    name: str, file: Path, version: str, task: Task, *, causal: bool
) -> click.Command:
    """Return the command of a package: `hello-infer` without the options for other models.

    Args:
        name: of the command.
        file: the model.
        version: of the package.
        task: the model's.
        causal: whether the model reads from left to right only.
    """
    left_out = {"model", "cell", "version", *LEFT_OUT[task], *(() if causal else ("stream",))}
    parameters = [parameter for parameter in main.params if parameter.name not in left_out]
    if task == "next":
        parameters.append(GENERATE)

    def run(**given: Any) -> None:
        if task == "next" and not (given["info"] or given["pairs"]):
            given["generate"] = given["generate"] or CHARACTERS
        context = main.make_context(name, [])
        context.params |= {**given, "model": file}
        main.invoke(context)

    offered = {parameter.name for parameter in parameters}
    sections = {
        title: kept
        for title, names in SECTIONS.items()
        if (kept := [option for option in names if option in offered])
    }
    command = Command(name, params=parameters, callback=run, help=HELP[task], sections=sections)
    return click.version_option(version, prog_name=name)(command)
