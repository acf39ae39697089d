"""A training run on lines of text, from its data to the files in its folder."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hello_runtime.text.score import score_outputs

from hello_train.data.alphabets import (
    Alphabets,
    check_changes,
    choose_alphabets,
    count_substitutions,
    fingerprint,
    keeps_case,
)
from hello_train.data.clusters import cut_at
from hello_train.data.lines import Split
from hello_train.fit.counting import count_baseline
from hello_train.fit.evaluation import Evaluator
from hello_train.fit.job import TrainingJob, fit, prepare
from hello_train.fit.loop import Ending
from hello_train.fit.options import configure
from hello_train.fit.remarks import dropped_labels, remarks, simpler_rows_ahead
from hello_train.fit.save import save_run
from hello_train.fit.state import TrainingState
from hello_train.report.mistakes import mistakes

if TYPE_CHECKING:
    from hello_train.report.pages import TextRun

EXAMPLE_LENGTHS = range(20, 61)
"""Characters of a line that makes a good example."""


def run_lines(job: TrainingJob) -> TextRun | None:
    """Train on pairs, evaluate on the held-out ones, and save the run in the folder.

    Returns:
        The run; None in a process that does not lead.

    Raises:
        TrainError: the lines or options make no training, it failed, or a file cannot be written.
    """
    options = job.options
    substitutions = count_substitutions(job.lines.train)
    check_changes(substitutions, job.data)
    resume_file = prepare(job, fingerprint(substitutions))
    alphabets = choose_alphabets(
        substitutions, options.floor, options.most_labels, keep=options.keep
    )
    if not keeps_case(alphabets):
        options = replace(options, case_rate=0.0)
    job = replace(job, options=options)
    evaluator = Evaluator(job.lines.holdout)
    state, ending = fit(job, configure(options, alphabets), evaluator, resume_file)
    if not job.team.leads:
        return None
    run = finish_run(job, state, ending, alphabets)
    resume_file.remove()
    return run


def finish_run(
    job: TrainingJob, state: TrainingState, ending: Ending, alphabets: Alphabets
) -> TextRun:
    """Score the trained network, and save all files of the run."""
    from hello_train.report.pages import TextRun, text_page

    lines = job.lines
    outputs = state.network.eval().rewrite_lines([pair.input for pair in lines.holdout])
    network = state.network.cpu()
    baseline = count_baseline(lines.train, alphabets.changeable)
    scores = score_outputs(lines.holdout, outputs, baseline) if lines.holdout else {}
    ahead, perfect = simpler_rows_ahead(scores), bool(scores) and scores["model"].lines == 1
    found = remarks(ending, job.options, ahead, perfect=perfect)
    notes = [*dropped_labels(alphabets), *found]
    example = choose_example(lines, network.config.input_alphabet)
    training = job.training(example, {name: score._asdict() for name, score in scores.items()})
    wrong = mistakes(outputs, lines.holdout)
    run = TextRun(network, training, state.history, scores, wrong, notes)
    save_run(job.folder, run, text_page(run), lines.holdout, baseline)
    return run


def choose_example(lines: Split, alphabet: str) -> str:
    """Return the input of a line of handy length that changes.

    Its characters are all in the alphabet, so that every engine can decode it.
    """
    known = set(alphabet)
    pairs = [pair for pair in lines.holdout if known.issuperset(pair.input)] or lines.train
    for pair in pairs:
        if pair.input != pair.target and len(pair.input) in EXAMPLE_LENGTHS:
            return pair.input
    return beginning(pairs[0].input)


def beginning(text: str) -> str:
    """Return the beginning of a text that makes a good example; no letter loses its marks."""
    return text[: cut_at(text, max(EXAMPLE_LENGTHS), -1)]
