"""The report of a run as one HTML page, from the templates beside this file.

`text.html` is that of a run on lines, `hello.html` that of a run on hello, and `compare.html` shows
several of the latter side by side. What is a number or a picture is made here, what is a sentence
or a table in the templates.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from hello_runtime.text.files import write_whole
from hello_runtime.text.pairs import Pair
from hello_runtime.text.score import Score
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from hello_train.errors import ReportError
from hello_train.network.cells import CELLS
from hello_train.network.checkpoint import Training
from hello_train.network.config import ModelConfig
from hello_train.network.model import Network
from hello_train.report import plots
from hello_train.report.gates import certainty, gates
from hello_train.report.history import Evaluation, History, OutputSpan
from hello_train.report.mistakes import Mistake
from hello_train.report.slowest import LEARNED, OFTEN, slowest
from hello_train.report.visible import character, plain, show

SHOWN_OUTPUTS = 30
"""Largest number of rows in a table of outputs: those of the start and the end."""
TOOLS = ("hello-rnn", "torch", "matplotlib")
"""The packages whose versions a report shows."""


@dataclass(frozen=True)
class Run:
    """What a run found: for its report, and for what the command prints."""

    network: Network
    training: Training
    history: History

    @property
    def config(self) -> ModelConfig:
        """The network's configuration."""
        return self.network.config

    @property
    def weights(self) -> int:
        """The number of weights."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    @property
    def evaluations(self) -> list[Evaluation]:
        """The evaluations of the training."""
        return self.history.evaluations


@dataclass(frozen=True)
class TextRun(Run):
    """A run on lines of text."""

    scores: dict[str, Score]
    """By name, as `score_outputs` gives them; empty if no line was held out."""
    mistakes: list[Mistake]
    """The most frequent first."""
    remarks: Sequence[str] = ()
    """Sentences on what went wrong, and what to change."""


@dataclass(frozen=True)
class HelloRun(Run):
    """A run on hello; its history is that of the last start."""

    pair: Pair
    starts: int = 1
    """The number of starts."""

    @property
    def name(self) -> str:
        """The name of the cell."""
        return CELLS[self.config.cell].title

    @property
    def output(self) -> str:
        """The network's output."""
        return self.network.rewrite(self.pair.input)

    @property
    def certainty(self) -> list[float]:
        """The probability of each character of the target, 0 to 1."""
        return certainty(self.network, self.pair)

    @property
    def first_right(self) -> int | None:
        """The first epoch with the right output, counted from 1; None if there is none."""
        outputs = self.history.outputs
        return next((s.first for s in outputs if s.text == self.pair.target), None)

    @property
    def loss_floor(self) -> float | None:
        """A lower bound of the loss, in nats; None if there is none."""
        return loss_floor(self.config)

    @property
    def loss_before_the_last_tenth(self) -> float:
        """The loss when nine tenths of the epochs were done, in nats."""
        losses = self.history.losses
        return losses[-1 - max(1, len(losses) // 10) :][0]

    @property
    def shown_outputs(self) -> list[OutputSpan | str]:
        """The outputs to show, with a text in place of those left out."""
        outputs: list[OutputSpan | str] = [*self.history.outputs]
        left_out = len(outputs) - SHOWN_OUTPUTS
        if left_out > 0:
            half = SHOWN_OUTPUTS // 2
            outputs[half:-half] = [f"{left_out:,} more"]
        return outputs

    def losses_by_epoch(self, others: Sequence[HelloRun]) -> Markup:
        """Return the curve of the losses, before those of others."""
        return plots.losses_by_epoch(
            self.name,
            self.history.losses,
            [other.history.losses for other in others],
            CELLS[self.config.cell].colour,
            self.first_right,
            self.loss_floor,
        )

    @property
    def gate_pictures(self) -> list[tuple[str, str, Markup]]:
        """Name, meaning and heat map of each gate and state over the input."""
        config, output, cell = self.config, self.output, CELLS[self.config.cell]
        columns = [
            f"{read} \u2192 {out}" for read, out in zip(self.pair.input, output, strict=True)
        ]
        rows = [str(unit) for unit in range(1, config.hidden_size + 1)]
        chosen: list[int] = []
        if units_are_labels(config):
            rows = list(config.output_alphabet)
            chosen = [config.output_alphabet.index(char) for char in output]
        values = gates(self.network, self.pair.input)
        pictures = []
        for name, meaning in cell.meanings.items():
            picture = plots.heat_map(
                f"{self.name}, {name} over {self.pair.input}",
                values[name],
                columns,
                rows[: plots.SHOWN_UNITS],
                is_share=name in cell.between_zero_and_one,
                chosen=chosen if name == "hidden" else [],
            )
            pictures.append((name, meaning.replace("tanh", config.nonlinearity), picture))
        return pictures


def text_page(run: TextRun) -> str:
    """Return the report of a run on lines of text."""
    return PAGES.get_template("text.html").render(run=run)


def hello_page(run: HelloRun) -> str:
    """Return the report of a run on hello."""
    return PAGES.get_template("hello.html").render(run=run)


def compare_page(runs: Sequence[HelloRun]) -> str:
    """Return the report of several runs on hello, at least one, side by side."""
    return PAGES.get_template("compare.html").render(runs=runs)


def loss_floor(config: ModelConfig) -> float | None:
    """Return a lower bound of a network's loss, in nats; None if there is none.

    Without a projection the hidden values are the logits. They lie between -1 and 1: that of an RNN
    is a tanh, that of a GRU a mean of a tanh and the last one, that of an LSTM a tanh times a gate.
    So the right one of n labels has a logit of at most 1, the others of at least -1, and its
    probability is at most e / (e + (n - 1) / e). With a guard n differs between characters.
    """
    if config.projection or config.nonlinearity == "relu" or config.guard is not None:
        return None
    return math.log1p((config.labels - 1) * math.exp(-2))


def common_floor(configs: Sequence[ModelConfig]) -> float | None:
    """Return the lower bound of the loss that all networks share; None if they differ."""
    floors = {loss_floor(config) for config in configs}
    return floors.pop() if len(floors) == 1 else None


def units_are_labels(config: ModelConfig) -> bool:
    """Return whether the hidden units of a network are the logits of its labels."""
    return not (config.projection or config.bidirectional or config.layers > 1)


def nats(probability: float) -> float:
    """Return -ln p; float64's smallest number stands for 0."""
    return -math.log(max(probability, math.ulp(0.0)))


def right(text: str, target: str) -> int:
    """Return the number of characters that are right."""
    return sum(map(str.__eq__, text, target))


def versions() -> str:
    """Return the versions of the packages that made a run."""
    tools = (f"{name} {version(name)}" for name in TOOLS)
    return ", ".join([*tools, f"Python {platform.python_version()}"])


def load_templates() -> Environment:
    """Return the templates; each is compiled when it is first used."""
    pages = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        finalize=show,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters |= {
        "character": character,
        "nats": nats,
        "number": "{:,}".format,
        "percent": lambda share, digits=2: f"{share:.{digits}%}",
        "plain": plain,
    }
    pages.tests["units_are_labels"] = units_are_labels
    pages.globals |= {
        "CELLS": CELLS,
        "LEARNED": LEARNED,
        "OFTEN": OFTEN,
        "SHOWN_UNITS": plots.SHOWN_UNITS,
        "accuracy_curve": plots.accuracy_curve,
        "common_floor": common_floor,
        "exp": math.exp,
        "loss_curve": plots.loss_curve,
        "right": right,
        "slowest": slowest,
        "spark": plots.spark,
        "versions": versions,
    }
    return pages


PAGES = load_templates()


def compile_templates() -> None:
    """Compile all templates now: a user's own modules may be imported after this."""
    for name in PAGES.list_templates():
        PAGES.get_template(name)


def write_report(path: Path, content: str) -> None:
    """Write a page to its file; a ReportError leaves an earlier one as it is."""
    write_whole(path, content.encode(), ReportError)
