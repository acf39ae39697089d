"""A training run of the tasks `classify` and `next`, from its data to the files in its folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hello_runtime.text.measures import MODEL, Measures

from hello_train.fit.job import TrainingJob, fit, prepare
from hello_train.fit.loop import Ending
from hello_train.fit.remarks import remarks
from hello_train.fit.run import beginning
from hello_train.fit.save import save_run
from hello_train.fit.state import TrainingState
from hello_train.fit.task_evaluation import (
    SAMPLE,
    SAMPLE_SEED,
    ClassEvaluator,
    NextEvaluator,
    accuracies,
    bits_of,
    classified,
    confusions,
    count_models_ahead,
    generate,
)
from hello_train.fit.task_options import LearnedTask, configure_classes, configure_next

if TYPE_CHECKING:
    from hello_train.report.tasks import TaskRun


def run_task(task: LearnedTask, job: TrainingJob) -> TaskRun | None:
    """Train a classifier or a network of `next`, measure it, and save the run in the folder.

    Returns:
        The run; None in a process that does not lead.

    Raises:
        TrainError: the lines or options make no training, it failed, or a file cannot be written.
    """
    resume_file = prepare(job, task)
    by_class = task == "classify"
    config = (configure_classes if by_class else configure_next)(job.lines.train, job.options)
    evaluator = (ClassEvaluator if by_class else NextEvaluator)(job.lines.holdout)
    state, ending = fit(job, config, evaluator, resume_file)
    if not job.team.leads:
        return None
    run = finish(job, state, ending)
    resume_file.remove()
    return run


def finish(job: TrainingJob, state: TrainingState, ending: Ending) -> TaskRun:
    """Measure the trained network, and save all files of the run."""
    from hello_train.report.tasks import TaskRun, task_page

    lines = job.lines
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
    example = beginning(lines.train[0].input) if by_class else ""
    training = job.training(example, {name: dict(row) for name, row in measures.items()})
    perfect = bool(measures) and measures[MODEL].get("accuracy") == 1
    notes = remarks(ending, job.options, count_models_ahead(measures), perfect=perfect)
    run = TaskRun(network.cpu(), training, state.history, measures, *confusion, sample, notes)
    save_run(job.folder, run, task_page(run), lines.holdout)
    return run
