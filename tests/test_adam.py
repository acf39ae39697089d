"""Our optimizer against PyTorch's, and what it is for: no training imports PyTorch's compiler."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hello_train.fit.adam import Adam
from torch import Tensor

RATES = [0.01 * 0.97**step for step in range(200)]


def parameters() -> list[Tensor]:
    """Return parameters of sizes with and without a rest after a processor's vectors."""
    random = torch.Generator().manual_seed(0)
    shapes = [(1,), (3, 5), (17, 16), (4, 33)]
    return [torch.randn(shape, generator=random).requires_grad_() for shape in shapes]


def loss_of(values: list[Tensor], step: int) -> Tensor:
    """Return a loss whose gradients are of sizes between 1e-12 and 1e4."""
    scale = 10.0 ** (step % 17 - 12)
    return sum((scale * (value * (value + step)).sin().sum() for value in values), torch.zeros(()))


def learn(ours: Adam, values: list[Tensor], steps: range) -> None:
    for step in steps:
        ours.forget_gradients()
        loss_of(values, step).backward()  # type: ignore[no-untyped-call]
        ours.step(RATES[step])


def same(values: list[Tensor], others: list[Tensor]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(values, others, strict=True))


def test_each_step_is_pytorchs_bit_for_bit() -> None:
    values, others = parameters(), parameters()
    ours, theirs = Adam(values), torch.optim.Adam(others)
    for step, rate in enumerate(RATES):
        learn(ours, values, range(step, step + 1))
        theirs.zero_grad()
        loss_of(others, step).backward()  # type: ignore[no-untyped-call]
        theirs.param_groups[0]["lr"] = rate
        theirs.step()
        assert same(values, others), step
    state = theirs.state_dict()["state"]
    expected = {
        f"{number}.{name}": value for number in state for name, value in state[number].items()
    }
    found = ours.tensors()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in found)


@pytest.mark.parametrize("constant", ["MEAN_DECAY", "SQUARE_DECAY", "EPSILON"])
def test_another_constant_is_seen(monkeypatch: pytest.MonkeyPatch, constant: str) -> None:
    values, others = parameters(), parameters()
    learn(Adam(values), values, range(9))
    monkeypatch.setattr(f"hello_train.fit.adam.{constant}", 0.9001)
    learn(Adam(others), others, range(9))
    assert not same(values, others)


def test_a_restored_state_goes_on_the_same() -> None:
    values, others = parameters(), parameters()
    whole, first = Adam(values), Adam(others)
    learn(whole, values, range(20))
    learn(first, others, range(10))
    second = Adam(others)
    second.put_tensors({name: tensor.clone() for name, tensor in first.tensors().items()})
    learn(second, others, range(10, 20))
    assert same(values, others)


TRAIN = """
import sys
from hello_train.cli import main

def compiler():
    return "torch._dynamo" in sys.modules

main.main(["--epochs", "400", "--seed", "1", "--output", "hello"], standalone_mode=False)
options = ["--text", sys.argv[1], "--corrupt", "strip-diacritics", "--epochs", "1"]
main.main([*options, "--hidden-size", "8", "--output", "text"], standalone_mode=False)
after_training = compiler()
import torch
torch.optim.Adam([torch.zeros(1, requires_grad=True)])
print(after_training, compiler())
"""


def test_no_training_imports_pytorchs_compiler(tmp_path: Path) -> None:
    """PyTorch's own optimizer does, which shows that it would be seen."""
    text = Path(__file__).parent / "data" / "zolw.txt"
    command = [sys.executable, "-c", TRAIN, str(text)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, text=True)
    assert done.stdout.splitlines()[-1] == "False True"
