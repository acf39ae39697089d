"""Reads a file of weights into tensors. Nothing that is in the file is run.

The kind of a file is known by its content, not by its name: a state dict that `torch.save` wrote
(read with `weights_only=True`), safetensors, numpy's `.npz` (read without pickles), or a
TorchScript program. PyTorch runs a program's `__setstate__` when it opens it, so a program that has
one is refused.
"""

from __future__ import annotations

import hashlib
import io
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import safetensors.torch
import torch
from hello_runtime.errors import first_line, reason
from hello_runtime.text.files import read_regular
from torch import Tensor, nn

from hello_export.errors import IntakeError
from hello_export.intake.alphabets import listed

LARGEST = 2**32
"""Bytes of a file, and of what a zip archive unpacks to."""
NESTS = ("state_dict", "model_state_dict", "model", "net")
"""The entries of a checkpoint under which a state dict may stand."""
PREFIXES = ("module.", "_orig_mod.")
"""What `nn.DataParallel` and `torch.compile` put before the names of a module's tensors."""
FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
"""The types of weights."""
OUR_BUFFERS = frozenset({"alphabet", "alphabet_ids", "labels"})
"""What only the program of an artifact has."""
KINDS = "a state dict saved by torch.save, .safetensors, .npz or TorchScript"
SAVE_WEIGHTS = (
    "save its weights, torch.save(model.state_dict(), 'weights.pt'), or export the module itself "
    "from Python with hello_export.export"
)
PICKLED = re.compile(r"GLOBAL ([\w.]+)")
"""The name of a class or function, in PyTorch's message that it does not load it."""


@dataclass(frozen=True)
class WeightsFile:
    """A file of weights."""

    path: Path
    sha256: str
    """In hexadecimal."""
    tensors: dict[str, Tensor]
    """By their names, without `PREFIXES`, in the order and the types of the file."""


def read_weights(file: Path) -> WeightsFile:
    """Read the tensors of a file.

    Raises:
        IntakeError: it cannot be read, is of another kind, damaged, or holds no state dict.
    """
    try:
        content = read_regular(file, LARGEST)
    except OSError as error:
        raise IntakeError(f"{file}: {reason(error)}") from error
    try:
        tensors = state_dict(parse(content))
    except IntakeError as error:
        raise IntakeError(f"{file}: {error}") from error
    return WeightsFile(file, hashlib.sha256(content).hexdigest(), tensors)


def parse(content: bytes) -> Any:
    """Return what a file holds.

    Raises:
        IntakeError: it is of no kind that is read, or damaged.
    """
    if not content:
        raise IntakeError("the file is empty")
    if content[4:9] == b"\0\0\0\0{":  # the header's length in eight bytes, then JSON
        with damaged("a safetensors file"):
            return safetensors.torch.load(content)
    if content.startswith(b"PK\3\4"):
        return parse_archive(content)
    if content.startswith(b"\x80"):
        return load_pickled(content)
    raise IntakeError(f"it is no file of weights; these are read: {KINDS}")


@contextmanager
def damaged(kind: str) -> Iterator[None]:
    """Raise what a library says of a damaged file, but lack of memory, as an IntakeError."""
    try:
        yield
    except (IntakeError, MemoryError):
        raise
    except Exception as error:  # the libraries raise errors of many classes
        raise IntakeError(f"it is {kind}, cut off or damaged ({first_line(error)})") from error


def parse_archive(content: bytes) -> Any:
    """Return what a zip archive holds: all kinds but safetensors and old pickles are archives.

    Raises:
        IntakeError: it is of no kind that is read, or damaged.
    """
    with damaged("a zip archive"):
        members = unpacked(content)
    names = members.keys()
    if any(name.endswith("/constants.pkl") for name in names):
        return load_program(members)
    if any(name.endswith("/data.pkl") for name in names):
        return load_pickled(content)
    if all(name.endswith(".npy") for name in names):
        with damaged("an npz file"), np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return {name: from_numpy(name, arrays[name]) for name in arrays.files}
    raise IntakeError(f"it is a zip archive of something else; these are read: {KINDS}")


def unpacked(content: bytes) -> dict[str, bytes]:
    """Return the members of a zip archive.

    Raises:
        ValueError: they are too large, or two have one name.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        infos = archive.infolist()
        if sum(info.file_size for info in infos) > LARGEST:
            raise ValueError(f"it unpacks to more than {LARGEST} bytes")
        if len({info.filename for info in infos}) < len(infos):
            raise ValueError("it has two members of one name")
        return {info.filename: archive.read(info) for info in infos}


def from_numpy(name: str, array: Any) -> Tensor:
    """Return an array as a tensor.

    Raises:
        IntakeError: it has values of a type that tensors have not.
    """
    try:
        return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), order="C"))
    except TypeError as error:
        raise IntakeError(
            f"{name} has values of type {array.dtype}, which are no weights"
        ) from error


def load_pickled(content: bytes) -> Any:
    """Return what `torch.save` wrote, as far as it is tensors and plain values.

    Raises:
        IntakeError: it has objects of other classes, which are not loaded, or is damaged.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of another version of pickle
        try:
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        except MemoryError:
            raise
        except Exception as error:  # PyTorch raises errors of many classes for a damaged file
            if isinstance(error, UnpicklingError):
                found = PICKLED.search(str(error))
                what = found[1][:80] if found else "more than tensors, or damaged"
                raise IntakeError(
                    f"it is a pickle of {what}, and nothing of it was loaded, because a pickle can "
                    f"run any code; {SAVE_WEIGHTS}"
                ) from error
            raise IntakeError(
                f"it is cut off or damaged, or no file of torch.save ({first_line(error, 120)})"
            ) from error


def load_program(members: Mapping[str, bytes]) -> dict[str, Tensor]:
    """Return the state dict of a TorchScript program.

    PyTorch gets a new archive of the members that were checked here: it could read others from a
    crafted one.

    Raises:
        IntakeError: it would run code on loading, or is damaged.
    """
    if any(b"__setstate__" in code for name, code in members.items() if name.endswith(".py")):
        raise IntakeError(
            "it is a TorchScript program with a __setstate__, which PyTorch would run on loading; "
            "save its state dict with torch.save instead"
        )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    packed.seek(0)
    with damaged("a TorchScript program"), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        program: nn.Module = torch.jit.load(packed, map_location="cpu")  # type: ignore[no-untyped-call]
        tensors = program.state_dict()
    if not tensors:
        raise IntakeError(
            f"it is a TorchScript program without a state dict, such as torch.jit.freeze makes; "
            f"{SAVE_WEIGHTS}"
        )
    if tensors.keys() >= OUR_BUFFERS:
        raise IntakeError(
            "it is the program of an artifact of hello-export, whose network and alphabet are in "
            "the checkpoint beside it; export the artifact"
        )
    return tensors


def state_dict(content: Any) -> dict[str, Tensor]:
    """Return the state dict of a file's content, at the top or under one of `NESTS`.

    Raises:
        IntakeError: there is none, or something in it is no tensor.
    """
    if not isinstance(content, Mapping):
        raise IntakeError(f"it holds a {type(content).__name__} and no state dict; {SAVE_WEIGHTS}")
    nests = [name for name in NESTS if isinstance(content.get(name), Mapping)]
    if len(nests) > 1:
        raise IntakeError(
            f"it has a state dict under {' and '.join(nests)}; save one of them alone"
        )
    if nests:
        content = content[nests[0]]
    if {"state", "param_groups"} <= content.keys():
        raise IntakeError(f"it is the state of an optimizer, and not of a network; {SAVE_WEIGHTS}")
    check_tensors(content)
    tensors: dict[str, Tensor] = {}
    for name, tensor in content.items():
        if (own := own_name(name)) in tensors:
            raise IntakeError(f"{own} stands there twice, with {' or '.join(PREFIXES)} before it")
        tensors[own] = tensor.detach()
    return tensors


def check_tensors(content: Mapping[Any, Any]) -> None:
    """Raise an IntakeError unless a state dict has tensors, plain ones, and nothing else."""
    if not content:
        raise IntakeError("it has no tensors")
    others = [
        f"{first_line(str(name), 60)} is {kind}"
        for name, value in content.items()
        if (kind := kind_of_other(value))
    ]
    if len(others) == len(content):
        keys = listed([first_line(str(name), 60) for name in content])
        raise IntakeError(
            f"it has no state dict at the top or under {', '.join(NESTS)}; it has {keys}; "
            f"{SAVE_WEIGHTS}"
        )
    others += [
        f"{first_line(repr(name), 60)} is no name" for name in content if not isinstance(name, str)
    ]
    if others:
        raise IntakeError(f"{listed(others, '; ')}; a state dict has tensors only; {SAVE_WEIGHTS}")


def kind_of_other(value: object) -> str:
    """Return what a value is, in words, if it is no plain tensor; else an empty text."""
    if not isinstance(value, Tensor):
        return f"of type {type(value).__name__}"
    if value.is_quantized or value.layout != torch.strided or value.is_nested:
        return f"a quantized, sparse or nested tensor ({value.dtype})"
    return "a tensor without values" if value.is_meta else ""


def own_name(name: str) -> str:
    """Return the name of a tensor in its own module.

    >>> own_name("module._orig_mod.gru.weight_ih_l0")
    'gru.weight_ih_l0'
    """
    while prefix := next((prefix for prefix in PREFIXES if name.startswith(prefix)), None):
        name = name.removeprefix(prefix)
    return name


def value_faults(tensors: Mapping[str, Tensor]) -> list[str]:
    """Return what is wrong with the values of weights, in words, by the tensors' own names."""
    faults = []
    for name, tensor in tensors.items():
        if tensor.dtype not in FLOATS:
            faults.append(f"{name} is {short(tensor.dtype)}, not {', '.join(map(short, FLOATS))}")
        elif odd := int((~tensor.isfinite()).sum()):
            faults.append(f"{name} has {odd} values that are NaN or infinite")
        elif not tensor.float().isfinite().all():
            faults.append(f"{name} has values that are too large for float32")
    return faults


def rounding_note(tensors: Mapping[str, Tensor]) -> str:
    """Return how much float64 weights change in float32, in words; nothing if there are none."""
    changes = {
        name: (tensor - tensor.float()).abs().max().item()
        for name, tensor in tensors.items()
        if tensor.dtype == torch.float64 and tensor.numel()
    }
    if not changes:
        return ""
    most = max(changes, key=lambda name: changes[name])
    return (
        f"{len(changes)} tensors are float64 and are rounded to float32; the largest change is "
        f"{changes[most]:.1e}, in {most}"
    )


def short(dtype: torch.dtype) -> str:
    """Return the name of a type without its module."""
    return str(dtype).removeprefix("torch.")
