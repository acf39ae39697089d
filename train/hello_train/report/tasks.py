"""The report of a run of the tasks `classify` and `next`, from the template `task.html`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hello_runtime.text.measures import FORMATS, TITLES

from hello_train.report.history import Evaluation
from hello_train.report.pages import PAGES, Run

if TYPE_CHECKING:
    from hello_runtime.text.measures import Measures


@dataclass(frozen=True)
class TaskRun(Run):
    """A run of one of these tasks."""

    measures: Mapping[str, Measures]
    """On the held-out lines, by the name of what was measured; empty without such lines."""
    classes: Sequence[str]
    """The most frequent classes, those of the confusion matrix; none of the task `next`."""
    confusion: Sequence[Sequence[int]]
    """[classes][classes]: how often a line of the first got the second."""
    sample: str
    """What the trained network draws; empty for a classifier."""
    remarks: Sequence[str]

    @property
    def by_class(self) -> bool:
        """Whether it is a classifier."""
        return self.config.task == "classify"

    @property
    def columns(self) -> dict[str, str]:
        """The titles of the measures, by name."""
        return {name: TITLES[name] for name in next(iter(self.measures.values()))}

    def cell(self, measures: Measures, name: str) -> str:
        """Return a measure in words."""
        value = measures[name]
        return f"{value:,}" if isinstance(value, int) else FORMATS[name].format(value)

    def quality(self, evaluation: Evaluation) -> str:
        """Return what an evaluation found, in words."""
        return quality_of(self.by_class, evaluation.accuracy)


def quality_of(by_class: bool, accuracy: float) -> str:
    """Return the quality of an evaluation in words: the share that is right, or bits.

    >>> quality_of(True, 0.5), quality_of(False, 0.25)
    ('50.00% right', '2.000 bits')
    """
    if by_class:
        return f"{accuracy:.2%} right"
    return f"{-math.log2(max(accuracy, math.ulp(0.0))):.3f} bits"


def task_page(run: TaskRun) -> str:
    """Return the report of a run."""
    return PAGES.get_template("task.html").render(run=run)
