"""A training run on lines of text, from its data to the files in its folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from hello_runtime.text.baseline import BASELINE_NAME, write_baseline
from hello_runtime.text.score import Score, score_outputs

from hello_train.data.alphabets import (
    Alphabets,
    check_changes,
    choose_alphabets,
    count_substitutions,
    fingerprint,
    keeps_case,
)
from hello_train.data.batches import lengths
from hello_train.data.lines import Split
from hello_train.errors import TeamError
from hello_train.files import REPORT_NAME, RESUME_NAME, RUN_NAMES
from hello_train.fit.callbacks import Callback
from hello_train.fit.evaluation import Evaluator
from hello_train.fit.holdout import save_holdout
from hello_train.fit.loop import Ending, Trainer
from hello_train.fit.options import TrainOptions, configure
from hello_train.fit.parallel import ALONE, Team
from hello_train.fit.remarks import dropped_labels, remarks
from hello_train.fit.resume import Identity, ResumeFile
from hello_train.fit.score import count_baseline
from hello_train.fit.state import TrainingState, new_state
from hello_train.network.checkpoint import Training, check_writable, save_checkpoint
from hello_train.network.config import ModelConfig
from hello_train.network.model import Network
from hello_train.report.history import History
from hello_train.report.mistakes import mistakes

EXAMPLE_LENGTHS = range(20, 61)
"""Characters of a line that makes a good example."""


@dataclass(frozen=True)
class Run:
    """The result of a run."""

    network: Network
    training: Training
    checkpoint: Path
    history: History
    scores: dict[str, Score]
    """By name, as `score_outputs` gives them; empty without held-out lines."""
    remarks: list[str] = field(default_factory=list)
    """Sentences on what went wrong, and what to change."""

    @property
    def config(self) -> ModelConfig:
        """The network's configuration."""
        return self.network.config


def run_lines(
    lines: Split,
    data: str,
    options: TrainOptions,
    folder: Path,
    callbacks: Sequence[Callback] = (),
    *,
    resume: bool = False,
    team: Team = ALONE,
) -> Run | None:
    """Train on lines, evaluate on the held-out ones, and save the run in the folder.

    Args:
        lines: those to train on, and those held out.
        data: the names of their files and of the corruption.
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
    substitutions = count_substitutions(lines.train)
    check_changes(substitutions, data)
    identity = check_equal(lines, fingerprint(substitutions), options, team)
    check_writable(folder, (*RUN_NAMES, RESUME_NAME))
    alphabets = choose_alphabets(
        substitutions, options.floor, options.most_labels, keep=options.keep
    )
    if not keeps_case(alphabets):
        options = replace(options, case_rate=0.0)
    state = new_state(configure(options, alphabets), options, team)
    resume_file = ResumeFile(folder, identity)
    if resume:
        resume_file.restore(state, team)
    for callback in callbacks:
        callback.on_begin(describe(lines, options, team))
    evaluator = Evaluator(lines.holdout)
    ending = Trainer(state, lines.train, options, callbacks, evaluator, resume_file, team).run()
    if not team.leads:
        return None
    run = finish_run(state, ending, lines, data, options, folder, alphabets)
    resume_file.remove()
    return run


def check_equal(lines: Split, substitutions: str, options: TrainOptions, team: Team) -> Identity:
    """Return what identifies a training, after a check that it is equal in all processes.

    Args:
        lines: those to train on, and those held out.
        substitutions: a digest of what the corruption changes.
        options: those of the network and the training.
        team: the processes that train together.

    Raises:
        TeamError: a process has other lines or options.
    """
    identity = {
        **asdict(options),
        "lines": lines.fingerprint,
        "substitutions": substitutions,
        "processes": team.size,
    }
    if not team.all_have(identity):
        raise TeamError(
            "the processes have different lines or options; give all hosts the same files and "
            "options"
        )
    return identity


def describe(lines: Split, options: TrainOptions, team: Team, unit: str = "line") -> str:
    """Return one line on the training: its lines, device, network and length."""
    if options.epochs is None:
        length = f"{options.minutes:g} minutes"
    else:
        length = count(options.epochs, "epoch")
    return (
        f"{count(len(lines.train), unit)} to learn, {len(lines.holdout)} held out, on "
        f"{team.device.type}: {options.cell} of {options.hidden_size}, {length}"
    )


def count(number: int, noun: str) -> str:
    """Return a number with its noun.

    >>> count(1, "line"), count(2, "line")
    ('1 line', '2 lines')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def finish_run(
    state: TrainingState,
    ending: Ending,
    lines: Split,
    data: str,
    options: TrainOptions,
    folder: Path,
    alphabets: Alphabets,
) -> Run:
    """Score the trained network, and save all files of the run."""
    from hello_train.report.pages import TextRun, text_page, write_report

    outputs = state.network.eval().rewrite_lines([pair.input for pair in lines.holdout])
    network = state.network.cpu()
    baseline = count_baseline(lines.train, alphabets.changeable)
    scores = score_outputs(lines.holdout, outputs, baseline) if lines.holdout else {}
    notes = [*dropped_labels(alphabets), *remarks(ending, options, scores)]
    training = Training(
        data=data,
        example=choose_example(lines, network.config.input_alphabet),
        seed=options.seed,
        characters=int(lengths(lines.train).sum()),
        scores={name: score._asdict() for name, score in scores.items()},
    )
    save_holdout(folder, lines.holdout)
    write_baseline(folder / BASELINE_NAME, baseline)
    checkpoint = save_checkpoint(folder, network, training)  # after what belongs to it
    wrong = mistakes(outputs, lines.holdout)
    page = text_page(TextRun(network, training, state.history, scores, wrong, notes))
    write_report(folder / REPORT_NAME, page)
    return Run(network, training, checkpoint, state.history, scores, notes)


def choose_example(lines: Split, alphabet: str) -> str:
    """Return the input of a line of handy length that changes.

    Its characters are all in the alphabet, so that every engine can decode it.
    """
    known = set(alphabet)
    pairs = [pair for pair in lines.holdout if known.issuperset(pair.input)] or lines.train
    for pair in pairs:
        if pair.input != pair.target and len(pair.input) in EXAMPLE_LENGTHS:
            return pair.input
    return pairs[0].input[: max(EXAMPLE_LENGTHS)]
