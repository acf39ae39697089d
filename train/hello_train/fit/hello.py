"""The post's example, `hello` -> `ohlol`: one run of it, or one with each cell, side by side."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hello_runtime.text.baseline import BASELINE_NAME
from hello_runtime.text.pairs import Pair

from hello_train.data.alphabets import choose_alphabets, count_substitutions
from hello_train.errors import FitError
from hello_train.fit.history import History, Saying
from hello_train.fit.loop import Progress, Watcher, fit_exactly
from hello_train.fit.options import TrainOptions, configure
from hello_train.fit.run import REPORT_NAME, RUN_NAMES, Run, save_holdout
from hello_train.fit.threads import one_thread
from hello_train.network.cells import CELLS
from hello_train.network.checkpoint import Training, check_writable, save_checkpoint
from hello_train.network.model import Network

HELLO = Pair("hello", "ohlol")
HELLO_DATA = f"{HELLO.input} -> {HELLO.target}"
HELLO_ALPHABETS = choose_alphabets(count_substitutions([HELLO]), 0)._replace(outputs="ehlo")
"""`ehlo`, for input and output: `hello` is [1, 0, 2, 2, 3] and `ohlol` [3, 1, 2, 3, 2]."""
LOST_NAME = "lost"
"""The folder, in that of a run, of the last start where none learned."""


def run_hello(options: TrainOptions, folder: Path, watcher: Watcher) -> Run:
    """Train `hello` -> `ohlol` until it is right, and save checkpoint and report in the folder.

    Where no start learned it, those of the last one are saved in a folder of their own, and what
    an earlier run left stays.

    Raises:
        TrainError: the options make no network, no start learned it, or it cannot be saved.
    """
    config = configure(options, HELLO_ALPHABETS)
    check_writable(folder, RUN_NAMES)
    recorder = Recorder(HELLO.input, watcher)
    recorder.begin(f"{options.cell}: {HELLO_DATA}")
    with one_thread():
        network, seed = fit_exactly(config, HELLO, options, recorder)
    training = Training(
        data=HELLO_DATA,
        example=HELLO.input,
        seed=seed,
        characters=len(HELLO.input),
    )
    is_lost = network.rewrite(HELLO.input) != HELLO.target
    home = folder / LOST_NAME if is_lost else folder
    checkpoint = save_checkpoint(home, network, training)
    save_holdout(home, [])
    (home / BASELINE_NAME).unlink(missing_ok=True)
    from hello_train.report.pages import HelloRun, hello_page, write_report

    told = HelloRun(network, training, recorder.history, HELLO, recorder.starts)
    write_report(home / REPORT_NAME, hello_page(told))
    if is_lost:
        raise FitError(
            f"none of {recorder.starts} starts learned {HELLO_DATA}; use more --epochs or "
            f"--minutes, or another --learning-rate; what became of the last one is in "
            f"{home / REPORT_NAME}, its checkpoint beside it"
        )
    return Run(network, training, checkpoint, recorder.history, {})


def compare_cells(options: TrainOptions, folder: Path, watcher: Watcher) -> list[Run]:
    """Train `hello` -> `ohlol` with each cell, in a folder each, and show them side by side.

    Raises:
        TrainError: as `run_hello`.
    """
    check_writable(folder, (REPORT_NAME,))
    runs = [run_hello(replace(options, cell=cell), folder / cell, watcher) for cell in CELLS]
    from hello_train.report.pages import HelloRun, compare_page, write_report

    told = [HelloRun(run.network, run.training, run.history, HELLO) for run in runs]
    write_report(folder / REPORT_NAME, compare_page(told))
    return runs


class Recorder(Watcher):
    """Writes down what a start of the post's network does in each epoch, and tells it on."""

    def __init__(self, example: str, watcher: Watcher) -> None:
        self.history = History()
        self.starts = 1
        self._example = example
        self._watcher = watcher

    def begin(self, description: str) -> None:
        """Tell it on."""
        self._watcher.begin(description)

    def end(self) -> None:
        """Tell it on."""
        self._watcher.end()

    def step(self, progress: Progress, network: Network) -> None:
        """Take note of the loss, and of what is said."""
        self.history.losses.append(progress.loss)
        said, sayings = network.rewrite(self._example), self.history.sayings
        if sayings and sayings[-1].text == said:
            sayings[-1] = replace(sayings[-1], last=progress.epoch)
        else:
            sayings.append(Saying(progress.epoch, progress.epoch, said))
        self._watcher.step(progress, network)

    def restart(self, lost_seed: int, next_seed: int) -> None:
        """Forget the start that was lost, but for its number."""
        self.history = History()
        self.starts += 1
        self._watcher.restart(lost_seed, next_seed)
