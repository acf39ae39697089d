"""The training loop: what it learns in which order, when it ends, and that it can be stopped."""

from __future__ import annotations

import inspect
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import torch
from command_server import CommandServer
from hello_runtime.text.pairs import AnyPair, Pair
from hello_train.cli import main
from hello_train.data.alphabets import Alphabets, choose_alphabets, count_substitutions
from hello_train.data.augmentation import IGNORED
from hello_train.data.batches import Batches
from hello_train.data.lines import Split
from hello_train.errors import FitError, TeamError
from hello_train.files import CHECKPOINT_NAME, HOLDOUT_TEXT_NAME, RESUME_NAME, RUN_NAMES
from hello_train.fit import loop
from hello_train.fit.adam import Adam
from hello_train.fit.callbacks import Callback, Progress
from hello_train.fit.evaluation import Evaluator
from hello_train.fit.hello import HELLO, HELLO_ALPHABETS
from hello_train.fit.job import TrainingJob
from hello_train.fit.loop import Ending, Trainer
from hello_train.fit.memory import memory_named
from hello_train.fit.options import EVALUATIONS, TrainOptions, configure
from hello_train.fit.parallel import Team, best_device
from hello_train.fit.run import run_lines
from hello_train.fit.state import TrainingState, new_state
from hello_train.network.checkpoint import load_checkpoint
from hello_train.network.config import ModelConfig
from hello_train.network.model import Network
from hello_train.report import pages
from helpers import Run, assert_one_line_error

SMALL = ("--hidden-size", "8", "--embedding-dim", "4")
POLISH = Path(__file__).parent / "data" / "zolw.txt"
TINY = TrainOptions(epochs=10, hidden_size=8, unknown="copy", guarded=True, batch_characters=64)
HELLO_CONFIG = configure(TrainOptions(epochs=1), HELLO_ALPHABETS)


def batches_of(config: ModelConfig, pairs: Sequence[AnyPair], options: TrainOptions) -> Batches:
    """Return the batches of a network that rewrites."""
    batches = loop.batches_of(config, pairs, options)
    assert isinstance(batches, Batches)
    return batches


def alphabets_of(*pairs: Pair) -> Alphabets:
    return choose_alphabets(count_substitutions(pairs), 0, keep=False)


# Batches.


def test_batches_have_every_line_once_and_hide_a_few_characters() -> None:
    pairs = [Pair(text, text[::-1]) for text in ("abc", "cab", "bca", "aabb", "c" * 600)]
    options = replace(TINY, guarded=False, batch_characters=6)
    batches = batches_of(configure(options, alphabets_of(*pairs)), pairs, options)
    seen, hidden, total = Counter[str](), 0, 0
    for epoch in range(100):
        order = batches.order(epoch)
        assert len(order) == 6
        for number, segments in enumerate(order):
            ids, labels = batches.load(segments, epoch, number)
            assert ids.shape == labels.shape
            assert ids.shape[0] <= 2
            assert ((ids == 3) == (labels == IGNORED)).all()
            hidden += int((labels == IGNORED).sum())
            total += labels.numel()
            seen.update("".join("abc?"[id_] for id_ in row) for row in ids.tolist())
    assert total == 100 * (9 + 4 + 600)
    assert 0.005 < hidden / total < 0.02
    assert seen["abc"] > 90
    assert sum(seen[text] for text in seen if len(text) == 600 - 2 * 256) > 0


def test_an_epoch_is_in_another_order_and_each_is_the_same_again() -> None:
    pairs = [Pair(f"ab{i:03}", f"ab{i:03}") for i in range(200)]
    config = configure(TINY, alphabets_of(*pairs))
    one, two = (batches_of(config, pairs, TINY) for _ in range(2))
    first, second = one.order(1), one.order(2)
    assert not all(map(np.array_equal, first, second))
    assert all(map(np.array_equal, second, two.order(2)))
    assert sorted(np.concatenate(first).tolist()) == list(range(200))
    batch, again = one.load(second[3], 2, 3), two.load(second[3], 2, 3)
    assert torch.equal(batch.ids, again.ids)
    assert torch.equal(batch.labels, again.labels)


def test_segments_are_sorted_in_pools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hello_train.data.batches.POOL", 7)
    pairs = [Pair("ab"[: 1 + i % 2], "ab"[: 1 + i % 2]) for i in range(40)]
    batches = batches_of(configure(TINY, alphabets_of(*pairs)), pairs, TINY)
    order = batches.order(1)
    assert len(order) > 40 / 7
    assert sorted(np.concatenate(order).tolist()) == list(range(40))


def test_some_lines_are_learned_in_another_case() -> None:
    pairs = [Pair("zab", "żąb"), Pair("ZAB", "ŻAB"), Pair("z1", "z1")]
    options = replace(TINY, case_rate=0.2, unknown="error", batch_characters=300)
    config = configure(options, alphabets_of(*pairs))
    many = batches_of(config, [pairs[0]] * 100, options)
    ids, labels = many.load(np.arange(100, dtype=np.uint32), 1, 0)
    texts = Counter(
        (
            "".join(config.input_alphabet[i] for i in row),
            "".join(config.output_alphabet[i] for i in label),
        )
        for row, label in zip(ids.tolist(), labels.tolist(), strict=True)
    )
    # Ą was never seen in the place of A, so the guard forbids it, and a stays.
    assert texts.keys() == {("zab", "żąb"), ("ZaB", "ŻąB")}
    assert 10 < texts["ZaB", "ŻąB"] < 35
    never = batches_of(config, [pairs[0]] * 100, replace(options, case_rate=0))
    assert not torch.equal(never.load(np.arange(100, dtype=np.uint32), 1, 0).ids, ids)


def test_a_character_changes_case_only_together_with_its_target() -> None:
    pairs = [Pair("zab", "żąb"), Pair("ZAB", "ZAB")]  # Ż is no label
    options = replace(TINY, case_rate=0.2, unknown="error", guarded=False, batch_characters=300)
    config = configure(options, alphabets_of(*pairs))
    batches = batches_of(config, [pairs[0]] * 100, options)
    ids, labels = batches.load(np.arange(100, dtype=np.uint32), 1, 0)
    learned = {
        (config.input_alphabet[id_], config.output_alphabet[label])
        for id_, label in zip(ids.flatten().tolist(), labels.flatten().tolist(), strict=True)
    }
    assert learned == {("z", "ż"), ("a", "ą"), ("b", "b"), ("B", "B")}


def test_what_is_no_label_or_forbidden_does_not_count() -> None:
    learned = alphabets_of(Pair("ab", "ąb"))
    options = replace(TINY, unknown="error")
    pair = Pair("abax", "ąxbb")
    batches = batches_of(configure(options, learned), [pair], options)
    _, labels = batches.load(np.array([0], np.uint32), 1, 0)
    assert labels.tolist() == [[learned.labels.index(("ą",)), IGNORED, IGNORED, IGNORED]]


# The loop.


def fit(config: ModelConfig, pairs: list[Pair], options: TrainOptions) -> Network:
    state = new_state(config, options)
    Trainer(state, pairs, options).run()
    return state.network.eval()


def test_a_line_of_one_character_may_be_hidden_whole() -> None:
    """Where each character of a batch is hidden there is nothing to learn, and no mean of it."""
    pairs = [Pair("a", "b"), Pair("ab", "ba")]
    options = replace(TINY, epochs=400, hidden_size=2, embedding_dim=2, learning_rate=4e-3)
    config = configure(options, alphabets_of(*pairs))
    assert fit(config, pairs, options).rewrite("a") == "b"


def test_the_learning_rate_decays_and_the_gradient_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    rates, norms = [], []

    class Recording(Adam):
        def step(self, rate: float) -> None:
            rates.append(rate)
            gradients = [p.grad.flatten() for p in self.parameters if p.grad is not None]
            norms.append(float(torch.cat(gradients).norm()))
            super().step(rate)

    monkeypatch.setattr("hello_train.fit.state.Adam", Recording)
    options = TrainOptions(epochs=50, learning_rate=0.1, decay=True, max_gradient_norm=0.01)
    fit(HELLO_CONFIG, [HELLO], options)
    assert rates[0] == 0.1
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.001
    assert max(norms) <= 0.0100001


def test_a_loss_that_is_not_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hello_train.fit.optimizer.cosine", lambda _: float("nan"))
    options = TrainOptions(epochs=5, decay=True)
    with pytest.raises(FitError, match=r"became nan in step 2 .* rate of nan; .* lower --learning"):
        fit(HELLO_CONFIG, [HELLO], options)


def test_a_lack_of_memory_names_what_to_lower() -> None:
    lacks: list[Exception] = [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] data. DefaultCPUAllocator: not enough "
                     "memory: you tried to allocate 4000000000 bytes."),
        RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB, other allocations: 1 MB)"),
    ]  # fmt: skip
    for error in lacks:
        with (
            pytest.raises(FitError, match="do not fit into memory; use a smaller --layers"),
            memory_named("--layers"),
        ):
            raise error
    with pytest.raises(FitError, match="do not fit into memory"), memory_named("--layers"):
        torch.empty(10**15)  # more than any machine has
    for text in (
        "CUDA error: an illegal memory access was encountered",
        "required keyword attribute 'memory_format' has the wrong type",
        "Expected all tensors to share memory",
    ):
        with pytest.raises(RuntimeError, match=text), memory_named("--layers"):
            raise RuntimeError(text)


class Shares(Evaluator):
    """Finds these shares one after the other, then always the last one."""

    def __init__(self, *shares: int, unchanged: float = 0.0) -> None:
        self._unchanged = unchanged
        super().__init__([])
        self.shares = list(shares)
        self.networks: list[dict[str, Any]] = []

    def _measure_unchanged(self) -> float:
        return self._unchanged

    def evaluate(self, network: Network) -> dict[str, tuple[int, int]]:
        self.networks.append({name: t.clone() for name, t in network.state_dict().items()})
        right = self.shares.pop(0) if len(self.shares) > 1 else self.shares[0]
        return {"a": (right, 50), "b": (0, 50)}


def run_evaluated(evaluator: Evaluator, options: TrainOptions) -> tuple[TrainingState, Ending]:
    state = new_state(HELLO_CONFIG, options)
    return state, Trainer(state, [HELLO], options, (), evaluator).run()


def test_the_best_weights_are_kept() -> None:
    evaluator = Shares(10, 30, 20)
    state, _ = run_evaluated(evaluator, TrainOptions(epochs=100))
    assert len(state.history.evaluations) == EVALUATIONS
    assert [row.accuracy for row in state.history.evaluations[:4]] == [0.1, 0.3, 0.2, 0.2]
    assert [row.step for row in state.history.evaluations[:2]] == [5, 10]
    for name, value in state.network.state_dict().items():
        assert torch.equal(value, evaluator.networks[1][name])
        assert not torch.equal(value, evaluator.networks[-1][name])


def test_a_training_without_gain_ends_early() -> None:
    state, ending = run_evaluated(Shares(10, 30, 20), TrainOptions(epochs=100, patience=4))
    assert len(state.history.evaluations) == 2 + 4
    assert state.position.step == 30
    assert (ending.done, ending.epochs) == (0.3, 30)
    options = TrainOptions(epochs=20, patience=16)
    state, ending = run_evaluated(Shares(10, 20, 30, 40, 50), options)
    assert state.position.step == 20
    assert (ending.done, ending.epochs) == (1.0, 20)


def test_patience_waits_until_something_was_learned() -> None:
    """Nothing was gained over no change, so the first two epochs, of 60 batches each, count not."""
    pairs = [Pair("ab"[i % 2] * (1 + i // 2), "ba"[i % 2] * (1 + i // 2)) for i in range(120)]
    options = replace(TINY, epochs=10, patience=3, batch_characters=1)
    config = configure(options, alphabets_of(*pairs))
    ends = {}
    for unchanged in (0.05, 0.2):
        state = new_state(config, options)
        evaluator = Shares(10, unchanged=unchanged)
        ends[unchanged] = Trainer(state, pairs, options, (), evaluator).run()
    # An evaluation comes after each half of an epoch, and the first one is a gain over nothing.
    assert ends[0.05].epochs == 0.5 + 3 * 0.5
    assert ends[0.2].epochs == 2 + 3 * 0.5


class Clock:
    """A clock that the test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


class Slow(Shares):
    """Takes so many seconds for each evaluation."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        super().__init__(10)
        self._clock = clock
        self._seconds = seconds

    def evaluate(self, network: Network) -> dict[str, tuple[int, int]]:
        self._clock.now += self._seconds
        return super().evaluate(network)


@pytest.mark.parametrize("seconds", [0.01, 0.5, 1, 3, 5, 8, 12])
def test_evaluations_take_at_most_a_fifth_of_the_time(
    monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """A minute of steps of a tenth of a second, which 20 evaluations of 3 seconds would fill."""
    clock = Clock(monkeypatch)

    class Steady(Callback):
        def on_step(self, progress: Progress, network: Network) -> None:
            clock.now += 0.1

    options = TrainOptions(minutes=1)
    state = new_state(HELLO_CONFIG, options)
    evaluator = Slow(clock, seconds)
    Trainer(state, [HELLO], options, [Steady()], evaluator).run()
    count = len(state.history.evaluations)
    assert count >= 1
    assert count * seconds <= 0.2 * 60
    assert (count == EVALUATIONS) == (seconds <= 0.5)


def test_without_a_last_evaluation_the_last_weights_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    weights: dict[str, Any] = {}

    class Steady(Callback):
        def on_step(self, progress: Progress, network: Network) -> None:
            clock.now += 0.1
            weights.update((name, t.clone()) for name, t in network.state_dict().items())

    options = TrainOptions(minutes=1)
    state = new_state(HELLO_CONFIG, options)
    Trainer(state, [HELLO], options, [Steady()], Slow(clock, 7)).run()
    assert len(state.history.evaluations) == 1
    for name, value in state.network.state_dict().items():
        assert torch.equal(value, weights[name])


def test_a_sample_is_no_larger_than_half_of_what_was_learned_before() -> None:
    holdout = [Pair("ab", "ba")] * 100
    evaluator = Evaluator(holdout)
    state, _ = run_evaluated(evaluator, TrainOptions(epochs=400))
    assert {sum(n for _, n in row.by_character.values()) for row in state.history.evaluations} == {
        20 * 5 // 2
    }
    evaluator.choose_sample(0)
    assert evaluator.evaluate(state.network)["a"][1] == 1
    assert evaluator.unchanged == 0
    assert Evaluator([Pair("abab", "abba")]).unchanged == 0.5


def test_progress_has_the_characters_and_the_last_accuracy() -> None:
    seen: list[Progress] = []

    class Recorder(Callback):
        def on_step(self, progress: Progress, network: Network) -> None:
            seen.append(progress)

    options = TrainOptions(epochs=40)
    state = new_state(HELLO_CONFIG, options)
    Trainer(state, [HELLO], options, [Recorder()], Shares(10)).run()
    assert [row.characters for row in seen] == list(range(5, 205, 5))
    assert [row.accuracy for row in seen[:3]] == [None, 0.1, 0.1]
    assert seen[-1].done == 1.0
    assert seen[-1].seconds > 0


# A real text.

FABLES = (
    *("--text", Path(__file__).parent / "data" / "bajki.txt", "--corrupt", "strip-diacritics"),
    *("--cell", "lstm", "--hidden-size", "32", "--embedding-dim", "16", "--epochs", "20"),
    *("--batch-characters", "1024", "--learning-rate", "0.02"),
)
FLOOR = 0.84
"""Of the words: a network that learns nothing leaves 0.525 of them right, and the most frequent
targets make 0.778."""


def share_of_words(run_folder: Path) -> float:
    return load_checkpoint(run_folder)[1].scores["model"]["words"] or 0


@pytest.fixture(scope="module")
def fables(
    tmp_path_factory: pytest.TempPathFactory, servers: Callable[[str], CommandServer]
) -> float:
    """The share of words that a network of one process gets right."""
    folder = tmp_path_factory.mktemp("fables")
    result = servers("hello-train").run([*map(str, FABLES), "--output", "run"], folder)
    assert result.returncode == 0, result.stderr
    return share_of_words(folder / "run")


def test_a_real_text_is_learned_better_than_by_its_most_frequent_words(fables: float) -> None:
    assert fables > FLOOR


# Stopped and resumed.

LEARN = ("--text", POLISH, "--corrupt", "strip-diacritics", "--hidden-size", "16", "--cell", "lstm")
DEADLY = """
import os, signal
from pathlib import Path

def lowercase(line):
    if Path("deadly").exists() and Path("killed/unfinished.safetensors").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    return line.lower()
"""
"""A corruption that kills its process once the training state is saved, while there is a file."""


def test_a_killed_training_goes_on_as_if_nothing_had_happened(tmp_path: Path, run: Run) -> None:
    (tmp_path / "mine.py").write_text(DEADLY)
    # An evaluation, which saves the training state, is in the middle of an epoch.
    length = ("--epochs", "7", "--batch-characters", "64", "--holdout", "0.2")
    learn = ("hello-train", *LEARN, *length, "--corrupt", "mine:lowercase")  # the last one counts
    whole = run(*learn, "--output", "whole")
    assert whole.returncode == 0, whole.stderr
    assert run(*learn, "--output", "whole", "--resume").returncode == 1
    (tmp_path / "deadly").touch()
    assert run(*learn, "--output", "killed").returncode == -signal.SIGKILL
    (tmp_path / "deadly").unlink()
    assert [path.name for path in (tmp_path / "killed").iterdir()] == ["unfinished.safetensors"]
    for other, message in (
        (("--seed", 1), "another training, whose lines was"),
        (("--hidden-size", 17), "whose hidden_size was 16 and not 17"),
        (("--corrupt", "strip-diacritics"), "whose substitutions was"),
    ):
        refused = run(*learn, *other, "--output", "killed", "--resume")
        assert_one_line_error(refused, message, "--resume")
    resumed = run(*learn, "--output", "killed", "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stdout.replace("killed", "whole") == whole.stdout
    for name in ("checkpoint.safetensors", "report.html", "holdout.tsv", "baseline.json"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "killed" / name).read_bytes()
    assert not (tmp_path / "killed/unfinished.safetensors").exists()


def test_a_damaged_or_missing_resume_file(tmp_path: Path, run: Run) -> None:
    learn = (*LEARN, "--epochs", "1", "--output", "run", "--resume")
    assert_one_line_error(run("hello-train", *learn), "there is no unfinished training")
    (tmp_path / "run").mkdir()
    (tmp_path / "run/unfinished.safetensors").write_bytes(b"\x08" + b"\0" * 40)
    assert_one_line_error(run("hello-train", *learn), "unfinished.safetensors: damaged")


def test_an_interrupt_says_how_to_go_on(
    tmp_path: Path, servers: Callable[[str], CommandServer]
) -> None:
    server, errors = servers("hello-train"), tmp_path / "errors"
    streams = [os.open(name, os.O_RDWR | os.O_CREAT) for name in ("/dev/null", "/dev/null", errors)]
    learn = (*LEARN, "--epochs", 2000, "--output", "run")
    training = server.start(learn, tmp_path, streams)
    while not (tmp_path / "run/unfinished.safetensors").exists():
        time.sleep(0.01)
        os.kill(training, 0)  # which fails if there is no such process
    os.kill(training, signal.SIGINT)
    assert server.wait() == 1
    said = errors.read_text()
    assert "the same command with --resume goes on from here\n" in said
    assert said.strip().endswith("Aborted!")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["unfinished.safetensors"]


def test_a_training_that_is_stopped_at_its_report_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its checkpoint is written last, so what has one is complete."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    held_out = [Pair("aab", "bba")]
    lines = Split([Pair("ab", "ba"), Pair("ba", "ab")], held_out)
    job = TrainingJob(lines, "pairs", TINY, tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(pages, "write_report", stop)
        with pytest.raises(KeyboardInterrupt):
            run_lines(job)
    assert not (tmp_path / CHECKPOINT_NAME).exists()
    assert (tmp_path / RESUME_NAME).exists()
    assert run_lines(replace(job, resume=True))
    assert {file.name for file in tmp_path.iterdir()} == {*RUN_NAMES} - {HOLDOUT_TEXT_NAME}


def test_a_training_that_patience_ended_is_described_the_same_after_a_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = Split([Pair("ab", "ba"), Pair("ba", "ab")], [Pair("aaabbb", "bbbabb")])
    options = replace(TINY, epochs=200, patience=1, learning_rate=1e-9)
    job = TrainingJob(lines, "pairs", options, tmp_path / "whole")
    whole = run_lines(job)
    assert whole
    (early, *_) = whole.remarks
    assert re.search(r"ended early, after \d\d?% of its epochs", early)
    stopped = replace(job, folder=tmp_path / "stopped")
    with monkeypatch.context() as patched:
        patched.setattr("hello_train.fit.run.finish_run", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run_lines(stopped)
    resumed = run_lines(replace(stopped, resume=True))
    assert resumed
    assert resumed.remarks == whole.remarks


# Several processes.


def test_two_processes_learn_as_well_as_one(tmp_path: Path, fables: float) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = [*torchrun, "--nproc-per-node", "2", "-m", "hello_train", *FABLES]
    # Each step learns two batches, so each is half as large.
    result = subprocess.run(
        [str(part) for part in (*command, "--batch-characters", 512, "--output", "together")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("exact lines") == 1
    together = share_of_words(tmp_path / "together")
    assert together > FLOOR
    assert abs(fables - together) < 0.06  # of 459 words, one standard deviation is about 0.015


APART = """
import os
from hello_train.cli import main
rank = os.environ["RANK"]
main(["--text", f"{rank}.txt", "--corrupt", "strip-diacritics", "--output", "run"])
"""


class Apart(Team):
    """Processes of which each has other lines."""

    def all_have(self, value: object) -> bool:
        return False


def test_processes_with_different_lines_are_stopped(tmp_path: Path) -> None:
    lines = Split([Pair("ab", "ba"), Pair("ba", "ab")], [])
    apart = Apart(torch.device("cpu"), 0, 2)
    with pytest.raises(TeamError, match="the processes have different lines or options; give all"):
        run_lines(TrainingJob(lines, "pairs", TINY, tmp_path / "run", team=apart))
    assert not (tmp_path / "run").exists()


@pytest.mark.long
def test_torchruns_processes_with_different_lines_are_stopped(tmp_path: Path) -> None:
    (tmp_path / "apart.py").write_text(APART)
    for rank in range(2):
        lines = (f"ż{rank}{number:03}\n" for number in range(50))
        (tmp_path / f"{rank}.txt").write_text("".join(lines), encoding="utf-8")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    result = subprocess.run(
        [*torchrun, "--nproc-per-node", "2", "apart.py"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert result.returncode == 1
    assert "Error: the processes have different lines or options; give all hosts" in result.stderr
    assert not (tmp_path / "run").exists()


def test_a_gpu_is_taken_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    assert best_device(1) == torch.device("cuda", 1)
    assert (taken, torch.backends.cudnn.allow_tf32) == ([1], False)
    with pytest.raises(TeamError, match="and 2 GPUs can be used here; use --nproc-per-node 2"):
        best_device(2)


def test_processes_that_torchrun_did_not_start(run: Run) -> None:
    for size in ("2", "", "two"):
        result = run("hello-train", *LEARN, WORLD_SIZE=size)
        assert_one_line_error(result, "start several processes with torchrun, or unset WORLD_SIZE")


def test_torchrun_has_nothing_to_share_in_hello(run: Run) -> None:
    result = run("hello-train", WORLD_SIZE="2")
    assert (result.returncode, "torchrun needs --text" in result.stderr) == (2, True)


# From the command to the optimizer.


@pytest.mark.parametrize(
    "arguments",
    [
        ("--epochs", "1"),
        ("--compare", "--epochs", "1"),
        ("--text", str(POLISH), "--corrupt", "strip-diacritics", "--epochs", "1", *SMALL),
    ],
    ids=["hello", "compare", "text"],
)
def test_six_frames_lead_from_the_command_to_a_step(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """Counted are functions of `hello_train`, from `cli.main` to the caller of `optimizer.step`.

    Frames before `cli.main`, most of them click's, start the process and parse the command line.
    """

    class Counting(Adam):
        def step(self, rate: float) -> None:
            files = ((frame.function, Path(frame.filename).parts) for frame in inspect.stack(0))
            counted.append([name for name, parts in files if "hello_train" in parts][::-1])
            raise KeyboardInterrupt

    counted: list[list[str]] = []
    monkeypatch.setattr("hello_train.fit.state.Adam", Counting)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(click.Abort):
        main.main([*arguments, "--output", "run"], standalone_mode=False)
    (names,) = counted
    assert (names[0], names[-1]) == ("main", "optimizer_step")
    assert len(names) <= 6, names
