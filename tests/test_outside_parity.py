"""Networks from outside, saved by plain PyTorch, agree with it on every engine.

Each goes the whole way: a module with its own names and forward, its state dict in a file, the
intake, the graph, the engines. The logits are compared with those of the module's forward.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from hello_export.errors import ParityError
from hello_export.intake.outside import Vocabulary, read_network
from hello_export.intake.recognise import Choices
from hello_export.proof import parity
from hello_export.proof.cases import module_cases
from hello_runtime.model.model_file import Unknown
from hello_train.network.model import Network
from helpers import ENGINES, KINDS, left_out, quick_cases, reference_steps
from outside import CellLoop, Tagger
from safetensors.torch import save_model
from test_parity import opened
from torch import Tensor, nn

CHARACTERS = "abż\u0301😀"
LABELS = "wxyż"
HEADS = ("bias", "no bias", "none", "tied", "tied, no bias")
"""The linear layers."""
TYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
FILES = (".pt", ".safetensors", ".npz")
ENTRIES: tuple[tuple[Unknown, tuple[str, ...]], ...] = (
    ("error", tuple(CHARACTERS)),
    ("label", (*CHARACTERS, "<unk>")),
    ("copy", ("<pad>", "<unk>", *CHARACTERS)),
)
"""The policies for unknown characters, each with an alphabet."""


@dataclass(frozen=True)
class Form:
    """The form of a network from outside."""

    cell: str
    nonlinearity: str
    layers: int
    bidirectional: bool
    head: str
    loop: bool
    bias: bool
    padding: bool
    kind: torch.dtype
    file: str
    unknown: Unknown

    def __str__(self) -> str:
        kind = str(self.kind).removeprefix("torch.")
        return (
            f"{'loop-' * self.loop}{self.cell}-{self.nonlinearity}-{self.layers}-"
            f"{'two' if self.bidirectional else 'one'}-{self.head}-{kind}{self.file}"
        )


def forms() -> Iterator[Form]:
    """Yield the forms: every recurrence, depth, direction and linear layer; the rest in turn."""
    place = 0
    for cell, nonlinearity in KINDS:
        for bidirectional in (False, True):
            for layers in (1, 2, 3, 8):
                for head in HEADS:
                    yield form(place, cell, nonlinearity, layers, bidirectional, head, loop=False)
                    place += 1
        for layers in (1, 2, 8):
            for head in HEADS[:3]:
                yield form(place, cell, nonlinearity, layers, False, head, loop=True)
                place += 1


def form(
    place: int,
    cell: str,
    nonlinearity: str,
    layers: int,
    bidirectional: bool,
    head: str,
    *,
    loop: bool,
) -> Form:
    kind, file = TYPES[place // 3 % 4], FILES[place % 3]
    if kind == torch.bfloat16 and file == ".npz":  # numpy has no such type
        file = ".pt"
    return Form(
        cell=cell,
        nonlinearity=nonlinearity,
        layers=layers,
        bidirectional=bidirectional,
        head=head,
        loop=loop,
        bias=place // 2 % 2 == 0,
        padding=place % 5 < 2,
        kind=kind,
        file=file,
        unknown=ENTRIES[place // 5 % 3][0],
    )


FORMS = list(forms())
ALWAYS = FORMS[3::11]
"""Those that a plain pytest compares."""


def build(form: Form, rows: int) -> nn.Module:
    """Return a module of this form, with random weights."""
    linear, tied = form.head != "none", form.head.startswith("tied")
    if form.loop:
        return CellLoop(
            form.cell,
            layers=form.layers,
            bias=form.bias,
            nonlinearity=form.nonlinearity,
            linear=linear,
            linear_bias=form.head == "bias",
            padding=form.padding,
            rows=rows,
        )
    return Tagger(
        form.cell,
        layers=form.layers,
        bidirectional=form.bidirectional,
        bias=form.bias,
        linear=linear,
        linear_bias=form.head in ("bias", "tied"),
        tied=tied,
        padding=form.padding,
        nonlinearity=form.nonlinearity,
        rows=rows,
    )


def save(module: nn.Module, file: Path) -> None:
    """Save a module's weights as its users do."""
    if file.suffix == ".pt":
        torch.save({"epoch": 1, "state_dict": module.state_dict()}, file)
    elif file.suffix == ".safetensors":
        save_model(module, str(file))
    else:
        np.savez(file, **{name: tensor.numpy() for name, tensor in module.state_dict().items()})


def letters(count: int) -> str:
    return "".join(map(chr, range(ord("A"), ord("A") + count)))


def read(form: Form, module: nn.Module, file: Path, entries: tuple[str, ...]) -> Network:
    """Return the network that the intake makes of a file."""
    with torch.no_grad():
        labels = letters(module(torch.tensor([[1]])).shape[-1])
    rnn = form.cell == "rnn"
    # One matrix may be the embedding alone; safetensors saves tied weights once.
    once = form.head == "tied, no bias" and form.file == ".safetensors"
    token = "<unk>" if "<unk>" in entries else None
    vocabulary = Vocabulary(list(entries), labels, unknown=form.unknown, unknown_token=token)
    choices = Choices(
        nonlinearity=form.nonlinearity if rnn else None, linear="embed" if once else None
    )
    return read_network(file, vocabulary, choices).network


def plain_forward(
    form: Form, module: nn.Module, entries: tuple[str, ...]
) -> Callable[[Tensor], Tensor]:
    """Return plain PyTorch's logits of the network's ids: the module's own, in float32 or more."""
    own = [row for row, entry in enumerate(entries) if len(entry) == 1]
    own += [row for row, entry in enumerate(entries) if entry == "<unk>"]
    rows = torch.tensor(own)
    exact = module if form.kind == torch.float64 else module.float()

    def forward(ids: Tensor) -> Tensor:
        logits: Tensor = exact(rows[ids])
        return logits.float()

    return forward


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(form, id=str(form), marks=[pytest.mark.long] * (form not in ALWAYS))
        for form in FORMS
    ],
)
def test_a_network_from_outside_agrees_with_plain_pytorch(form: Form, tmp_path: Path) -> None:
    entries = dict(ENTRIES)[form.unknown]
    torch.manual_seed(FORMS.index(form))
    module = build(form, len(entries)).to(form.kind).eval()
    file = tmp_path / f"net{form.file}"
    save(module, file)
    network = read(form, module, file, entries)
    assert (network.config.layers, network.config.bidirectional) == (
        form.layers,
        form.bidirectional,
    )
    assert network.config.input_alphabet == CHARACTERS
    cases = [case for case in module_cases(network.config) if reference_steps(case) < 300]
    report = parity.compare(
        network,
        opened(network, tmp_path),
        cases,
        strict=True,
        forward=plain_forward(form, module, entries),
    )
    report.check()
    assert {verdict.engine: verdict.cases for verdict in report.verdicts} == {
        engine.name: sum(case.characters <= engine.largest_case for case in cases)
        for engine in ENGINES
        if engine.name not in left_out(network.config)
    }
    assert {verdict.text_differences for verdict in report.verdicts} == {0}
    assert report.verdicts[0].characters > 1000


@pytest.mark.parametrize("name", ["embed.weight", "encoder.bias_hh_l0", "head.weight"])
def test_a_weight_that_is_not_that_of_the_module_is_found(name: str, tmp_path: Path) -> None:
    form = FORMS[0]
    entries = dict(ENTRIES)[form.unknown]
    module = build(form, len(entries)).eval()
    save(module, file := tmp_path / "net.pt")
    network = read(form, module, file, entries)
    with torch.no_grad():
        module.get_parameter(name)[0] += 1e-3
    forward = plain_forward(form, module, entries)
    cases = quick_cases(network.config)
    report = parity.compare(network, opened(network, tmp_path), cases, forward=forward)
    with pytest.raises(ParityError, match=r"TorchScript differs from PyTorch in logits by up to"):
        report.check()


def test_the_grid_has_every_form() -> None:
    """And a plain pytest compares each value of each feature, and each cell in each direction."""
    assert len(set(FORMS)) == len(FORMS) == 4 * (2 * 4 * 5 + 3 * 3) == 196
    for name in asdict(FORMS[0]):
        assert {getattr(form, name) for form in ALWAYS} == {getattr(form, name) for form in FORMS}
    assert {(form.cell, form.bidirectional) for form in ALWAYS} == {
        (form.cell, form.bidirectional) for form in FORMS
    }
