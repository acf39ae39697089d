"""A module is exported if the files agree with its own forward, and refused if its parts do not."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hello_export
import pytest
import torch
from hello_export.errors import ArtifactError, IntakeError
from hello_export.intake.forward import Call
from hello_runtime import Decoder
from hello_train.network.checkpoint import load_checkpoint
from module_door import ALPHABET, LABELS, decoded, export, refused, shorten_module_proof
from outside import CellLoop, NoNameNet, Tagger
from torch import Tensor, nn
from torch.nn.utils.prune import l1_unstructured
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten_module_proof(monkeypatch)


def plainly(module: nn.Module, ids: Tensor) -> Tensor:
    logits: Tensor = module(ids)
    return logits


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.usefixtures("quick")
def test_a_module_is_exported(cell: str, bidirectional: bool, tmp_path: Path) -> None:
    module = Tagger(cell, bidirectional=bidirectional, layers=2).eval()
    decoder = export(module, tmp_path)
    assert decoder.decode("abcfedab") == decoded(module, plainly, "abcfedab")
    _, training = load_checkpoint(tmp_path / "artifact")
    assert training.source == {"module": "outside.Tagger"}
    manifest = json.loads((tmp_path / "artifact/manifest.json").read_text(encoding="utf-8"))
    assert manifest["training"]["source"] == {"module": "outside.Tagger"}


# Forwards of other shapes, each with the `call` that serves it.


class TimeFirst(Tagger):
    """Takes ids [time, batch] and gives logits [time, batch, labels]."""

    def forward(self, ids: Tensor) -> Tensor:
        return super().forward(ids.T).transpose(0, 1)


class Packing(Tagger):
    """Takes the lengths of padded rows and packs them."""

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:  # type: ignore[override]
        packed = pack_padded_sequence(self.embed(ids), lengths, batch_first=True)
        hidden, _ = pad_packed_sequence(self.encoder(packed)[0], batch_first=True)
        logits: Tensor = self.head(hidden)
        return logits


class Returning(Tagger):
    """Returns its logits and its last state."""

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        hidden, state = self.encoder(self.embed(ids))
        return self.head(hidden), state


class Flattening(Tagger):
    """Gives logits [batch * time, labels]."""

    def forward(self, ids: Tensor) -> Tensor:
        return super().forward(ids).reshape(-1, 4)


class LabelsSecond(Tagger):
    """Gives logits [batch, labels, time], as `nn.CrossEntropyLoss` wants them."""

    def forward(self, ids: Tensor) -> Tensor:
        return super().forward(ids).transpose(1, 2)


class OneText(Tagger):
    """Takes a text, [time, 1], and gives logits [time, labels], as the post's class does."""

    def forward(self, ids: Tensor) -> Tensor:
        return super().forward(ids.T).reshape(-1, 4)


def first_of(module: nn.Module, ids: Tensor) -> Tensor:
    logits: Tensor = module(ids)[0]
    return logits


PAGE = Path(__file__).parents[1] / "docs/bring-your-own.md"
CALLS: dict[str, Call] = {
    forward: eval(call, {"torch": torch})
    for forward, call in re.findall(
        r"^\| (.*) \| `(lambda module, ids: .*)` \|$",
        PAGE.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
}
"""The examples of the page on one's own network, by the forwards that they serve."""
FORWARDS: dict[str, tuple[type[nn.Module], str]] = {
    "takes ids [time, batch]": (TimeFirst, "as if the batch axis were time: is batch_first=True"),
    "takes ids and lengths, and packs its rows": (
        Packing,
        "missing 1 required positional argument: 'lengths'; if it takes",
    ),
    "returns a tuple": (Returning, "returns a tuple, not logits [2, 3, labels], [batch, time, lab"),
    "flattens its logits": (Flattening, "returns [6, 4] for ids [2, 3], not logits [2, 3, labels]"),
    "has labels before time": (LabelsSecond, "lambda module, ids: module(ids).transpose(1, 2)"),
    "takes one text, as the post's": (OneText, "returns [6, 4] for ids [2, 3], not logits"),
}


def test_the_page_has_an_example_for_each_forward() -> None:
    assert CALLS.keys() == FORWARDS.keys()


@pytest.mark.parametrize("name", FORWARDS)
@pytest.mark.usefixtures("quick")
def test_call_serves_forwards_of_other_shapes(name: str, tmp_path: Path) -> None:
    kind, said = FORWARDS[name]
    module = kind().eval()
    assert said in refused(module, tmp_path, IntakeError)
    decoder = export(module, tmp_path, call=CALLS[name])
    assert decoder.decode("fabcab") == decoded(module, CALLS[name], "fabcab")


class TimeFirstOut(Tagger):
    """Gives logits [time, batch, labels] of ids [batch, time]."""

    def forward(self, ids: Tensor) -> Tensor:
        return super().forward(ids).transpose(0, 1)


def test_the_error_of_a_shape_has_the_call_that_helps(tmp_path: Path) -> None:
    said = refused(TimeFirstOut().eval(), tmp_path, IntakeError)
    assert "returns [3, 2, 4] for ids [2, 3]" in said
    assert "lambda module, ids: module(ids.T).transpose(0, 1)" in said


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda module, ids: module(ids).argmax(-1), "int64 [2, 3]"),
        (lambda module, ids: module(ids).to(torch.complex64), "complex64 [2, 3, 4]"),
        (lambda module, ids: module(ids).detach().to_sparse(), "a sparse tensor [2, 3, 4]"),
    ],
)
def test_logits_of_another_kind_are_named(call: Call, kind: str, tmp_path: Path) -> None:
    said = refused(Tagger().eval(), tmp_path, IntakeError, call=call)
    assert f"its forward returns {kind}, not logits [2, 3, labels]" in said


@pytest.mark.usefixtures("quick")
def test_the_class_of_the_post(tmp_path: Path) -> None:
    """It takes one text; two of its recurrences are unused."""
    module = NoNameNet().eval()
    call = CALLS["takes one text, as the post's"]
    decoder = export(module, tmp_path, alphabet="ehlo", labels=None, call=call)
    expected = module(torch.tensor([[1], [0], [2], [2], [3]])).argmax(-1).tolist()
    assert decoder.decode("hello") == "".join("ehlo"[label] for label in expected)
    assert decoder.info.cell == "gru"


# What is found in a module.


class TwoHeads(Tagger):
    def __init__(self) -> None:
        super().__init__()
        self.aux = nn.Linear(5, 3)

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        hidden = self.encoder(self.embed(ids))[0]
        return self.head(hidden), self.aux(hidden)


class Unused(Tagger):
    """Has parts that its forward does not call."""

    def __init__(self) -> None:
        super().__init__()
        self.old = nn.Embedding(6, 7)
        self.other = nn.GRU(7, 5)
        self.norm = nn.LayerNorm(5)
        self.spare = nn.Linear(5, 4)


class FunctionallyTied(nn.Module):
    """Reads its embedding as the linear layer too, without a module for it."""

    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.emb = nn.Embedding(6, 5)
        self.gru = nn.GRU(5, 5, batch_first=True)
        self.out_bias = nn.Parameter(torch.randn(6)) if bias else None

    def forward(self, ids: Tensor) -> Tensor:
        hidden = self.gru(self.emb(ids))[0]
        return nn.functional.linear(hidden, self.emb.weight, self.out_bias)


class Called(nn.Module):
    """Calls modules with weights that have no place."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.embed = nn.Embedding(6, 7)
        self.encoder = nn.GRU(7, 5, batch_first=True)
        self.more = part
        self.head = nn.Linear(5, 4)

    def forward(self, ids: Tensor) -> Tensor:
        logits: Tensor = self.head(self.more(self.encoder(self.embed(ids))[0]))
        return logits


@pytest.mark.usefixtures("quick")
def test_parts_that_forward_does_not_call_are_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export(Unused().eval(), tmp_path, quiet=False)
    said = capsys.readouterr().err
    assert "Unused: GRU, layers: 1, directions: 1, hidden values: 5, linear layer: yes" in said
    for name in ("old.weight", "other.weight_ih_l0", "norm.bias", "spare.weight"):
        line = next(line for line in said.splitlines() if line.strip().startswith(name))
        assert line.endswith("not used: forward does not call it")
    assert "comparing the module's forward with its parts" in said
    assert "onnxruntime" in said


@pytest.mark.usefixtures("quick")
def test_a_second_head_is_left_out_by_name(tmp_path: Path) -> None:
    module = TwoHeads().eval()
    said = refused(module, tmp_path, IntakeError, call=first_of)
    assert "not all of head.weight [4, 5], head.bias [4], aux.weight [3, 5], aux.bias [3]" in said
    assert "leave out with ignore= what is not used" in said
    decoder = export(module, tmp_path, call=first_of, ignore="aux")
    assert decoder.decode("fabcab") == decoded(module, first_of, "fabcab")


def test_a_head_that_call_does_not_return_is_found(tmp_path: Path) -> None:
    module = TwoHeads().eval()
    said = refused(module, tmp_path, IntakeError, call=first_of, ignore=["head"], labels="xyz")
    assert "its forward returns [1, 1, 4] for ids [1, 1], not logits [1, 1, 3]" in said


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.usefixtures("quick")
def test_weights_that_are_tied_without_a_module(bias: bool, tmp_path: Path) -> None:
    module = FunctionallyTied(bias).eval()
    decoder = export(module, tmp_path, labels="uvwxyz")
    ids = torch.tensor([[ALPHABET.index(char) for char in "fabcab"]])
    expected = module(ids)[0].argmax(-1).tolist()
    assert decoder.decode("fabcab") == "".join("uvwxyz"[label] for label in expected)


@pytest.mark.parametrize(
    ("module", "labels"),
    [
        (Tagger(tied=True), "uvwxyz"),
        (Tagger(width=5, linear=False), "vwxyz"),
        (Tagger(width=5, linear_bias=False), LABELS),
        (CellLoop("lstm", layers=2), LABELS),
        (CellLoop("rnn", nonlinearity="relu", bias=False), LABELS),
        (Tagger("rnn", nonlinearity="relu"), LABELS),
        (nn.Sequential(Tagger()), LABELS),
        (nn.DataParallel(Tagger()), LABELS),
    ],
)
@pytest.mark.usefixtures("quick")
def test_classes_tell_what_shapes_do_not(module: nn.Module, labels: str, tmp_path: Path) -> None:
    export(module.eval(), tmp_path, labels=labels)


@pytest.mark.parametrize(
    ("part", "names"),
    [
        (nn.LayerNorm(5), "no place for more.weight [5], more.bias [5]"),
        (nn.Linear(5, 5), "more.weight [5, 5], more.bias [5]"),
        (nn.PReLU(), "no place for more.weight [1]"),
    ],
)
def test_what_has_no_place_is_named(part: nn.Module, names: str, tmp_path: Path) -> None:
    said = refused(Called(part).eval(), tmp_path, IntakeError)
    assert names in said
    assert "supported are one embedding, one nn.RNN, nn.GRU or nn.LSTM" in said


class Stacked(nn.Module):
    """Two recurrences, one on the other."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(6, 7)
        self.low, self.high = nn.GRU(7, 5, batch_first=True), nn.LSTM(5, 4, batch_first=True)

    def forward(self, ids: Tensor) -> Tensor:
        logits: Tensor = self.high(self.low(self.embed(ids))[0])[0]
        return logits


def test_two_recurrences_are_refused(tmp_path: Path) -> None:
    said = refused(Stacked().eval(), tmp_path, IntakeError)
    assert "2 recurrences, high (LSTM) with high.weight_hh_l0 [16, 4], low (GRU)" in said
    assert "choose with cell= lstm or gru, or leave others out with ignore= PREFIX" in said


def normed(module: Tagger) -> Tagger:
    nn.utils.parametrizations.weight_norm(module.head)
    nn.utils.parametrizations.weight_norm(module.encoder, "weight_hh_l0")
    return module


def pruned(module: Tagger) -> Tagger:
    l1_unstructured(module.head, "weight", amount=0.5)  # type: ignore[no-untyped-call]
    return module


@pytest.mark.filterwarnings("ignore::UserWarning")  # of PyTorch: such weights are not contiguous
@pytest.mark.parametrize("wrap", [normed, pruned])
@pytest.mark.usefixtures("quick")
def test_weights_that_are_computed_are_taken_as_they_are_computed(
    wrap: Callable[[Tagger], Tagger], tmp_path: Path
) -> None:
    module = wrap(Tagger()).eval()
    decoder = export(module, tmp_path)
    assert decoder.decode("fabcab") == decoded(module, plainly, "fabcab")


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.usefixtures("quick")
def test_other_precisions(
    kind: torch.dtype, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = Tagger("lstm", layers=2).to(kind).eval()
    before = copy.deepcopy(module.state_dict())
    export(module, tmp_path, quiet=False)
    assert all(torch.equal(before[name], now) for name, now in module.state_dict().items())
    assert all(tensor.dtype == kind for tensor in module.parameters())
    said = capsys.readouterr().err
    assert ("float64 and are rounded to float32" in said) == (kind == torch.float64)


@pytest.mark.usefixtures("quick")
def test_a_module_of_float16_that_cannot_be_copied_says_what_to_do(tmp_path: Path) -> None:
    module = Tagger().half().eval()
    module.kept = torch.ones(2, requires_grad=True) * 2
    said = refused(module, tmp_path, IntakeError)
    assert "cannot be copied to compare it in float32" in said
    assert "export module.float()" in said


@pytest.mark.usefixtures("quick")
def test_unknown_characters_and_reserved_entries(tmp_path: Path) -> None:
    """Ids are those of the embedding, with the reserved ones left out."""
    module = Tagger(rows=8).eval()
    entries = ["<pad>", "a", "b", "<unk>", "c", "d", "e", "f"]
    decoder = export(module, tmp_path, alphabet=entries, unknown_token="<unk>")
    ids = torch.tensor([[entries.index(entry) for entry in ["a", "<unk>", "f", "c"]]])
    expected = "".join(LABELS[label] for label in module(ids)[0].argmax(-1).tolist())
    assert decoder.decode("a?fc") == expected
    decoder = export(module, tmp_path, alphabet=entries, unknown_token="<unk>", unknown="copy")
    assert decoder.decode("a?fc") == f"{expected[0]}?{expected[2:]}"
    decoder = export(module, tmp_path, alphabet="abcdefg")
    assert decoder.info.unknown == "label"
    export(module, tmp_path, alphabet="abcdefgh")


def test_padding_that_the_alphabet_does_not_name(tmp_path: Path) -> None:
    module = Tagger(rows=7, padding=True).eval()
    nn.init.uniform_(module.embed.weight)  # the class says it, not the zeros
    said = refused(module, tmp_path, IntakeError)
    assert "row 0 of embed.weight is for padding, and the alphabet 'abcdef' gives it to 'a'" in said


@pytest.mark.usefixtures("quick")
def test_labels_that_add_and_delete(tmp_path: Path) -> None:
    """`None` is the character that was read."""
    module = Tagger().eval()
    decoder = export(module, tmp_path, labels=[[None], "", [None, " "], "xy"])
    chosen = module(torch.tensor([[5, 0, 1, 2, 0, 1]]))[0].argmax(-1).tolist()
    expected = "".join(
        [char, "", f"{char} ", "xy"][label] for char, label in zip("fabcab", chosen, strict=True)
    )
    assert decoder.decode("fabcab") == expected


@pytest.mark.parametrize("weights", ["float16", "int8"])
@pytest.mark.usefixtures("quick")
def test_smaller_weights(weights: str, tmp_path: Path) -> None:
    export(Tagger(bidirectional=True).eval(), tmp_path, weights=weights)
    assert json.loads((tmp_path / "artifact/manifest.json").read_bytes())["weights"] == weights


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ({"alphabet": "abc"}, ["embed.weight has 6 rows, and the alphabet 'abc' has 3 entries"]),
        ({"labels": "xyz"}, ["head.weight gives 4 logits", "'xyz'", "3 entries", "with labels="]),
        ({"alphabet": "abcdea", "labels": "xx"}, ["'a' has the ids 0 and 5", "'x' has the ids"]),
        ({"unknown": "copy"}, ["unknown= copy needs a row", "with unknown_token="]),
        ({"ignore": ["gone"]}, ["ignore= gone: no tensor has this prefix"]),
    ],
)
def test_alphabets_that_do_not_fit(given: dict[str, Any], parts: list[str], tmp_path: Path) -> None:
    said = refused(Tagger().eval(), tmp_path, IntakeError, **given)
    for part in parts:
        assert part in said


def test_all_faults_are_named_at_once(tmp_path: Path) -> None:
    said = refused(
        Called(nn.LayerNorm(5)).eval(), tmp_path, IntakeError, alphabet="aa", labels="zz"
    )
    for part in ("'a' has the ids", "'z' has the ids", "no place for more.weight [5]"):
        assert part in said


def test_wrong_arguments_are_named_all(tmp_path: Path) -> None:
    with pytest.raises(IntakeError) as caught:
        hello_export.export(
            Tagger().state_dict(),  # type: ignore[arg-type]
            tmp_path,
            alphabet="a",
            task="sing",  # type: ignore[arg-type]
            weights="int4",  # type: ignore[arg-type]
            unknown="guess",  # type: ignore[arg-type]
        )
    for part in ("task='sing'", "weights='int4'", "unknown='guess'", "hello-export WEIGHTS"):
        assert part in str(caught.value)


def test_modules_that_do_not_show_their_parts(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        program = torch.jit.script(Tagger().eval())
    with pytest.raises(IntakeError, match="TorchScript does not show the classes of its parts"):
        export(program, tmp_path)
    lazy = Tagger().eval()
    lazy.head = nn.LazyLinear(4)
    with pytest.raises(IntakeError, match="parameters without values: run its forward once"):
        export(lazy, tmp_path)
    assert not any(tmp_path.iterdir())


def test_weights_that_are_no_numbers(tmp_path: Path) -> None:
    module = Tagger().eval()
    with torch.no_grad():
        module.head.weight[1, 2] = torch.nan
        module.encoder.weight_hh_l0[0, 0] = torch.inf
    said = refused(module, tmp_path, IntakeError)
    assert "head.weight has 1 values that are NaN" in said
    assert "encoder.weight_hh_l0 has 1 values" in said
    assert "on the device meta" in refused(Tagger().to("meta"), tmp_path, IntakeError)


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "artifact").mkdir()
    (tmp_path / "artifact/thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(ArtifactError, match="thesis"):
        export(Tagger().eval(), tmp_path)
    assert (tmp_path / "artifact/thesis.txt").exists()


SCRIPT = """
import torch
import hello_export
from hello_export.proof import cases

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = torch.nn.Embedding(4, 8)
        self.gru = torch.nn.GRU(8, 4, batch_first=True)
    def forward(self, ids):
        return self.gru(self.emb(ids))[0]

print("once")
cases.BATCHES, cases.LENGTHS = (1, 2), (1, 7)
made = hello_export.export(Net().eval(), "net", alphabet="ehlo")
made.report.check()
print(str(made).splitlines()[2].split()[0])
"""


@pytest.mark.parametrize("from_file", [False, True])
def test_a_notebook_and_a_script_without_a_guard(from_file: bool, tmp_path: Path) -> None:
    """Whose classes are in no file that another process could import."""
    script = tmp_path / "make.py"
    script.write_text(SCRIPT, encoding="utf-8")
    arguments = [str(script)] if from_file else ["-"]
    result = subprocess.run(
        [sys.executable, *arguments],
        cwd=tmp_path,
        input="" if from_file else SCRIPT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["once", "TorchScript"]
    assert Decoder.open(tmp_path / "net").info.cell == "gru"
    _, training = load_checkpoint(tmp_path / "net")
    assert training.source == {"module": "__main__.Net"}


def test_importing_the_package_imports_no_torch() -> None:
    script = "import sys, hello_export; dir(hello_export); print('torch' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True
    )
    assert result.stdout.strip() == "False"
