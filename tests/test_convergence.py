"""Each of these starts ends with `ohlol`. `benchmarks/convergence.py` tries a hundred seeds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hello_train.fit.callbacks import Callback
from hello_train.fit.hello import run_hello
from hello_train.fit.options import HELLO_OPTIONS
from hello_train.network.cells import CELLS

LOST: dict[str, int] = {"rnn": 7, "gru": 3, "lstm": 1}
"""For each cell a seed that the post's network does not learn from."""


class Restarts(Callback):
    """Remembers the starts that were lost."""

    def __init__(self) -> None:
        self.lost: list[int] = []

    def on_restart(self, lost_seed: int, next_seed: int) -> None:
        assert next_seed == lost_seed + 1
        self.lost.append(lost_seed)


@pytest.mark.parametrize("cell", CELLS)
def test_a_start_and_one_that_is_lost(cell: str, tmp_path: Path) -> None:
    restarts = Restarts()
    for seed in (5, LOST[cell]):  # and 0 in test_train_command.py
        run = run_hello(replace(HELLO_OPTIONS, cell=cell, seed=seed), tmp_path, [restarts])
        assert run.network.rewrite("hello") == "ohlol"
    assert LOST[cell] in restarts.lost
