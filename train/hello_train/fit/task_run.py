"""A training run of the tasks `classify` and `next`, from its data to the files in its folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hello_runtime.text.baseline import BASELINE_NAME
from hello_runtime.text.measures import Measures

from hello_train.data.batches import lengths
from hello_train.data.lines import Split
from hello_train.files import REPORT_NAME, RESUME_NAME, RUN_NAMES
from hello_train.fit.callbacks import Callback
from hello_train.fit.holdout import save_holdout
from hello_train.fit.loop import Ending, Trainer
from hello_train.fit.options import TrainOptions
from hello_train.fit.parallel import ALONE, Team
from hello_train.fit.remarks import ending_remarks
from hello_train.fit.resume import ResumeFile
from hello_train.fit.run import Run, beginning, check_equal, describe
from hello_train.fit.state import TrainingState, new_state
from hello_train.fit.task_evaluation import (
    SAMPLE,
    SAMPLE_SEED,
    ClassEvaluator,
    NextEvaluator,
    accuracies,
    behind,
    bits_of,
    classified,
    confusions,
    generate,
)
from hello_train.fit.task_options import LearnedTask, configure_classes, configure_next
from hello_train.network.checkpoint import Training, check_writable, save_checkpoint


@dataclass(frozen=True)
class TaskRun(Run):
    """The result of a run of one of these tasks; `measures` takes the place of `scores`."""

    measures: dict[str, Measures] = field(default_factory=dict)
    """On the held-out lines, by the name of what was measured; empty without such lines."""
    confusion: tuple[tuple[str, ...], list[list[int]]] = ((), [])
    """The most frequent classes, and how often a line of each got each of them."""
    sample: str = ""
    """What the network of `next` draws."""


def run_task(
    task: LearnedTask,
    lines: Split,
    data: str,
    options: TrainOptions,
    folder: Path,
    callbacks: Sequence[Callback] = (),
    *,
    resume: bool = False,
    team: Team = ALONE,
) -> TaskRun | None:
    """Train a classifier or a network of `next`, measure it, and save the run in the folder.

    Args:
        task: what is learned.
        lines: those to train on, and those held out: texts with their class, or passages.
        data: the names of their files.
        options: those of the network and the training.
        folder: where the run is saved, and its resume file.
        callbacks: called during the training.
        resume: whether to continue from the resume file.
        team: the processes that train together.

    Returns:
        The run; None in a process that does not lead.

    Raises:
        TrainError: the lines or options make no training, it failed, or a file cannot be written.
    """
    identity = check_equal(lines, task, options, team)
    check_writable(folder, (*RUN_NAMES, RESUME_NAME))
    config = (configure_classes if task == "classify" else configure_next)(lines.train, options)
    state = new_state(config, options, team)
    resume_file = ResumeFile(folder, identity)
    if resume:
        resume_file.restore(state, team)
    for callback in callbacks:
        unit = "line" if task == "classify" else "passage"
        callback.on_begin(describe(lines, options, team, unit))
    evaluator = (ClassEvaluator if task == "classify" else NextEvaluator)(lines.holdout)
    ending = Trainer(state, lines.train, options, callbacks, evaluator, resume_file, team).run()
    if not team.leads:
        return None
    run = finish(state, ending, lines, data, options, folder)
    resume_file.remove()
    return run


def finish(
    state: TrainingState,
    ending: Ending,
    lines: Split,
    data: str,
    options: TrainOptions,
    folder: Path,
) -> TaskRun:
    """Measure the trained network, and save all files of the run."""
    from hello_train.report.pages import write_report
    from hello_train.report.tasks import ShownTask, task_page

    network = state.network.eval()
    by_class = network.config.task == "classify"
    measures: dict[str, Measures] = {}
    confusion: tuple[tuple[str, ...], list[list[int]]] = ((), [])
    if lines.holdout and by_class:
        found = classified(network, [pair.input for pair in lines.holdout])
        measures = accuracies(lines, found)
        confusion = confusions(lines.holdout, found)
    elif lines.holdout:
        measures = bits_of(network, lines)
    sample = "" if by_class else generate(network, SAMPLE, SAMPLE_SEED)[0]
    training = Training(
        data=data,
        example=beginning(lines.train[0].input) if by_class else "",
        seed=options.seed,
        characters=int(lengths(lines.train).sum()),
        scores={name: dict(row) for name, row in measures.items()},
    )
    save_holdout(folder, lines.holdout, network.config.task)
    (folder / BASELINE_NAME).unlink(missing_ok=True)
    notes = ending_remarks(ending, options) + behind(measures)
    checkpoint = save_checkpoint(folder, network.cpu(), training)
    run = TaskRun(
        network, training, checkpoint, state.history, {}, notes, measures, confusion, sample
    )
    shown = ShownTask(network, training, state.history, measures, *confusion, sample, notes)
    write_report(folder / REPORT_NAME, task_page(shown))
    return run
