"""The resume file: the training state on disk, from which a killed training continues.

`unfinished.safetensors`, in the folder of the run, has the weights, the best weights so far, and
Adam's averages as tensors. Its header has the counters, the history, and what identifies the
training. It is removed when the training ends.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path
from typing import Any, get_type_hints

from hello_runtime.errors import first_line
from hello_runtime.text.files import write_whole
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from hello_train.errors import ResumeError, TeamError, shortened
from hello_train.files import RESUME_NAME
from hello_train.fit.parallel import ALONE, Team
from hello_train.fit.state import Position, TrainingState
from hello_train.network.checkpoint import METADATA_KEY, NUMBER_LIMIT, entry, tensor_faults
from hello_train.report.history import Evaluation, History

FORMAT_VERSION = 2

Identity = Mapping[str, Any]
"""The options, a digest of the lines, and the number of processes, as JSON values. A training only
continues from a file with an equal identity."""


class ResumeFile:
    """The resume file of one training."""

    def __init__(self, folder: Path, identity: Identity) -> None:
        self._path = folder / RESUME_NAME
        self._identity = json.loads(json.dumps(identity))

    def save(self, state: TrainingState) -> None:
        """Write the state, in place of an earlier one.

        Raises:
            ResumeError: it cannot be written.
        """
        header = {
            "format_version": FORMAT_VERSION,
            "identity": self._identity,
            "place": asdict(state.position),
            "history": asdict(state.history),
        }
        content = save(tensors_of(state), {METADATA_KEY: json.dumps(header)})
        write_whole(self._path, content, ResumeError)

    def restore(self, state: TrainingState, team: Team = ALONE) -> None:
        """Give a new training the saved state.

        Raises:
            ResumeError: there is no file, it is damaged, or it is that of another training.
            TeamError: the processes see different files.
        """
        if not team.all_have(self._digest()):
            raise TeamError(
                f"{self._path.parent}: not every process sees the same unfinished training "
                f"there; put --output on a disk that all hosts share"
            )
        try:
            header, tensors = self._read()
            self._check(entry(header, "identity"))
            position = read_position(entry(header, "place"))
            history = read_history(entry(header, "history"))
            put_tensors(state, tensors)
        except (SafetensorError, OSError, RecursionError, TypeError, ValueError) as error:
            raise ResumeError(
                f"{self._path}: damaged ({first_line(error)}); run the training without --resume"
            ) from error
        state.position, state.history = position, history

    def _digest(self) -> str:
        """Return a digest of the file, in hexadecimal; empty if there is none."""
        return blake2b(self._path.read_bytes()).hexdigest() if self._path.is_file() else ""

    def remove(self) -> None:
        """Remove the file, if there is one."""
        self._path.unlink(missing_ok=True)

    def _read(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        if not self._path.is_file():
            raise ResumeError(
                f"{self._path}: there is no unfinished training; run it without --resume"
            )
        with safe_open(self._path, framework="pt") as content:
            tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118
            header = json.loads(entry(content.metadata(), METADATA_KEY))
        version = entry(header, "format_version")
        if type(version) is not int:
            raise ValueError(f"format_version is {shortened(version)}")
        if version != FORMAT_VERSION:
            raise ResumeError(
                f"{self._path}: written in format {shortened(version)}, and this hello-rnn "
                f"reads format {FORMAT_VERSION}; run the training without --resume"
            )
        return header, tensors

    def _check(self, saved: Any) -> None:
        if not isinstance(saved, dict):
            raise ValueError(f"identity is {shortened(saved)}")
        others = []
        for name in sorted(self._identity.keys() | saved.keys()):
            now, then = self._identity.get(name), saved.get(name)
            if now != then:
                others.append(f"{name[:60]} was {shortened(then)} and not {shortened(now)}")
        if others:
            raise ResumeError(
                f"{self._path}: it is another training, whose {', '.join(others)}; give the same "
                f"files and options, or run it without --resume"
            )


def tensors_of(state: TrainingState) -> dict[str, Tensor]:
    """Return all tensors of a training state, by name, on the CPU."""
    tensors = {f"network.{name}": value for name, value in state.network.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in state.best.items()}
    tensors |= {f"adam.{name}": value for name, value in state.optimizer.tensors().items()}
    return {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}


def put_tensors(state: TrainingState, tensors: Mapping[str, Tensor]) -> None:
    """Restore the tensors of a training state.

    Raises:
        ValueError: they do not fit its network and optimizer.
    """
    parts: dict[str, dict[str, Tensor]] = {"network": {}, "best": {}, "adam": {}}
    for name, value in tensors.items():
        part, _, rest = name.partition(".")
        if part not in parts:
            raise ValueError(f"tensor {name[:60]} does not belong to it")
        parts[part][rest] = value
    check_parts(state, parts)
    state.network.load_state_dict(parts["network"])
    state.best = parts["best"]
    if parts["adam"]:
        state.optimizer.put_tensors(parts["adam"])


def check_parts(state: TrainingState, parts: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Raise a ValueError unless tensors fit a training state; `best` and `adam` may be empty."""
    weights = state.network.state_dict()
    adam = state.optimizer.tensors()
    for part, expected in (("network", weights), ("best", weights), ("adam", adam)):
        found = parts[part]
        faults = tensor_faults(expected, found) if found or part == "network" else ""
        if faults:
            raise ValueError(f"of {part}: {faults}")
    for name, value in parts["adam"].items():
        if not name.endswith(".exp_avg") and (value < 0).any():  # the mean of gradients has a sign
            raise ValueError(f"of adam: tensor {name} has negative values")


def read_position(content: Any) -> Position:
    """Return the counters that a header has.

    Raises:
        ValueError: one is missing or impossible.
    """
    position = Position(**numbers(Position, content))
    if position.evaluated_step > position.step:
        raise ValueError(f"evaluated in step {position.evaluated_step}, after step {position.step}")
    return position


def read_history(content: Any) -> History:
    """Return the history that a header has.

    Raises:
        ValueError: a field is missing or impossible.
    """
    rows = entry(content, "evaluations")
    if not isinstance(rows, list):
        raise ValueError(f"evaluations is {shortened(rows)}")
    return History(evaluations=[read_evaluation(row) for row in rows])


def read_evaluation(row: Any) -> Evaluation:
    """Return one evaluation of a history; it raises as `read_history` does."""
    by_character: dict[str, tuple[int, int]] = {}
    counted = entry(row, "by_character")
    if not isinstance(counted, dict):
        raise ValueError(f"by_character is {shortened(counted)}")
    for char, counts in counted.items():
        whole = isinstance(counts, list) and [type(count) for count in counts] == [int, int]
        if not (whole and 0 <= counts[0] <= counts[1] < NUMBER_LIMIT):
            raise ValueError(f"the counts of {shortened(char)} are {shortened(counts)}")
        by_character[char] = counts[0], counts[1]
    sample = row.get("sample", "")
    if not isinstance(sample, str):
        raise ValueError(f"sample is {shortened(sample)}")
    return Evaluation(**numbers(Evaluation, row), by_character=by_character, sample=sample)


def numbers(record: type, content: Any) -> dict[str, Any]:
    """Return those fields of a dataclass that are numbers, from the JSON object that holds them.

    Raises:
        ValueError: one is missing, of another type, negative, or too large.
    """
    found = {}
    for name, kind in get_type_hints(record).items():
        if kind not in (int, float):
            continue
        value = entry(content, name)
        if type(value) not in (int, kind) or not 0 <= value < NUMBER_LIMIT:
            raise ValueError(f"{name} is {shortened(value)}")
        found[name] = value
    return found
