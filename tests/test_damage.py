"""Damaged state files: each is refused in one line or does no harm, and none takes the memory that
it asks for."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from damage import OURS, changed, damaged, join, little_memory, split
from hello_train.errors import CheckpointError, ConfigError, ResumeError, TrainError
from hello_train.files import RESUME_NAME
from hello_train.fit.evaluation import Evaluator
from hello_train.fit.hello import HELLO, HELLO_ALPHABETS
from hello_train.fit.loop import Trainer
from hello_train.fit.options import TrainOptions, configure
from hello_train.fit.parallel import ALONE
from hello_train.fit.resume import ResumeFile
from hello_train.fit.state import TrainingState, new_state
from hello_train.network.checkpoint import load_checkpoint, save_checkpoint
from hello_train.network.config import LARGEST_TABLE
from hello_train.network.model import Network
from helpers import TRAINING, make_network

FILES = int(os.environ.get("DAMAGED_FILES", "400"))
"""Files of each kind."""
MEMORY = 256 << 20
LONGEST = 700
"""Characters of an error, at most."""
OPTIONS = TrainOptions(epochs=6)
IDENTITY = {"seed": 0, "lines": "abc"}


def use_checkpoint(path: Path) -> None:
    """Do with a checkpoint what is done with one."""
    network, training = load_checkpoint(path)
    network.rewrite(training.example[:100])
    save_checkpoint(path.parent / "again", network, training)


def new_training() -> TrainingState:
    return new_state(configure(OPTIONS, HELLO_ALPHABETS), OPTIONS, ALONE)


class Half(Evaluator):
    """Finds a half of some characters right."""

    def __init__(self) -> None:
        super().__init__([])

    def evaluate(self, _: Network) -> dict[str, tuple[int, int]]:
        return {"a": (1, 2), "b": (0, 1)}


def use_resume_file(path: Path) -> None:
    """Resume a training and finish it."""
    state = new_training()
    ResumeFile(path.parent, IDENTITY).restore(state)
    Trainer(state, [HELLO], OPTIONS, (), Half(), ResumeFile(path.parent / "b", {})).run()


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return save_checkpoint(tmp_path, make_network("lstm", guarded=True, layers=2), TRAINING)


@pytest.fixture
def resume_file(tmp_path: Path) -> Path:
    """Return the resume file of a training after three of its six epochs."""
    state = new_training()
    file = ResumeFile(tmp_path, IDENTITY)
    Trainer(state, [HELLO], OPTIONS, (), Half(), file).run()
    state.position.epoch, state.position.batch = 4, 0
    file.save(state)
    return tmp_path / RESUME_NAME


def outcomes(path: Path, use: Callable[[Path], None]) -> Counter[str]:
    """Use a file in many states of damage; return how often it worked, or failed in which way."""
    content, found = path.read_bytes(), Counter[str]()
    use(path)
    for seed in range(FILES):
        path.write_bytes(damaged(content, seed))
        said = "worked"
        try:
            with little_memory(MEMORY):
                use(path)
        except TrainError as error:
            said = f"{type(error).__name__}: {error}".replace(str(path), "")
        assert len(said) < LONGEST, (seed, said)
        assert "\n" not in said, (seed, said)
        found[said.partition(":")[0]] += 1
    return found


def test_damaged_checkpoints(checkpoint: Path) -> None:
    found = outcomes(checkpoint, use_checkpoint)
    assert found.keys() == {"CheckpointError", "worked"}
    assert min(found.values()) >= FILES / 100


def test_damaged_resume_files(resume_file: Path) -> None:
    found = outcomes(resume_file, use_resume_file)
    assert found.keys() == {"ResumeError", "worked"}
    assert min(found.values()) >= FILES / 100


def test_memory_that_is_not_there_would_be_found() -> None:
    with little_memory(MEMORY), pytest.raises(MemoryError):
        bytearray(2 * MEMORY)


PLACE = (*OURS, "place")
EVALUATION = (*OURS, "history", "evaluations", 0)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ((*OURS, "identity"), 3, "damaged .identity is 3.; run the training without --resume"),
        ((*OURS, "identity"), {}, "whose lines was None and not 'abc', seed was None and not 0"),
        ((*OURS, "format_version"), True, "format_version is True"),
        ((*OURS, "history"), "NESTED", "damaged .*recursion"),
        ((*OURS, "history"), [], "damaged .\\[\\] is not an object"),
        ((*PLACE, "epoch"), "4", "epoch is '4'"),
        ((*PLACE, "step"), 4.0, "step is 4.0"),
        ((*PLACE, "step"), 1, "evaluated in step 6, after step 1"),
        ((*PLACE, "batch"), 2**63, "batch is 9223372036854775808"),
        ((*PLACE, "seconds"), float("nan"), "seconds is nan"),
        ((*PLACE, "losses"), float("inf"), "losses is inf"),
        ((*PLACE, "evaluations"), None, "evaluations is None"),
        ((*EVALUATION, "accuracy"), [], r"accuracy is \[\]"),
        ((*EVALUATION, "by_character"), {"a": 1}, "the counts of 'a' are 1"),
        ((*EVALUATION, "by_character"), {"a": [2, 1]}, r"the counts of 'a' are \[2, 1\]"),
    ],
)
def test_damaged_counters_are_named(
    resume_file: Path, path: tuple[Any, ...], value: object, message: str
) -> None:
    header, data = split(resume_file.read_bytes())
    resume_file.write_bytes(join(changed(header, path, value, how="replace"), data))
    with pytest.raises(ResumeError, match=message):
        use_resume_file(resume_file)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("network", "of network: tensor .* is missing; .*; and 6 more of this kind"),
        ("best", "of best: tensor embedding.weight is missing; tensor odd does not belong"),
        ("adam", "of adam: tensor 0.exp_avg is missing"),
        ("wings", "tensor wings.odd does not belong to it"),
    ],
)
def test_tensors_of_another_training_are_named(resume_file: Path, part: str, message: str) -> None:
    header, data = split(resume_file.read_bytes())
    names = sorted(name for name in header if name.startswith(f"{part}."))
    for name in names if part == "network" else names[:1] or ["best.embedding.weight"]:
        header[f"{part}.odd{name if part == 'network' else ''}"] = header.pop(name)
    resume_file.write_bytes(join(header, data))
    with pytest.raises(ResumeError, match=message):
        use_resume_file(resume_file)


def test_alphabets_that_claim_a_large_table(checkpoint: Path) -> None:
    """No tensor shows the size of what a guard allows: an entry for each input and each label."""
    alphabet = "".join(map(chr, range(0x10000, 0x10000 + 40_000)))
    header, data = split(checkpoint.read_bytes())
    config = header["__metadata__"][OURS[1]]["config"]
    config |= {"input_alphabet": alphabet, "output_alphabet": alphabet}
    config["guard"] = dict(zip(alphabet, alphabet, strict=True))
    checkpoint.write_bytes(join(header, data))
    assert len(alphabet) ** 2 > LARGEST_TABLE
    with (
        little_memory(MEMORY),
        pytest.raises(CheckpointError, match="40000 characters read and 40000 labels are too many"),
    ):
        load_checkpoint(checkpoint)


def test_scores_are_numbers() -> None:
    for row in (3, {"characters": "1"}, {"characters": float("nan")}, {"characters": True}):
        with pytest.raises(ConfigError, match="the scores of 'model' are"):
            type(TRAINING)("a", "b", 0, 0, {"model": row})  # type: ignore[dict-item]
