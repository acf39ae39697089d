"""Training on NVIDIA GPUs: it learns, goes on after a kill, and says what it says on the CPU.

Elsewhere these tests are skipped, with the reason, but for those of the benchmark, which try it on
the CPU. The rest of the suite trains on the CPU, even where there is a GPU.
"""

from __future__ import annotations

import importlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import onnxruntime
import pytest
import torch
from click.testing import CliRunner
from golden.replay import OLD, TEXTS
from hello_runtime import Decoder
from hello_runtime.engine.devices import CPU, CUDA
from hello_runtime.text.codepoints import padded
from hello_train.network.cells import CELLS
from helpers import GOLDEN, Run, open_model, random_texts
from test_fit import FABLES, FLOOR, share_of_words

GPUS = torch.cuda.device_count()
EACH = ",".join(map(str, range(GPUS)))
SHOWN = {"CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES", EACH)}
"""What shows them again to a command; `conftest` hides them."""


def needs(gpus: int) -> pytest.MarkDecorator:
    return pytest.mark.skipif(gpus > GPUS, reason=f"needs {gpus} CUDA GPUs, and {GPUS} are here")


@needs(1)
@pytest.mark.parametrize("cell", CELLS)
def test_a_gpu_learns_what_is_then_decoded_anywhere(run: Run, tmp_path: Path, cell: str) -> None:
    trained = run("hello-train", *FABLES, "--cell", cell, "--output", "run", **SHOWN)
    assert trained.returncode == 0, trained.stderr
    assert "held out, on cuda" in trained.stderr
    if cell == "lstm":
        assert share_of_words(tmp_path / "run") > FLOOR
    exported = run("hello-export", "run", **SHOWN)
    assert exported.returncode == 0, exported.stderr
    if CUDA in onnxruntime.get_available_providers():
        assert re.search(r"^onnxruntime CUDA +\S+ +20 .* 0$", exported.stdout, re.MULTILINE)
    scored = run("hello-infer", "--model", "run/artifact", "--score", "run/holdout.tsv")
    assert scored.returncode == 0, scored.stderr
    model = next(line for line in scored.stdout.splitlines() if line.startswith("model"))
    assert (
        model.split()[1:]
        == next(line for line in trained.stdout.splitlines() if line.startswith("model")).split()[
            1:
        ]
    )


@needs(1)
@pytest.mark.skipif(
    CUDA not in onnxruntime.get_available_providers(), reason=f"this onnxruntime has no {CUDA}"
)
def test_cuda_reproduces_the_golden_texts() -> None:
    replayed = subprocess.run(
        [sys.executable, GOLDEN / "replay.py", "cuda"],
        capture_output=True, text=True, check=False, env={**os.environ, **SHOWN},
    )  # fmt: skip
    assert replayed.returncode == 0, replayed.stderr
    assert replayed.stdout.count(" texts ") == len(TEXTS) + len(OLD)


@needs(1)
def test_a_killed_training_goes_on_on_a_gpu(run: Run, tmp_path: Path) -> None:
    whole = run("hello-train", *FABLES, "--output", "whole", **SHOWN)
    assert whole.returncode == 0, whole.stderr
    train = [str(Path(sys.executable).with_name("hello-train"))]
    learn = [*map(str, FABLES), "--output", "killed"]
    environment = {**os.environ, **SHOWN}
    with subprocess.Popen(train + learn, cwd=tmp_path, env=environment) as process:
        while not (tmp_path / "killed/unfinished.safetensors").exists():
            time.sleep(0.005)
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    resumed = run("hello-train", *learn, "--resume", **SHOWN)
    assert resumed.returncode == 0, resumed.stderr
    assert "held out, on cuda" in resumed.stderr
    one, two = (share_of_words(tmp_path / name) for name in ("whole", "killed"))
    assert min(one, two) > FLOOR
    assert abs(one - two) < 0.06  # cuDNN does not promise the same bits


def together(folder: Path, processes: int) -> subprocess.CompletedProcess[str]:
    """Train with so many processes, each on a GPU of its own."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = [*torchrun, "--nproc-per-node", processes, "-m", "hello_train", *FABLES]
    return subprocess.run(
        [str(part) for part in (*command, "--batch-characters", 512, "--output", "together")],
        cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, **SHOWN, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


@needs(1)
def test_more_processes_than_gpus_are_named(tmp_path: Path) -> None:
    result = together(tmp_path, GPUS + 1)
    assert result.returncode == 1
    assert f"can be used here; use --nproc-per-node {GPUS}, or" in result.stderr


@needs(2)
def test_two_gpus_learn_together(tmp_path: Path) -> None:
    result = together(tmp_path, 2)
    assert result.returncode == 0, result.stderr
    assert share_of_words(tmp_path / "together") > FLOOR


MODULE_ON_A_GPU = """
import torch
import hello_export

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = torch.nn.Embedding(6, 8)
        self.lstm = torch.nn.LSTM(8, 64, 2, batch_first=True, bidirectional=True)
        self.head = torch.nn.Linear(128, 4)
    def forward(self, ids):
        assert ids.is_cuda
        return self.head(self.lstm(self.emb(ids))[0])

module = Net().cuda().eval()
hello_export.export(module, "net", alphabet="abcdef", labels="wxyz").report.check()
assert all(weight.is_cuda for weight in module.parameters())
assert torch.backends.cudnn.allow_tf32
"""


@needs(1)
def test_a_module_on_a_gpu_is_exported(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", MODULE_ON_A_GPU],
        cwd=tmp_path,
        env={**os.environ, **SHOWN},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "net/model.onnx").exists()


# The benchmark, on the CPU's provider: every line but the device.


@pytest.fixture
def benchmark_of_gpus(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).with_name("benchmarks")))
    return importlib.import_module("gpu")


def test_the_benchmark_of_gpus_runs(benchmark_of_gpus: ModuleType, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("".join(f"{line}\n" for line in random_texts(40, 30, seed=1)), "utf-8")
    small = "--rounds 1 --characters 300 --training-characters 300 --epochs 1 --hidden-size 8"
    options = f"--provider cpu --cell gru {small}".split()
    result = CliRunner().invoke(benchmark_of_gpus.main, [str(text), *options])
    assert result.exit_code == 0, result.output
    tables = [line for line in result.output.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in tables]
    ways = len(benchmark_of_gpus.SIZES) * len(benchmark_of_gpus.THREADS)
    assert [row[5] for row in cells if row[0] == CPU] == ["0"] * (1 + ways)
    assert [row[0] for row in cells if len(row) == 3 and row[0] != "---"][1:-3] == [
        "session.run", "io binding, buffers of the CPU", "io binding, all on the device"
    ]  # fmt: skip
    assert [row[0] for row in cells[-2:]] == ["bare loop", "hello-train"]


def test_the_benchmark_of_gpus_finds_other_texts(benchmark_of_gpus: ModuleType) -> None:
    truth = Decoder.open().annotate_batch(["hello", "hell"])
    assert benchmark_of_gpus.differences(truth, truth) == (0, 0.0)
    half = truth[1].confidence * np.float32(0.5)
    found = [truth[0], truth[1]._replace(text="xxxx", confidence=half)]
    lines, confidence = benchmark_of_gpus.differences(found, truth)
    assert lines == 1
    assert confidence > 0.1


@pytest.mark.parametrize("bound", ["bound_to_buffers", "bound_to_device"])
def test_bound_calls_write_what_the_session_gives(
    bound: str, benchmark_of_gpus: ModuleType, tmp_path: Path
) -> None:
    decoder = open_model(tmp_path, bidirectional=True)
    lines = [line for line in random_texts(8, 30, seed=1) if line]
    lengths = np.array([len(line) for line in lines], np.int32)
    feed = {"codepoints": padded(lines), "lengths": lengths}
    where = {"pin": False} if bound == "bound_to_buffers" else {"device": "cpu"}
    binding, *buffers = getattr(benchmark_of_gpus, bound)(decoder._session, feed, **where)
    decoder._session.run_with_iobinding(binding)
    (written,) = binding.get_outputs()
    assert (written.numpy() == decoder._session.run(["decoded"], feed)[0]).all()
    assert buffers
