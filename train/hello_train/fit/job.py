"""A training on lines, of any task: what it takes, and how its network is fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hello_train.data.batches import lengths
from hello_train.data.lines import Split
from hello_train.errors import TeamError
from hello_train.files import RESUME_NAME, RUN_NAMES
from hello_train.fit.callbacks import Callback
from hello_train.fit.evaluation import Evaluator
from hello_train.fit.loop import Ending, Trainer
from hello_train.fit.options import TrainOptions
from hello_train.fit.parallel import ALONE, Team
from hello_train.fit.resume import ResumeFile
from hello_train.fit.save import check_writable
from hello_train.fit.state import TrainingState, new_state
from hello_train.fit.threads import describe_threads
from hello_train.network.checkpoint import Training
from hello_train.network.config import ModelConfig
from hello_train.words import count


@dataclass(frozen=True)
class TrainingJob:
    """What is learned, how, and where the run is saved."""

    lines: Split
    """Those to train on, and those held out: pairs, texts with their class, or passages."""
    data: str
    """The names of their files, and of the corruption."""
    options: TrainOptions
    """Those of the network and the training."""
    folder: Path
    """Where the run is saved, and its resume file."""
    callbacks: Sequence[Callback] = ()
    """Called during the training."""
    resume: bool = False
    """Whether to continue from the resume file."""
    team: Team = ALONE
    """The processes that train together."""

    def training(self, example: str, scores: dict[str, dict[str, Any]]) -> Training:
        """Return the description of the trained network, with an example and its scores."""
        return Training(
            data=self.data,
            example=example,
            seed=self.options.seed,
            characters=int(lengths(self.lines.train).sum()),
            scores=scores,
        )


def prepare(job: TrainingJob, learned: str) -> ResumeFile:
    """Check that a job is equal in all processes and can be saved; return its resume file.

    Args:
        job: the training.
        learned: what it makes of the lines: the task, or a digest of what the corruption changes.

    Raises:
        TeamError: a process has other lines or options.
        CheckpointError: the run cannot be saved.
    """
    identity = {
        **asdict(job.options),
        "lines": job.lines.fingerprint,
        "substitutions": learned,
        "processes": job.team.size,
    }
    if not job.team.all_have(identity):
        raise TeamError(
            "the processes have different lines or options; give all hosts the same files and "
            "options"
        )
    check_writable(job.folder, (*RUN_NAMES, RESUME_NAME))
    return ResumeFile(job.folder, identity)


def fit(
    job: TrainingJob, config: ModelConfig, evaluator: Evaluator, resume_file: ResumeFile
) -> tuple[TrainingState, Ending]:
    """Train a new network, or that of the resume file, to the end.

    Raises:
        TrainError: the training failed, or the resume file is that of another one.
    """
    state = new_state(config, job.options, job.team)
    if job.resume:
        resume_file.restore(state, job.team)
    for callback in job.callbacks:
        callback.on_begin(describe(job, "passage" if config.task == "next" else "line"))
    trainer = Trainer(
        state, job.lines.train, job.options, job.callbacks, evaluator, resume_file, job.team
    )
    return state, trainer.run()


def describe(job: TrainingJob, unit: str) -> str:
    """Return one line on a training: its lines, device, network and length."""
    options, device = job.options, job.team.device
    threads = describe_threads(job.team, options)
    if options.epochs is None:
        length = f"{options.minutes:g} minutes"
    else:
        length = count(options.epochs, "epoch")
    return (
        f"{count(len(job.lines.train), unit)} to learn, {len(job.lines.holdout)} held out, on "
        f"{device.type}{threads}: {options.cell} of {options.hidden_size}, {length}"
    )
