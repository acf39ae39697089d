"""A session that runs on the device that was asked for, or an error that says why it cannot."""

from __future__ import annotations

from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import NamedTuple

from hello_runtime.engine.ort import onnxruntime
from hello_runtime.errors import ModelFileError, ProviderError, first_line

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"

FLOAT32 = {"use_tf32": "0"}
"""CUDA's option without which it multiplies in TF32, which keeps 10 of a factor's 23 bits and lets
some characters come out otherwise."""

FATAL_ONLY = 4
"""onnxruntime's log level: what goes wrong is raised here, not printed there."""


class Opened(NamedTuple):
    """A session, and what it runs on."""

    session: onnxruntime.InferenceSession
    provider: str
    """By onnxruntime's name, and of a plugin also the kind of device."""
    passed_over: tuple[ProviderError, ...] = ()
    """What `auto` tried before, and why it did not serve."""


def open_session(content: bytes, file: Path, provider: str) -> Opened:
    """Open a checked model on a device.

    A call of the session uses one thread: for recurrent networks of this size several callers are
    faster than several threads within a call, and one session serves them all.

    Args:
        content: of the model file; see `model_file.load_model`.
        file: where it is, for errors.
        provider: `cpu`, `cuda`, `auto`, or the NAME of an installed package onnxruntime-ep-NAME.

    Raises:
        ModelFileError: the file is not a model that onnxruntime opens.
        ProviderError: the session would not run on that device.
    """
    # Allocators, and providers whose libraries do not load, complain to the process's own logger.
    onnxruntime.set_default_logger_severity(FATAL_ONLY)
    if provider == "cpu":
        return open_cpu(content, file)
    if provider == "cuda":
        return open_cuda(content)
    # Imported here, because the CPU needs none of it.
    from hello_runtime.engine.plugins import installed_plugins, open_plugin

    if provider != "auto":
        return open_plugin(content, provider)
    passed_over: list[ProviderError] = []
    if CUDA in onnxruntime.get_available_providers():
        try:
            return open_cuda(content)
        except ProviderError as error:
            passed_over.append(error)
    for name in installed_plugins():
        try:
            return open_plugin(content, name)._replace(passed_over=tuple(passed_over))
        except ProviderError as error:
            passed_over.append(error)
    return open_cpu(content, file)._replace(passed_over=tuple(passed_over))


def open_cpu(content: bytes, file: Path) -> Opened:
    """Open a model on onnxruntime's own CPU kernels.

    Raises:
        ModelFileError: the file is not a model that onnxruntime opens.
    """
    try:
        # With enable_fallback=1 it would try again, and say so on stdout.
        session = onnxruntime.InferenceSession(
            content, quiet_options(), providers=[CPU], enable_fallback=0
        )
    except Exception as error:  # onnxruntime's own classes share no base but this
        raise ModelFileError(f"{file}: onnxruntime cannot open it: {first_line(error)}") from error
    return Opened(session, CPU)


def open_cuda(content: bytes) -> Opened:
    """Open a model on CUDA.

    Raises:
        ProviderError: the session would not run on CUDA.
    """
    version = onnxruntime.__version__
    if both_packages_installed():
        raise ProviderError(
            "onnxruntime and onnxruntime-gpu are both installed, and each overwrites files of the "
            "other; run: pip uninstall -y onnxruntime onnxruntime-gpu && pip install "
            "onnxruntime-gpu; or use --provider cpu"
        )
    if CUDA not in onnxruntime.get_available_providers():
        raise ProviderError(
            f"this onnxruntime ({version}) has no {CUDA}; run: "
            f"pip uninstall -y onnxruntime && pip install onnxruntime-gpu; or use --provider cpu"
        )
    load_libraries()
    advice = (
        f"onnxruntime {version} needs an NVIDIA GPU with its driver, and CUDA and cuDNN of its "
        f"versions, as pip install 'onnxruntime-gpu[cuda,cudnn]' brings them; or use --provider cpu"
    )
    try:
        # Without enable_fallback=0 it would go on with the CPU, and say so on a log at most.
        session = onnxruntime.InferenceSession(
            content,
            quiet_options(),
            providers=[CUDA],
            provider_options=[FLOAT32],
            enable_fallback=0,
        )
    except Exception as error:  # onnxruntime's own classes share no base but this
        raise ProviderError(
            f"the model cannot be opened on {CUDA}: {reason() or first_line(error)}; {advice}"
        ) from error
    if session.get_providers()[0] != CUDA:
        raise ProviderError(
            f"{CUDA} was asked for and onnxruntime fell back to {session.get_providers()[0]}: "
            f"{reason() or 'there is no NVIDIA GPU, or its driver is missing or too old'}; {advice}"
        )
    return Opened(session, CUDA)


def load_libraries() -> None:
    """Load CUDA and cuDNN as PyPI has them, so that the provider finds them."""
    if hasattr(onnxruntime, "preload_dlls"):  # since 1.21
        with redirect_stdout(None):
            onnxruntime.preload_dlls()


def reason() -> str | None:
    """Return why the library of CUDA's provider cannot be loaded, or None if that is not why."""
    library = Path(onnxruntime.__file__).parent / "capi" / "libonnxruntime_providers_cuda.so"
    return unloadable(library) if library.exists() else None


def unloadable(library: Path) -> str | None:
    """Return why a library cannot be loaded, by the loader's own words, or None if it can."""
    import ctypes

    with suppress(OSError):  # what providers share must be there first, as it is in onnxruntime
        shared = library.with_name("libonnxruntime_providers_shared.so")
        ctypes.CDLL(str(shared), mode=ctypes.RTLD_GLOBAL)
    try:
        ctypes.CDLL(str(library))
    except OSError as error:
        return first_line(error)
    return None


def both_packages_installed() -> bool:
    """Tell whether both packages are there that bring the module `onnxruntime`."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return bool(version("onnxruntime") and version("onnxruntime-gpu"))
    except PackageNotFoundError:
        return False


def quiet_options() -> onnxruntime.SessionOptions:
    """Return options for a session that is called from several threads and idles quietly."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # it keeps a plan for each shape that it has seen
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.add_session_config_entry("session.load_model_format", "ONNX")  # and not its own
    options.log_severity_level = FATAL_ONLY
    return options
