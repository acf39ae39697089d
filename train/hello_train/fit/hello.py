"""The example `hello` -> `ohlol`: one run of it, or one with each cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hello_runtime.model.labels import alphabet_guard, alphabet_labels
from hello_runtime.text.pairs import Pair

from hello_train.data.alphabets import Alphabets
from hello_train.errors import FitError
from hello_train.files import LOST_NAME, REPORT_NAME, RUN_NAMES
from hello_train.fit.callbacks import Callback, Progress
from hello_train.fit.loop import Trainer
from hello_train.fit.options import TrainOptions, configure
from hello_train.fit.save import check_writable, save_run
from hello_train.fit.state import new_state
from hello_train.fit.threads import one_thread
from hello_train.network.cells import CELLS
from hello_train.network.checkpoint import Training
from hello_train.network.config import ModelConfig
from hello_train.network.model import Network
from hello_train.report.history import History, OutputSpan

if TYPE_CHECKING:
    from hello_train.report.pages import HelloRun

HELLO = Pair("hello", "ohlol")
HELLO_DATA = f"{HELLO.input} -> {HELLO.target}"


HELLO_ALPHABETS = Alphabets(
    "ehlo",
    alphabet_labels("ehlo"),
    alphabet_guard({"e": "h", "h": "o", "l": "lo", "o": "l"}, "ehlo"),
)
"""`ehlo`, for input and output: `hello` is [1, 0, 2, 2, 3] and `ohlol` [3, 1, 2, 3, 2]."""
STARTS = 20
"""Largest number of seeds that a run tries."""


def run_hello(options: TrainOptions, folder: Path, callbacks: Sequence[Callback] = ()) -> HelloRun:
    """Train `hello` -> `ohlol` until the network says it; save checkpoint and report.

    If no start learns it, the files of the last start go to the folder `LOST_NAME` inside, and an
    earlier run in the folder stays as it is.

    Raises:
        TrainError: the options make no network, no start learned it, or a file cannot be written.
    """
    config = configure(options, HELLO_ALPHABETS)
    check_writable(folder, RUN_NAMES)
    recorder = HistoryRecorder(HELLO.input)
    for callback in callbacks:
        callback.on_begin(f"{options.cell}: {HELLO_DATA}")
    with one_thread():
        network, seed = fit_exactly(config, HELLO, options, [recorder, *callbacks])
    training = Training(
        data=HELLO_DATA, example=HELLO.input, seed=seed, characters=len(HELLO.input)
    )
    is_lost = network.rewrite(HELLO.input) != HELLO.target
    home = folder / LOST_NAME if is_lost else folder
    from hello_train.report.pages import HelloRun, hello_page

    run = HelloRun(network, training, recorder.history, HELLO, recorder.starts)
    save_run(home, run, hello_page(run))
    if is_lost:
        raise FitError(
            f"none of {recorder.starts} starts learned {HELLO_DATA}; use more --epochs or "
            f"--minutes, or another --learning-rate; the last one is in {home}, and "
            f"{home / REPORT_NAME} shows it"
        )
    return run


def compare_cells(
    options: TrainOptions, folder: Path, callbacks: Sequence[Callback] = ()
) -> list[HelloRun]:
    """Train `hello` -> `ohlol` with each cell, each in its own folder, and write a common report.

    Raises:
        TrainError: as `run_hello`.
    """
    check_writable(folder, (REPORT_NAME,))
    runs = []
    for cell in CELLS:
        runs.append(run_hello(replace(options, cell=cell), folder / cell, callbacks))
    from hello_train.report.pages import compare_page, write_report

    write_report(folder / REPORT_NAME, compare_page(runs))
    return runs


def fit_exactly(
    config: ModelConfig, pair: Pair, options: TrainOptions, callbacks: Sequence[Callback] = ()
) -> tuple[Network, int]:
    """Train until the network rewrites `pair.input` to `pair.target`, trying seed after seed.

    The example's network can converge to a wrong output and stay there. Whether it does depends on
    the seed alone.

    Returns:
        The network and its seed; those of the last start if none of `STARTS` learned the pair.

    Raises:
        FitError: the loss is not finite.
    """
    for seed in range(options.seed, options.seed + STARTS):
        if seed > options.seed:
            for callback in callbacks:
                callback.on_restart(lost_seed=seed - 1, next_seed=seed)
        start = replace(options, seed=seed)
        state = new_state(config, start)
        Trainer(state, [pair], start, callbacks).run()
        network = state.network.eval()
        if network.rewrite(pair.input) == pair.target:
            break
    return network, seed


class HistoryRecorder(Callback):
    """Records the loss of each epoch and the output for an example."""

    def __init__(self, example: str) -> None:
        self.history = History()
        self.starts = 1
        self._example = example
        self._labels: list[int] = []
        self._output = ""

    def on_step(self, progress: Progress, network: Network) -> None:
        """Record an epoch; hello is one batch, so each step is one."""
        self.history.losses.append(progress.loss)
        labels = network.choose(self._example)
        if labels != self._labels:  # else the text is the last one too
            self._labels, self._output = labels, network.rewrite(self._example)
        output, outputs = self._output, self.history.outputs
        if outputs and outputs[-1].text == output:
            outputs[-1] = replace(outputs[-1], last=progress.epoch)
        else:
            outputs.append(OutputSpan(progress.epoch, progress.epoch, output))

    def on_restart(self, lost_seed: int, next_seed: int) -> None:
        """Discard the history of the lost start."""
        self.history = History()
        self.starts += 1
