"""An unfinished training on disk, so that one that is killed goes on as if it had not been.

`unfinished.safetensors` beside the checkpoint to be holds the network, the best one so far, and
Adam's averages; its header says where in which training that is. It is gone when the training ends.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path
from typing import Any

from hello_runtime.errors import reason
from hello_runtime.files import write_whole
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from hello_train.checkpoint import METADATA_KEY
from hello_train.errors import ResumeError
from hello_train.fit import Keeper, Place, State
from hello_train.history import Evaluation, History

FILE_NAME = "unfinished.safetensors"
FORMAT_VERSION = 1
ADAM = ("exp_avg", "exp_avg_sq", "step")
"""What Adam remembers of each weight."""

Identity = Mapping[str, Any]
"""What makes a training another one: its options, its lines and how many processes learn them, as
JSON values."""


class Unfinished(Keeper):
    """The place of one training on disk."""

    def __init__(self, folder: Path, identity: Identity) -> None:
        self._path = folder / FILE_NAME
        self._identity = json.loads(json.dumps(identity))

    def save(self, state: State) -> None:
        """Write the state of the training, in the place of an earlier one.

        Raises:
            ResumeError: it cannot be written.
        """
        header = {
            "format_version": FORMAT_VERSION,
            "identity": self._identity,
            "place": asdict(state.place),
            "history": asdict(state.history),
        }
        content = save(tensors_of(state), {METADATA_KEY: json.dumps(header)})
        try:
            write_whole(self._path, content)
        except OSError as error:
            raise ResumeError(f"cannot write {self._path}: {reason(error)}") from error

    def restore(self, state: State) -> None:
        """Put a new training where the saved one was.

        Raises:
            ResumeError: there is none, it is damaged, or it is another training.
        """
        header, tensors = self._read()
        self._check(header["identity"])
        try:
            put_tensors(state, tensors)
            state.place = Place(**header["place"])
            state.history = read_history(header["history"])
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise self._damaged(error) from error

    def digest(self) -> str:
        """Return a digest of the file, in hexadecimal; nothing where there is none."""
        return blake2b(self._path.read_bytes()).hexdigest() if self._path.is_file() else ""

    def remove(self) -> None:
        """Leave nothing to go on with."""
        self._path.unlink(missing_ok=True)

    def _read(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        if not self._path.is_file():
            raise ResumeError(
                f"{self._path}: there is no unfinished training; run it without --resume"
            )
        try:
            with safe_open(self._path, framework="pt") as content:
                tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118
                header = json.loads((content.metadata() or {})[METADATA_KEY])
            version, _ = header["format_version"], header["identity"]
        except (SafetensorError, OSError, LookupError, TypeError, ValueError) as error:
            raise self._damaged(error) from error
        if version != FORMAT_VERSION:
            raise ResumeError(
                f"{self._path}: written in format {version}, and this hello-rnn reads format "
                f"{FORMAT_VERSION}; run the training without --resume"
            )
        return header, tensors

    def _damaged(self, error: Exception) -> ResumeError:
        return ResumeError(f"{self._path}: damaged ({error}); run the training without --resume")

    def _check(self, saved: Identity) -> None:
        for name in sorted(self._identity.keys() | saved.keys()):
            now, then = self._identity.get(name), saved.get(name)
            if now != then:
                raise ResumeError(
                    f"{self._path}: it is another training, whose {name} was {shortened(then)} "
                    f"and not {shortened(now)}; give the same files and options, or run it "
                    f"without --resume"
                )


def shortened(value: object) -> str:
    """Return a value for a line of an error."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def tensors_of(state: State) -> dict[str, Tensor]:
    """Return everything of a training that is a tensor, by name."""
    tensors = {f"network.{name}": value for name, value in state.network.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in state.best.items()}
    for number, memory in state.optimizer.state_dict()["state"].items():
        tensors |= {f"adam.{number}.{name}": memory[name] for name in ADAM}
    return {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}


def put_tensors(state: State, tensors: Mapping[str, Tensor]) -> None:
    """Give a training its tensors back."""
    parts: dict[str, dict[str, Tensor]] = {"network": {}, "best": {}, "adam": {}}
    for name, value in tensors.items():
        part, _, rest = name.partition(".")
        parts[part][rest] = value
    state.network.load_state_dict(parts["network"])
    state.best = parts["best"]
    memories: dict[int, dict[str, Tensor]] = {}
    for name, value in parts["adam"].items():
        number, _, kind = name.partition(".")
        memories.setdefault(int(number), {})[kind] = value
    state.optimizer.load_state_dict({**state.optimizer.state_dict(), "state": memories})


def read_history(content: Mapping[str, Any]) -> History:
    """Return a history as it was before it became JSON."""
    evaluations = [
        Evaluation(
            **{
                **row,
                "by_character": {char: tuple(n) for char, n in row["by_character"].items()},
            }
        )
        for row in content["evaluations"]
    ]
    return History(evaluations=evaluations)
