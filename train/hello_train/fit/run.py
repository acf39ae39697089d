"""One training run on lines of text, from its data to all that it leaves in its folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from hello_runtime.text.baseline import BASELINE_NAME, write_baseline
from hello_runtime.text.pairs import Pair, is_writable, read_pairs, write_pairs
from hello_runtime.text.score import Score, score_outputs

from hello_train.data.alphabets import (
    changeable,
    check_changes,
    choose_alphabets,
    count_substitutions,
    fingerprint,
    keeps_case,
)
from hello_train.data.batches import lengths
from hello_train.data.lines import Split
from hello_train.errors import TeamError
from hello_train.fit.evaluation import Evaluator
from hello_train.fit.history import History
from hello_train.fit.loop import Ending, Fitting, State, Watcher, new_state
from hello_train.fit.options import TrainOptions, configure
from hello_train.fit.parallel import ALONE, Team
from hello_train.fit.remarks import remarks
from hello_train.fit.score import count_baseline, mistakes
from hello_train.fit.unfinished import FILE_NAME as UNFINISHED_NAME
from hello_train.fit.unfinished import Unfinished
from hello_train.network.checkpoint import FILE_NAME, Training, check_writable, save_checkpoint
from hello_train.network.config import ModelConfig
from hello_train.network.model import Network

EXAMPLE_LENGTHS = range(20, 61)
"""Characters in a line that makes a good example."""
HOLDOUT_NAME = "holdout.tsv"
"""The held-out lines of a run, beside its checkpoint."""
REPORT_NAME = "report.html"
"""What happened in a run, as a page for people."""
RUN_NAMES = (FILE_NAME, HOLDOUT_NAME, BASELINE_NAME, REPORT_NAME)
"""All that a run leaves."""


@dataclass(frozen=True)
class Run:
    """What a run left behind."""

    network: Network
    training: Training
    checkpoint: Path
    history: History
    scores: dict[str, Score]
    """By name, as `score_outputs` gives them; empty without held-out lines."""
    remarks: list[str] = field(default_factory=list)
    """What should be changed, in sentences."""

    @property
    def config(self) -> ModelConfig:
        """The network's configuration."""
        return self.network.config


def run_lines(
    lines: Split,
    data: str,
    options: TrainOptions,
    folder: Path,
    watcher: Watcher,
    *,
    resume: bool = False,
    team: Team = ALONE,
) -> Run | None:
    """Train on aligned lines, judge by the held-out ones, and save the checkpoint in the folder.

    Args:
        lines: those to learn, and those to judge by.
        data: where they came from, in words.
        options: the network and the training.
        folder: the folder of the run.
        watcher: is told of the progress.
        resume: whether to go on with a training that was not finished.
        team: the processes that train together.

    Returns:
        The run; None in a process that does not lead.

    Raises:
        TrainError: the lines or options make no training, it failed, or it cannot be saved.
    """
    substitutions = count_substitutions(lines.train)
    check_changes(substitutions)
    alphabets = choose_alphabets(substitutions, options.rare if options.unknown == "copy" else 0)
    identity = {
        **asdict(options),
        "lines": lines.fingerprint,
        "substitutions": fingerprint(substitutions),
        "processes": team.size,
    }
    if not team.all_have(identity):
        raise TeamError(
            "the processes do not learn the same lines in the same way; give all hosts the same "
            "files and options"
        )
    if not keeps_case(alphabets.guard):
        options = replace(options, case_rate=0.0)
    check_writable(folder, (*RUN_NAMES, UNFINISHED_NAME))
    state = new_state(configure(options, alphabets), options, team)
    unfinished = Unfinished(folder, identity)
    if resume:
        if not team.all_have(unfinished.digest()):
            raise TeamError(
                f"{folder}: not every process sees the same unfinished training there; put "
                f"--output on a disk that all hosts share"
            )
        unfinished.restore(state)
    watcher.begin(describe(lines, options, team))
    evaluator = Evaluator(lines.holdout)
    ending = Fitting(state, lines.train, options, watcher, evaluator, unfinished, team).run()
    if not team.leads:
        return None
    run = finish_run(state, ending, lines, data, options, folder, changeable(substitutions))
    unfinished.remove()
    return run


def describe(lines: Split, options: TrainOptions, team: Team) -> str:
    """Return in words what a training learns, with what and for how long."""
    if options.epochs is None:
        length = f"{options.minutes:g} minutes"
    else:
        length = count(options.epochs, "epoch")
    return (
        f"{count(len(lines.train), 'line')} to learn, {len(lines.holdout)} held out, on "
        f"{team.device.type}: {options.cell} of {options.hidden_size}, {length}"
    )


def count(number: int, noun: str) -> str:
    """Return a number of things in words: `1 line`, `2 lines`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def finish_run(
    state: State,
    ending: Ending,
    lines: Split,
    data: str,
    options: TrainOptions,
    folder: Path,
    changeable: frozenset[str],
) -> Run:
    """Score a trained network, and save all that its run leaves."""
    from hello_train.report.pages import TextRun, text_page, write_report

    outputs = state.network.eval().rewrite_lines([pair.input for pair in lines.holdout])
    network = state.network.cpu()
    baseline = count_baseline(lines.train, changeable)
    scores = score_outputs(lines.holdout, outputs, baseline) if lines.holdout else {}
    training = Training(
        data=data,
        example=choose_example(lines, network.config.input_alphabet),
        seed=options.seed,
        characters=int(lengths(lines.train).sum()),
        scores={name: score._asdict() for name, score in scores.items()},
    )
    save_holdout(folder, lines.holdout)
    write_baseline(folder / BASELINE_NAME, baseline)
    checkpoint = save_checkpoint(folder, network, training)  # last: it says that all is there
    told = TextRun(network, training, state.history, scores, mistakes(outputs, lines.holdout))
    write_report(folder / REPORT_NAME, text_page(told))
    found = remarks(ending, options, scores)
    return Run(network, training, checkpoint, state.history, scores, found)


def save_holdout(folder: Path, pairs: Sequence[Pair]) -> None:
    """Write the held-out lines of a run, or remove those of an earlier one."""
    if any(map(is_writable, pairs)):
        write_pairs(folder / HOLDOUT_NAME, pairs)
    else:
        (folder / HOLDOUT_NAME).unlink(missing_ok=True)


def read_holdout(folder: Path) -> list[Pair]:
    """Return the held-out lines of a run; none where it kept none.

    Raises:
        InputError: the file is damaged.
    """
    file = folder / HOLDOUT_NAME
    return [pair for _, pair in read_pairs(file)] if file.is_file() else []


def choose_example(lines: Split, alphabet: str) -> str:
    """Return the input of a line of handy length that has something to rewrite.

    One whose characters are all in the alphabet, so that every model can be asked for it.
    """
    known = set(alphabet)
    pairs = [pair for pair in lines.holdout if known.issuperset(pair.input)] or lines.train
    for pair in pairs:
        if pair.input != pair.target and len(pair.input) in EXAMPLE_LENGTHS:
            return pair.input
    return pairs[0].input[: max(EXAMPLE_LENGTHS)]
