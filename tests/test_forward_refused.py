"""A forward that does more than its parts is refused, and a module is left as it is."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from hello_export.errors import ForwardError, IntakeError, ParityError
from hello_export.intake import module as door
from hello_export.intake.agreement import MOST_CHARACTERS
from module_door import export, refused, shorten_module_proof
from outside import Tagger
from torch import Tensor, nn


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten_module_proof(monkeypatch)


class Residual(Tagger):
    def __init__(self) -> None:
        super().__init__(width=5)

    def forward(self, ids: Tensor) -> Tensor:
        vectors = self.embed(ids)
        logits: Tensor = self.head(self.encoder(vectors)[0] + vectors)
        return logits


class Scaled(Tagger):
    def forward(self, ids: Tensor) -> Tensor:
        logits: Tensor = self.head(self.encoder(self.embed(ids) * 7**0.5)[0])
        return logits


class Dropping(Tagger):
    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.2)

    def forward(self, ids: Tensor) -> Tensor:
        logits: Tensor = self.head(self.drop(self.encoder(self.embed(ids))[0]))
        return logits


class FunctionalDropping(Tagger):
    def forward(self, ids: Tensor) -> Tensor:
        return nn.functional.dropout(super().forward(ids), 0.2, self.training)


class RecurrentDropping(Tagger):
    def __init__(self) -> None:
        super().__init__(layers=2)
        self.encoder.dropout = 0.2


class Reversed(Tagger):
    def forward(self, ids: Tensor) -> Tensor:
        return super().forward(ids.flip(1)).flip(1)


class ReversedOut(Tagger):
    def forward(self, ids: Tensor) -> Tensor:
        return super().forward(ids).flip(1)


class Softmax(Tagger):
    def forward(self, ids: Tensor) -> Tensor:
        return super().forward(ids).softmax(-1)


class LogSoftmax(Tagger):
    def forward(self, ids: Tensor) -> Tensor:
        return super().forward(ids).log_softmax(-1)


class OtherOrder(Tagger):
    def forward(self, ids: Tensor) -> Tensor:
        return super().forward(ids)[..., [0, 2, 1, 3]]


class SwappedAxes(Tagger):
    """Has a GRU without batch_first, and is called as if it had it."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.GRU(7, 5)


class Stateful(Tagger):
    """Goes on from the state of the call before, if the batch is as large."""

    state: Tensor | None = None

    def forward(self, ids: Tensor) -> Tensor:
        before = self.state
        if before is not None and before.shape[1] != len(ids):
            before = None
        hidden, self.state = self.encoder(self.embed(ids), before)
        logits: Tensor = self.head(hidden)
        return logits


class StatefulAlways(Tagger):
    """Goes on from the state of the call before, whatever its size."""

    state: Tensor | None = None

    def forward(self, ids: Tensor) -> Tensor:
        hidden, self.state = self.encoder(self.embed(ids), self.state)
        logits: Tensor = self.head(hidden)
        return logits


class MaxNorm(Tagger):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(6, 7, max_norm=0.5)


class Normalised(Tagger):
    def forward(self, ids: Tensor) -> Tensor:
        hidden = self.encoder(self.embed(ids))[0]
        logits: Tensor = self.head(nn.functional.layer_norm(hidden, (5,)))
        return logits


class Activated(Tagger):
    def forward(self, ids: Tensor) -> Tensor:
        logits: Tensor = self.head(nn.functional.relu(self.encoder(self.embed(ids))[0]))
        return logits


class SlightlyScaled(Tagger):
    def forward(self, ids: Tensor) -> Tensor:
        return super().forward(ids) * 1.0005


class AfterManySteps(Tagger):
    """Forgets what it read on long lines."""

    def forward(self, ids: Tensor) -> Tensor:
        logits = super().forward(ids)
        return torch.cat([logits[:, :200], logits[:, 200:] + 1], 1)


class NotFinite(Tagger):
    def forward(self, ids: Tensor) -> Tensor:
        return super().forward(ids) * float("nan")


class InLargeBatches(Tagger):
    """Does more for more characters than are compared before the proof."""

    def forward(self, ids: Tensor) -> Tensor:
        return super().forward(ids) + (ids.numel() > MOST_CHARACTERS)


MORE = "it does more than they do, or something else, such as a residual"
BACKWARDS = "it reads or writes the line backwards"
PLANTED: list[tuple[type[Tagger], bool, str]] = [
    (Residual, False, MORE),
    (Scaled, False, MORE),
    (Normalised, False, MORE),
    (Activated, False, MORE),
    (SlightlyScaled, False, MORE),
    (AfterManySteps, False, MORE),
    (Dropping, True, "dropout is active: call the module's .eval()"),
    (RecurrentDropping, True, "dropout is active: call the module's .eval()"),
    (FunctionalDropping, True, "it gives two answers to one input"),
    (Reversed, False, BACKWARDS),
    (ReversedOut, False, BACKWARDS),
    (Softmax, False, "it applies softmax"),
    (LogSoftmax, False, "it applies softmax"),
    (OtherOrder, False, "its logits are in another order than the rows of the linear layer"),
    (SwappedAxes, False, "as if the batch axis were time: is batch_first=True missing"),
    (Stateful, False, "it gives two answers to one input: it keeps a state between calls"),
    (MaxNorm, False, "its embedding has max_norm"),
    (NotFinite, False, "its logits are NaN or infinite where those of its parts are not"),
]


@pytest.mark.parametrize(("kind", "training", "cause"), PLANTED)
def test_a_forward_that_does_more_than_its_parts_is_refused(
    kind: type[Tagger], training: bool, cause: str, tmp_path: Path
) -> None:
    """Before any engine runs, with the input that shows it, and what may be the cause."""
    torch.manual_seed(1)
    module = kind().train(training)
    said = refused(module, tmp_path, ForwardError)
    assert "its forward does not give what its embedding, GRU and linear layer give" in said
    assert cause in said
    assert "for '" in said or "for ...'" in said
    assert ", row 1, character " in said


def test_a_forward_that_fails_after_another_batch_is_refused(tmp_path: Path) -> None:
    said = refused(StatefulAlways().eval(), tmp_path, IntakeError)
    assert "its forward fails on ids [batch, time] [1, 1] [[" in said
    assert "does it keep a state between calls, or does it take only some sizes" in said


@pytest.mark.usefixtures("quick")
def test_dropout_that_is_inactive_is_no_fault(tmp_path: Path) -> None:
    export(Dropping().eval(), tmp_path)
    export(Tagger(layers=2).train(), tmp_path)  # there is nothing that the mode changes


def test_the_first_input_that_shows_it_is_shown(tmp_path: Path) -> None:
    said = refused(AfterManySteps().eval(), tmp_path, ForwardError)
    assert "batch 1, length 257, row 1, character 2" in said
    said = refused(ReversedOut().eval(), tmp_path, ForwardError)
    assert "(batch 1, length 2, row 1, character 1)" in said


def test_all_cases_are_compared_if_the_proof_knows_rounded_weights_alone(tmp_path: Path) -> None:
    said = refused(InLargeBatches().eval(), tmp_path, ForwardError, weights="int8")
    assert "(batch 33, length 257, row 1, character 1)" in said


@pytest.mark.usefixtures("quick")
def test_the_files_are_compared_with_the_forward_and_not_with_the_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "check_forward", lambda *_, **__: None)
    with pytest.raises(ParityError, match=r"onnxruntime differs from PyTorch in logits by up to"):
        export(Scaled().eval(), tmp_path)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("kind", [MaxNorm, Stateful, StatefulAlways, Dropping, Tagger])
@pytest.mark.usefixtures("quick")
def test_a_module_is_left_as_it_is(kind: type[Tagger], tmp_path: Path) -> None:
    module = kind()
    module.embed.eval()  # a mode of its own
    module(torch.tensor([[0, 1]])).sum().backward()
    if isinstance(module, (Stateful, StatefulAlways)):
        module.state = None
    weights = copy.deepcopy(module.state_dict())
    gradients = [weight.grad.clone() for weight in module.parameters() if weight.grad is not None]
    modes = [part.training for part in module.modules()]
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with_error = (IntakeError,)
    try:
        export(module, tmp_path)
    except with_error:
        assert kind is not Tagger
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(weights[name], now) for name, now in module.state_dict().items())
    assert modes == [part.training for part in module.modules()]
    for weight, gradient in zip(module.parameters(), gradients, strict=True):
        assert weight.grad is not None
        assert weight.requires_grad
        assert torch.equal(weight.grad, gradient)
    assert not any(part._forward_pre_hooks for part in module.modules())
    assert getattr(module, "state", None) is None
    module(torch.tensor([[0, 1]])).sum().backward()  # can be trained further
