"""What was asked for is what runs, on as many CPUs as there really are."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
from golden.replay import TASKS, TEXTS, model_file, read_rows, replay
from hello_export.proof.verdict import TOLERANCE
from hello_runtime import Decoder, ProviderError
from hello_runtime.engine import devices
from helpers import Run

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


def cases() -> list[Any]:
    """Return the CPU and a plugin, with the reason if it cannot run here; CUDA is in test_gpu."""
    found = []
    for name in ("cpu", "openvino"):
        try:
            Decoder.open(provider=name)
            reason = ""
        except ProviderError as error:
            reason = str(error)
        found.append(pytest.param(name, marks=pytest.mark.skipif(bool(reason), reason=reason)))
    return found


@pytest.mark.parametrize("provider", cases())
@pytest.mark.parametrize("name", TEXTS)
def test_every_provider_reproduces_the_golden_rows(name: str, provider: str) -> None:
    own = Decoder.open(model_file(name)).info.unknown
    rows = read_rows(name)
    if name.partition("-")[0] in TASKS:
        assert replay(name, rows, provider) <= TOLERANCE
        return
    decoder = Decoder.open(model_file(name), provider, unknown=None if own == "label" else "copy")
    assert decoder.provider.lower().startswith(provider)
    annotations = decoder.annotate_batch([row["text"] for row in rows])
    for row, annotation in zip(rows, annotations, strict=True):
        assert annotation.text == row["decoded"] == decoder.decode(row["text"])
        assert np.abs(annotation.confidence - np.array(row["confidence"])).max() <= TOLERANCE


# Faults: each ends in a named error with its cause and its fix, and none on the CPU in silence.


def assert_refused(provider: str, *parts: str) -> None:
    with pytest.raises(ProviderError) as caught:
        Decoder.open(provider=provider)
    for part in parts:
        assert part in str(caught.value)
    opened = Decoder.open(provider="auto")
    assert opened.provider == CPU
    assert opened.decode("hello") == "ohlol"


@pytest.fixture
def cuda_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have onnxruntime list CUDA, as its GPU package does on any machine; hide the plugins."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(devices, "both_packages_installed", lambda: False)
    monkeypatch.setattr(devices, "installed_plugins", lambda: [])


def on_cuda(act: Callable[..., Any]) -> Callable[..., Any]:
    """Return what stands in for a session: on CUDA it acts, on the CPU it is one."""
    session = onnxruntime.InferenceSession

    def open_session(*arguments: Any, providers: list[str], **options: Any) -> Any:
        if providers == [CPU]:
            return session(*arguments, providers=providers, **options)
        assert (providers, options["provider_options"]) == ([CUDA], [{"use_tf32": "0"}])
        return act()

    return open_session


def test_a_package_without_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "installed_plugins", lambda: [])
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU])
    assert_refused(
        "cuda", f"has no {CUDA}", "pip install 'onnxruntime-gpu[cuda,cudnn]'", "--provider cpu"
    )


@pytest.mark.usefixtures("cuda_is_listed")
def test_a_silent_fall_back_to_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """onnxruntime lists CUDA, takes it, and runs on the CPU: seen with no GPU or a wrong cuDNN."""
    fallen = SimpleNamespace(get_providers=lambda: [CPU])
    monkeypatch.setattr(onnxruntime, "InferenceSession", on_cuda(lambda: fallen))
    assert_refused("cuda", f"fell back to {CPU}: there is no NVIDIA GPU", "--provider cpu")


@pytest.mark.usefixtures("cuda_is_listed")
def test_a_cuda_library_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loader's words name what is missing, and its version."""
    fallen = SimpleNamespace(get_providers=lambda: [CPU])
    missing = "libcudnn.so.9: cannot open shared object file: No such file or directory"
    monkeypatch.setattr(devices, "cuda_load_error", lambda: missing)
    monkeypatch.setattr(onnxruntime, "InferenceSession", on_cuda(lambda: fallen))
    assert_refused("cuda", "libcudnn.so.9: cannot open", "onnxruntime-gpu[cuda,cudnn]")


@pytest.mark.usefixtures("cuda_is_listed")
def test_a_device_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise RuntimeError("CUDA failure 100: no CUDA-capable device is detected")

    monkeypatch.setattr(onnxruntime, "InferenceSession", on_cuda(fails))
    assert_refused("cuda", f"cannot be opened on {CUDA}", "failure 100", "--provider cpu")


@pytest.mark.usefixtures("cuda_is_listed")
def test_both_packages_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "both_packages_installed", lambda: True)
    assert_refused("cuda", "both installed", "pip uninstall -y onnxruntime onnxruntime-gpu")


def test_both_packages_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not devices.both_packages_installed()
    for package in ("onnxruntime", "onnxruntime_gpu"):
        folder = tmp_path / f"{package}-9.dist-info"
        folder.mkdir()
        metadata = f"Metadata-Version: 2.1\nName: {package}\nVersion: 9\n"
        (folder / "METADATA").write_text(metadata)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert devices.both_packages_installed()


def test_a_library_that_the_loader_refuses(tmp_path: Path) -> None:
    (tmp_path / "lib.so").write_text("no library")
    assert "lib.so" in (devices.load_error(tmp_path / "lib.so") or "")
    assert "cannot open" in (devices.load_error(tmp_path / "missing.so") or "")
    (real,) = Path(onnxruntime.__file__).parent.glob("capi/onnxruntime_pybind11_state*.so")
    assert devices.load_error(real) is None


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that installs the package onnxruntime-ep-fake with this content."""

    def install(content: str) -> None:
        (tmp_path / "onnxruntime_ep_fake.py").write_text(content)

    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU])
    monkeypatch.setattr(devices, "registered", set())
    monkeypatch.setattr(devices, "installed_plugins", lambda: ["fake"])
    monkeypatch.delitem(sys.modules, "onnxruntime_ep_fake", raising=False)
    return install


PLUGIN = """
from pathlib import Path
def get_ep_names(): return ["FakeExecutionProvider"]
def get_library_path(): return str(Path(__file__).with_name("libfake.so"))
"""


def test_a_plugin_that_is_not_installed() -> None:
    assert "nosuch" not in devices.installed_plugins()
    with pytest.raises(ProviderError) as caught:
        Decoder.open(provider="nosuch")
    for part in ("provider is 'nosuch'", "cpu, cuda, auto", "pip install onnxruntime-ep-nosuch"):
        assert part in str(caught.value)


def test_a_plugin_is_found_by_the_name_of_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "onnxruntime_ep_found.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "found" in devices.installed_plugins()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("import onnxruntime_ep_needs_this", "No module named 'onnxruntime_ep_needs_this'"),
        ("", "no attribute 'get_ep_names'"),
        (PLUGIN.replace("return str", "raise FileNotFoundError"), "libfake.so"),
        (PLUGIN, "libfake.so"),
    ],
)
def test_a_plugin_that_does_not_load(
    content: str, reason: str, plugin: Callable[[str], None], tmp_path: Path
) -> None:
    plugin(content)
    (tmp_path / "libfake.so").write_text("no library")
    assert_refused(
        "fake", "onnxruntime-ep-fake cannot be loaded by onnxruntime", reason, "--upgrade"
    )


def test_an_onnxruntime_without_plugins(
    plugin: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin(PLUGIN)
    monkeypatch.delattr(onnxruntime, "register_execution_provider_library", raising=False)
    assert_refused("fake", "takes no plugins", "pip install --upgrade onnxruntime")


@pytest.fixture
def registered_plugin(
    plugin: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> SimpleNamespace:
    """A plugin that registers and offers one device."""
    plugin(PLUGIN)
    device = SimpleNamespace(
        ep_name="FakeExecutionProvider", device=SimpleNamespace(type=SimpleNamespace(name="NPU"))
    )
    monkeypatch.setattr(
        onnxruntime, "register_execution_provider_library", lambda *_: None, raising=False
    )
    monkeypatch.setattr(onnxruntime, "get_ep_devices", lambda: [device], raising=False)
    options = onnxruntime.SessionOptions
    monkeypatch.setattr(options, "add_provider_for_devices", lambda *_: None, raising=False)
    return device


@pytest.mark.usefixtures("registered_plugin")
def test_a_plugin_that_offers_no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_ep_devices", lambda: [])
    assert_refused("fake", "onnxruntime-ep-fake offers no device on this machine", "drivers")


def without_providers(act: Callable[[], Any]) -> Callable[..., Any]:
    """Return what stands in for a session: for a plugin, which gets no list, it acts."""
    session = onnxruntime.InferenceSession

    def open_session(*arguments: Any, **options: Any) -> Any:
        return session(*arguments, **options) if "providers" in options else act()

    return open_session


@pytest.mark.usefixtures("registered_plugin")
def test_a_plugin_that_cannot_run_the_whole_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses() -> None:
        raise RuntimeError("This session contains graph nodes that are assigned to the default CPU")

    monkeypatch.setattr(onnxruntime, "InferenceSession", without_providers(refuses))
    assert_refused("fake", "cannot be opened on FakeExecutionProvider", "default CPU")


@pytest.mark.usefixtures("registered_plugin")
def test_a_plugin_that_falls_back(monkeypatch: pytest.MonkeyPatch) -> None:
    fallen = SimpleNamespace(get_providers=lambda: [CPU])
    monkeypatch.setattr(onnxruntime, "InferenceSession", without_providers(lambda: fallen))
    assert_refused(
        "fake", f"FakeExecutionProvider was asked for and onnxruntime fell back to {CPU}"
    )


@pytest.mark.usefixtures("registered_plugin")
def test_auto_says_what_it_passed_over(
    cuda_is_listed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "installed_plugins", lambda: ["fake"])
    fallen = SimpleNamespace(get_providers=lambda: [CPU])
    session = onnxruntime.InferenceSession

    def open_session(*arguments: Any, **options: Any) -> Any:
        return session(*arguments, **options) if options.get("providers") == [CPU] else fallen

    monkeypatch.setattr(onnxruntime, "InferenceSession", open_session)
    decoder = Decoder.open(provider="auto")
    assert decoder.provider == CPU
    cuda, fake = map(str, decoder.passed_over)
    assert CUDA in cuda
    assert "FakeExecutionProvider" in fake


def test_the_command_says_what_auto_took(run: Run) -> None:
    result = run("hello-infer", "--provider", "auto", "hello")
    assert (result.returncode, result.stdout) == (0, "ohlol\n")
    assert result.stderr.splitlines()[-1] == f"running on {Decoder.open(provider='auto').provider}"


def test_the_cpu_loads_nothing_of_the_others() -> None:
    script = (
        "import sys; from hello_runtime import Decoder; Decoder.open().decode('hello'); "
        "print(*{'importlib.metadata', 'pkgutil', 'queue', 'threading'} & sys.modules.keys())"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert result.stdout == "\n"
