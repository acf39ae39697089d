"""How PyTorch's threads are set: before it is imported, and by what learns fastest."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hello_train.fit.environment import DEFAULTS, set_defaults
from hello_train.fit.options import TEXT_OPTIONS
from hello_train.fit.parallel import Team
from hello_train.fit.threads import (
    VARIABLES,
    Steps,
    ThreadTuner,
    describe_threads,
    fastest_threads,
    is_tunable,
    outcome,
    set_by,
)

REPORT = """
import os, sys

class Report:
    def find_spec(self, name, *_):
        if name == "torch" and os.environ.get("OMP_WAIT_POLICY"):
            print("torch is imported with", os.environ["OMP_WAIT_POLICY"], flush=True)
            os._exit(0)

sys.meta_path.insert(0, Report())
from {package}.cli import main
main({arguments})
"""


@pytest.mark.parametrize(
    ("package", "arguments"),
    [
        ("hello_train", ["--epochs", "1", "--learning-rate", "1e-9"]),
        ("hello_export", ["no-such-run"]),
    ],
)
@pytest.mark.parametrize("policy", [None, "ACTIVE"])
def test_the_wait_policy_is_set_before_torch_is_imported(
    tmp_path: Path, package: str, arguments: list[str], policy: str | None
) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in DEFAULTS}
    if policy:
        environment["OMP_WAIT_POLICY"] = policy
    result = subprocess.run(
        [sys.executable, "-c", REPORT.format(package=package, arguments=arguments)],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert f"torch is imported with {policy or 'PASSIVE'}\n" in result.stdout, result.stderr


def test_what_the_user_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "7")
    set_defaults()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == "7"


def chosen(most: int, seconds: Callable[[int, float], float], until: float) -> list[int]:
    """Return the threads of each step, where a step takes so long with so many, at such a time."""
    counts = fastest_threads(most)
    threads, now, used = next(counts), 0.0, []
    while now < until:
        taken = seconds(threads, now)
        used.append(threads)
        now += taken
        threads = counts.send(Steps(1.0, taken))
    return used


def test_alone_all_threads_are_used() -> None:
    used = chosen(8, lambda threads, now: 1 / threads, until=200)
    assert used.count(8) > 0.95 * len(used)


def test_beside_other_work_one_thread_is_used() -> None:
    used = chosen(2, lambda threads, now: 0.15 if threads == 1 else 1.5, until=100)
    assert used.count(1) > 0.9 * len(used)


def test_a_machine_that_gets_busy_and_quiet_again_is_followed() -> None:
    def seconds(threads: int, now: float) -> float:
        busy = 100 < now < 300
        return 0.1 * threads if busy else 0.1 / threads

    used = chosen(4, seconds, until=600)
    assert used[-50:].count(4) > 40
    assert 1 in used


def test_a_count_that_is_far_behind_is_tried_once_a_trial() -> None:
    used = chosen(2, lambda threads, now: 0.1 if threads == 1 else 10.0, until=5.0)
    assert used.count(2) == 1


def test_steps_are_compared_by_their_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many rows cost less a character, so characters alone would favour whoever got them."""
    sent: list[Steps] = []
    now = iter([0.0, 1.0, 1.0, 3.0])
    monkeypatch.setattr("time.monotonic", lambda: next(now))
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    tuner = ThreadTuner()

    class Counts:
        def send(self, steps: Steps) -> int:
            sent.append(steps)
            return 1

    tuner._counts = Counts()  # type: ignore[assignment]
    for rows, time_steps in ((16, 256), (256, 16)):
        with tuner.step(rows, time_steps):
            pass
    assert sent == [Steps(256 * 48.0, 1.0), Steps(16 * 288.0, 2.0)]


CPU, GPU = Team(torch.device("cpu")), Team(torch.device("cuda"))
TIMED = replace(TEXT_OPTIONS, minutes=1, epochs=None)
COUNTED = replace(TEXT_OPTIONS, minutes=None, epochs=1)


@pytest.fixture
def on_two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of two cores, whose user has set no number of threads."""
    monkeypatch.setattr("hello_train.fit.threads.available_cpus", lambda: 2)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("on_two_cores")
def test_only_a_timed_training_alone_on_a_cpu_is_tuned() -> None:
    found = [is_tunable(CPU, TIMED), is_tunable(GPU, TIMED), is_tunable(CPU, COUNTED)]
    assert found == [True, False, False]
    assert not is_tunable(replace(CPU, size=2), TIMED)
    assert describe_threads(CPU, TIMED) == ", 1 to 2 threads as measured"
    assert describe_threads(GPU, TIMED) == ""
    assert describe_threads(CPU, COUNTED) == ", 1 thread"


@pytest.mark.usefixtures("on_two_cores")
def test_what_the_user_set_is_not_tuned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert not is_tunable(CPU, TIMED)
    assert describe_threads(CPU, TIMED) == ", 1 thread by OMP_NUM_THREADS"
    monkeypatch.setenv("MKL_NUM_THREADS", "1")
    assert describe_threads(CPU, TIMED) == ", 1 thread by MKL_NUM_THREADS"


THREADS = "import torch; print(torch.get_num_threads())"


def pytorch_threads(**variables: str) -> int:
    """Return the number of threads that PyTorch takes with these variables alone."""
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    command = [sys.executable, "-c", THREADS]
    done = subprocess.run(
        command, env=environment | variables, capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.usefixtures("on_two_cores")
@pytest.mark.parametrize("value", ["", "0", "-1", "all", "1x"])
def test_what_is_no_number_of_threads_sets_none(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert set_by() == ""
    assert is_tunable(CPU, TIMED)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other libraries of OpenMP")
def test_pytorch_reads_the_variables_as_is_said() -> None:
    assert pytorch_threads(OMP_NUM_THREADS="all") == pytorch_threads()
    assert pytorch_threads(OMP_NUM_THREADS="2", MKL_NUM_THREADS="1") == 1


def test_a_trial_says_what_it_chose_and_why() -> None:
    said: list[str] = []
    counts = fastest_threads(4, lambda found: said.append(outcome(found)))
    threads = next(counts)
    while not said:
        threads = counts.send(Steps(1.0, {1: 1.0, 2: 0.4, 4: 0.5}[threads]))
    assert said == ["2 threads, 1.2 times as fast as 4"]
    assert threads == 2
