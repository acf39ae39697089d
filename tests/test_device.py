"""What was asked for is what runs, on as many CPUs as there really are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
from hello_runtime import Decoder, ProviderError
from hello_runtime.model_file import CELLS
from hello_runtime.threads import available_cpus, cpu_quota

CUDA = "CUDAExecutionProvider"


def cuda_is_missing() -> str:
    """Return why nothing can run on CUDA here, or nothing if it can."""
    try:
        Decoder.open(provider="cuda")
    except ProviderError as error:
        return str(error)
    return ""


NO_CUDA = cuda_is_missing()
CUDA_CASE = pytest.param("cuda", marks=pytest.mark.skipif(bool(NO_CUDA), reason=NO_CUDA))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    "provider",
    ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(bool(NO_CUDA), reason=NO_CUDA))],
)
def test_a_provider_says_ohlol(provider: str, cell: str) -> None:
    decoder = Decoder.open(provider=provider, cell=cell)
    assert decoder.provider.lower().startswith(provider)
    assert decoder.decode("hello") == "ohlol"


def test_a_package_without_cuda_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(ProviderError, match="pip install onnxruntime-gpu; or use --provider cpu"):
        Decoder.open(provider="cuda")


def test_a_silent_fall_back_to_the_cpu_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """onnxruntime lists CUDA, takes it, and runs on the CPU: seen with no GPU or a wrong cuDNN."""
    session = onnxruntime.InferenceSession

    def falls_back(model: bytes, options: object, providers: object, **_: Any) -> object:
        assert providers == [CUDA]
        return session(model, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA])
    monkeypatch.setattr(onnxruntime, "InferenceSession", falls_back)
    with pytest.raises(ProviderError, match="fell back to CPUExecutionProvider: no NVIDIA GPU"):
        Decoder.open(provider="cuda")


def test_a_provider_that_raises_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA failure 100: no CUDA-capable device is detected")

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA])
    monkeypatch.setattr(onnxruntime, "InferenceSession", fails)
    with pytest.raises(
        ProviderError, match=r"cannot be opened on CUDA.*failure 100.*--provider cpu"
    ):
        Decoder.open(provider="cuda")


def test_a_provider_that_does_not_exist() -> None:
    with pytest.raises(ProviderError, match="provider is 'tpu'; it must be cpu or cuda"):
        Decoder.open(provider="tpu")


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({}, None),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0.5),
        ({"cpu/cpu.cfs_quota_us": "50000\n"}, None),
        ({"cpu.max": "\n"}, None),
    ],
)
def test_a_containers_quota(files: dict[str, str], quota: float | None, tmp_path: Path) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    assert cpu_quota(tmp_path) == quota
    cpus = len(os.sched_getaffinity(0))
    expected = {None: cpus, 1.5: min(cpus, 2), 0.5: 1}[quota]
    assert available_cpus(tmp_path) == expected
