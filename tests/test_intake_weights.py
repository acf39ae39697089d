"""Files of weights: every kind gives its tensors, and nothing in a file is run."""

from __future__ import annotations

import hashlib
import io
import pickle
import random
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from hello_export.errors import IntakeError
from hello_export.intake.weights import own_name, read_weights, rounding_note, value_faults
from torch import Tensor, nn


class Net(nn.Module):
    """An embedding, a GRU and a linear layer, under names of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.emb = nn.Embedding(4, 3)
        self.gru = nn.GRU(3, 5, batch_first=True)
        self.out = nn.Linear(5, 4)

    def forward(self, ids: Tensor) -> Tensor:
        hidden, _ = self.gru(self.emb(ids))
        logits: Tensor = self.out(hidden)
        return logits


class WithSetstate(Net):
    """A module whose program has code that PyTorch runs when it is opened."""

    @torch.jit.export
    def __getstate__(self) -> tuple[Tensor, bool]:
        return self.emb.weight, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[Tensor, bool]) -> None:
        self.training = state[1]


def script(module: nn.Module, file: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(module).save(str(file))  # type: ignore[no-untyped-call]


def save_npz(module: nn.Module, file: Path) -> None:
    np.savez(file, **{name: tensor.numpy() for name, tensor in module.state_dict().items()})


def save_under(*keys: str) -> Callable[[nn.Module, Path], None]:
    def save(module: nn.Module, file: Path) -> None:
        content: Any = module.state_dict()
        for key in keys:
            content = {key: content, "epoch": 3, "optimizer": {"state": {}, "param_groups": []}}
        torch.save(content, file)

    return save


def save_wrapped(module: nn.Module, file: Path) -> None:
    tensors = {f"module._orig_mod.{name}": t for name, t in module.state_dict().items()}
    safetensors.torch.save_file(tensors, file)


SAVED: dict[str, Callable[[nn.Module, Path], None]] = {
    "w.pt": save_under(),
    "w.pth": save_under("state_dict"),
    "model.pt": save_under("model"),
    "model_state_dict.pt": save_under("model_state_dict"),
    "net.pt": save_under("net"),
    "old.pt": lambda module, file: torch.save(
        module.state_dict(), file, _use_new_zipfile_serialization=False
    ),
    "w.safetensors": lambda module, file: safetensors.torch.save_file(module.state_dict(), file),
    "wrapped.safetensors": save_wrapped,
    "w.npz": save_npz,
    "program.pt": script,
    "no-suffix": save_under(),
}


@pytest.mark.parametrize("name", SAVED)
def test_each_kind_of_file_gives_the_tensors_of_its_module(tmp_path: Path, name: str) -> None:
    module, file = Net(), tmp_path / name
    SAVED[name](module, file)
    found, expected = read_weights(file), module.state_dict()
    assert found.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert found.tensors.keys() == expected.keys()
    for tensor, value in expected.items():
        assert torch.equal(found.tensors[tensor], value)
        assert not found.tensors[tensor].requires_grad
    assert value_faults(found.tensors) == []
    assert rounding_note(found.tensors) == ""


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_type_stays_as_it_is(tmp_path: Path, dtype: torch.dtype) -> None:
    torch.save(Net().to(dtype).state_dict(), tmp_path / "w.pt")
    found = read_weights(tmp_path / "w.pt").tensors
    assert {tensor.dtype for tensor in found.values()} == {dtype}
    assert value_faults(found) == []


def test_numpy_arrays_of_the_other_byte_order(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", a=np.array([[1, 2], [3, 4]], ">f4").T)
    assert read_weights(tmp_path / "w.npz").tensors["a"].tolist() == [[1, 3], [2, 4]]


def test_a_header_whose_length_begins_as_a_pickle_does(tmp_path: Path) -> None:
    for size in range(128):
        content = safetensors.torch.save({"a": torch.ones(1)}, {"": "x" * size})
        if content.startswith(b"\x80"):
            break
    (tmp_path / "w").write_bytes(content)
    assert content.startswith(b"\x80")
    assert read_weights(tmp_path / "w").tensors["a"].tolist() == [1]


def test_the_note_on_rounding_names_the_largest_change() -> None:
    tensors = {
        "a": torch.tensor([1 + 2.0**-30], dtype=torch.float64),
        "b": torch.tensor([0.5], dtype=torch.float64),
        "c": torch.tensor([0.1]),
    }
    note = "2 tensors are float64 and are rounded to float32; the largest change is 9.3e-10, in a"
    assert rounding_note(tensors) == note


def test_the_faults_of_values_name_every_tensor() -> None:
    tensors = {
        "good.weight": torch.ones(2),
        "nan.weight": torch.tensor([1, float("nan"), float("inf")]),
        "large.weight": torch.tensor([1e300], dtype=torch.float64),
        "whole.weight": torch.ones(2, dtype=torch.int64),
        "half.bias": torch.tensor([float("-inf")], dtype=torch.bfloat16),
    }
    assert value_faults(tensors) == [
        "nan.weight has 2 values that are NaN or infinite",
        "large.weight has values that are too large for float32",
        "whole.weight is int64, not float32, float16, bfloat16, float64",
        "half.bias has 1 values that are NaN or infinite",
    ]


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("module.emb.weight", "emb.weight"),
        ("_orig_mod.module.emb.weight", "emb.weight"),
        ("my.module.weight", "my.module.weight"),
        ("modules.weight", "modules.weight"),
    ],
)
def test_the_prefixes_that_pytorch_adds_fall_away(name: str, own: str) -> None:
    assert own_name(name) == own


class Planted:
    """What a malicious pickle is: on loading it would make a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return open, (str(self.file), "w")


def pickles(mark: Path) -> dict[str, bytes]:
    """Return files that would make the file `mark` if they were unpickled."""
    weights = {"emb.weight": torch.ones(2), "planted": Planted(mark)}
    archive, old, numpy = io.BytesIO(), io.BytesIO(), io.BytesIO()
    torch.save(weights, archive)
    torch.save(weights, old, _use_new_zipfile_serialization=False)
    np.savez(numpy, planted=np.array([Planted(mark)], object))
    return {
        "zip.pt": archive.getvalue(),
        "old.pt": old.getvalue(),
        "plain.pkl": pickle.dumps(Planted(mark)),
        "objects.npz": numpy.getvalue(),
    }


@pytest.mark.parametrize("name", ["zip.pt", "old.pt", "plain.pkl", "objects.npz"])
def test_a_malicious_pickle_does_not_run(tmp_path: Path, name: str) -> None:
    mark, file = tmp_path / "mark", tmp_path / name
    file.write_bytes(pickles(mark)[name])
    with pytest.raises(IntakeError, match=f"^{file}: it is "):
        read_weights(file)
    assert not mark.exists()
    if name == "plain.pkl":  # it would have run
        pickle.loads(file.read_bytes()).close()
        assert mark.exists()


def test_a_pickled_module_is_refused_with_what_to_do(tmp_path: Path) -> None:
    torch.save(Net(), tmp_path / "net.pt")
    with pytest.raises(IntakeError) as caught:
        read_weights(tmp_path / "net.pt")
    message = str(caught.value)
    assert f"{Net.__module__}.Net" in message
    assert "nothing of it was loaded" in message
    assert "torch.save(model.state_dict(), 'weights.pt')" in message
    assert "hello_export.export" in message


def test_a_frozen_program_has_no_state_dict(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.freeze(torch.jit.script(Net().eval())).save(tmp_path / "w.pt")
    with pytest.raises(IntakeError, match=r"without a state dict, such as torch\.jit\.freeze"):
        read_weights(tmp_path / "w.pt")


def test_a_program_with_code_that_runs_on_loading_is_refused(tmp_path: Path) -> None:
    script(WithSetstate(), tmp_path / "net.pt")
    with pytest.raises(IntakeError, match="TorchScript program with a __setstate__"):
        read_weights(tmp_path / "net.pt")


def repacked(content: bytes, *more: tuple[str, bytes]) -> bytes:
    """Return an archive with more members."""
    made = io.BytesIO(content)
    with warnings.catch_warnings(), zipfile.ZipFile(made, "a") as archive:
        warnings.simplefilter("ignore", UserWarning)  # of a second member of one name
        for name, member in more:
            archive.writestr(name, member)
    return made.getvalue()


def saved(name: str, folder: Path) -> bytes:
    SAVED[name](Net(), folder / name)
    return (folder / name).read_bytes()


def to_bytes(content: object) -> bytes:
    made = io.BytesIO()
    torch.save(content, made)
    return made.getvalue()


def zipped(*members: tuple[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, member in members:
            archive.writestr(name, member)
    return made.getvalue()


STATE = OrderedDict(a=torch.ones(1))
CONTENTS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "the file is empty"),
    "text": (b"hello world\n", "it is no file of weights; these are read: a state dict"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + b"\0" * 64, "it is no file of weights"),
    "foreign zip": (zipped(("word/document.xml", b"")), "it is a zip archive of something else"),
    "foreign pickle": (pickle.dumps({"a": 1}), "it is a pickle of more than tensors"),
    "numpy pickle": (pickle.dumps({"a": np.ones(1)}), "nothing of it was loaded"),
    "other bytes": (b"\x80\x02 and so on", "it is a pickle of more than tensors, or damaged"),
    "safetensors text": (b"\x0e\0\0\0\0\0\0\0{not JSON}....", "it is a safetensors file, cut"),
    "tensor": (to_bytes(torch.ones(2)), "it holds a Tensor and no state dict"),
    "list": (to_bytes([torch.ones(2)]), "it holds a list and no state dict"),
    "no tensors": (to_bytes({}), "it has no tensors"),
    "nothing under it": (to_bytes({"state_dict": {}}), "it has no tensors"),
    "elsewhere": (
        to_bytes({"weights": STATE, "epoch": 3}),
        "no state dict at the top or under state_dict, model_state_dict, model, net; it has "
        "weights, epoch; save its weights, torch.save(model.state_dict(), 'weights.pt')",
    ),
    "two networks": (
        to_bytes({"model": STATE, "net": STATE}),
        "it has a state dict under model and net; save one of them alone",
    ),
    "optimizer": (
        to_bytes(torch.optim.Adam(Net().parameters()).state_dict()),
        "it is the state of an optimizer",
    ),
    "more than tensors": (
        to_bytes({**STATE, "epoch": 3, "names": ["x"]}),
        "epoch is of type int; names is of type list; a state dict has tensors only",
    ),
    "sparse": (
        to_bytes({**STATE, "b.weight": torch.eye(2).to_sparse()}),
        "b.weight is a quantized, sparse or nested tensor (torch.float32)",
    ),
    "names that are none": (
        to_bytes(dict([*STATE.items(), (7, torch.ones(1)), (b"x", torch.ones(1))])),
        "7 is no name; b'x' is no name; a state dict has tensors only",
    ),
    "one name twice": (
        to_bytes({"a": torch.ones(1), "module.a": torch.ones(1)}),
        "a stands there twice",
    ),
    "texts in numpy": (
        zipped(("a.npy", b"\x93NUMPY\x01\0F\0{'descr': '<U1', 'fortran_order': False, "
                         b"'shape': (1,)}".ljust(79) + b"\na\0\0\0")),
        "a has values of type <U1, which are no weights",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTENTS)
def test_a_file_that_is_none_of_weights(tmp_path: Path, name: str) -> None:
    content, words = CONTENTS[name]
    (tmp_path / "w.pt").write_bytes(content)
    with pytest.raises(IntakeError) as caught:
        read_weights(tmp_path / "w.pt")
    assert str(caught.value).startswith(f"{tmp_path / 'w.pt'}: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", SAVED)
def test_a_file_that_is_cut_off(tmp_path: Path, name: str) -> None:
    whole = saved(name, tmp_path)
    for size in (len(whole) // 3, len(whole) - 9):
        (tmp_path / name).write_bytes(whole[:size])
        with pytest.raises(IntakeError, match=r"it is (a .*, )?cut off or damaged"):
            read_weights(tmp_path / name)


@pytest.mark.parametrize("name", ["w.pt", "old.pt", "w.safetensors", "w.npz", "program.pt"])
def test_a_damaged_file_is_refused_or_read(tmp_path: Path, name: str) -> None:
    """Changed bytes end in one line of error, whatever the library that reads them says."""
    source = random.Random(name)
    whole = saved(name, tmp_path)
    errors = []
    for _ in range(100):
        (tmp_path / "damaged").write_bytes(damaged(whole, source))
        try:
            value_faults(read_weights(tmp_path / "damaged").tensors)
        except IntakeError as error:
            errors.append(str(error))
    assert len(errors) > 50
    assert not any("\n" in error for error in errors)


def damaged(content: bytes, source: random.Random) -> bytes:
    """Return a file with a few bytes changed; of an archive in one member, with right sums."""
    if not content.startswith(b"PK"):
        return changed(content, source)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    kinds = (".pkl", ".py", ".npy", "version", "byteorder")
    name = source.choice([name for name in members if name.endswith(kinds)])
    return zipped(*(members | {name: changed(members[name], source)}).items())


def changed(content: bytes, source: random.Random) -> bytes:
    """Return bytes with one to four changed, left out or added."""
    changing = bytearray(content)
    for _ in range(source.randint(1, 4)):
        place = source.randrange(len(changing) + 1)
        length = source.choice([0, 1, 1, 8])
        changing[place : place + length] = source.randbytes(source.choice([0, 1, 1, 4]))
    return bytes(changing)


def test_an_archive_with_two_members_of_one_name_is_refused(tmp_path: Path) -> None:
    """Two readers of such an archive may read different ones."""
    whole = saved("program.pt", tmp_path)
    (tmp_path / "two.pt").write_bytes(repacked(whole, ("program/constants.pkl", b"")))
    with pytest.raises(IntakeError, match="two members of one name"):
        read_weights(tmp_path / "two.pt")


@pytest.mark.parametrize("name", ["missing.pt", "."])
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(IntakeError, match=str(tmp_path)):
        read_weights(tmp_path / name)
