"""The devices that a model runs on: the CPU, CUDA, and those of plugin packages.

What is asked for is what runs; if it cannot, the error says why. CPU and CUDA are providers of
onnxruntime itself. A plugin is a package `onnxruntime-ep-NAME`, installed beside plain onnxruntime:
a module `onnxruntime_ep_NAME` that names a library and the providers in it
(https://onnxruntime.ai/docs/execution-providers/plugin-ep-libraries/usage.html).
"""

from __future__ import annotations

import importlib
import json
from _thread import allocate_lock
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from hello_runtime.engine.ort import onnxruntime
from hello_runtime.errors import ModelFileError, ProviderError, first_line

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"

CUDA_OPTIONS = {"use_tf32": "0"}
"""Without it CUDA multiplies in TF32, with 10 of the 23 bits of a factor, and some text differs."""
INSTALL_GPU = "pip install 'onnxruntime-gpu[cuda,cudnn]'"

PLUGIN_OPTIONS: dict[str, dict[str, str]] = {
    # By default OpenVINO computes in less than float32: logits were 5e-3 off.
    "OpenVINOExecutionProvider": {
        "load_config": json.dumps(
            {
                device: {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"}
                for device in ("CPU", "GPU")
            }
        )
    },
}
"""Options with which a plugin's provider computes in float32."""

PLUGIN_PREFIX = "onnxruntime_ep_"
NO_CPU_FALLBACK = "session.disable_cpu_ep_fallback"
"""The session option that refuses a model of which a part would run on the CPU."""

FATAL_ONLY = 4
"""A log level of onnxruntime. Errors are raised here, so its log need not print them as well."""

registered: set[str] = set()
"""Plugins whose library onnxruntime has; a second registration would fail."""
registering = allocate_lock()


class Opened(NamedTuple):
    """An open session, and the device that it runs on."""

    session: onnxruntime.InferenceSession
    provider: str
    """onnxruntime's name of the provider; for a plugin also the kind of device."""
    passed_over: tuple[ProviderError, ...] = ()
    """Why `auto` did not take the providers before this one."""


def open_session(content: bytes, file: Path, provider: str) -> Opened:
    """Open a checked model on a device.

    A call of the session uses one thread: for recurrent networks of this size several calls at the
    same time are faster than several threads in one call, and one session serves them all.

    Args:
        content: the bytes of the model file; see `load.load_model`.
        file: its path, for errors.
        provider: `cpu`, `cuda`, `auto`, or the NAME of an installed package onnxruntime-ep-NAME.

    Raises:
        ModelFileError: onnxruntime cannot open the model.
        ProviderError: the model would not run on that device.
    """
    # Allocators, and providers whose libraries do not load, use the process's logger.
    onnxruntime.set_default_logger_severity(FATAL_ONLY)
    if provider == "cpu":
        return open_cpu(content, file)
    if provider == "cuda":
        return open_cuda(content)
    if provider == "auto":
        return open_first(content, file)
    return open_plugin(content, provider)


def open_first(content: bytes, file: Path) -> Opened:
    """Open a model on the first that works of CUDA, the installed plugins and the CPU.

    Raises:
        ModelFileError: onnxruntime cannot open the model.
    """
    openers = [partial(open_plugin, content, name) for name in installed_plugins()]
    if CUDA in onnxruntime.get_available_providers():
        openers.insert(0, partial(open_cuda, content))
    passed_over: list[ProviderError] = []
    for opener in openers:
        try:
            return opener()._replace(passed_over=tuple(passed_over))
        except ProviderError as error:
            passed_over.append(error)
    return open_cpu(content, file)._replace(passed_over=tuple(passed_over))


def open_cpu(content: bytes, file: Path) -> Opened:
    """Open a model on onnxruntime's own CPU kernels.

    Raises:
        ModelFileError: onnxruntime cannot open the model.
    """
    try:
        # With enable_fallback=1 it would try again, and say so on stdout.
        session = onnxruntime.InferenceSession(
            content, quiet_options(), providers=[CPU], enable_fallback=0
        )
    except Exception as error:  # onnxruntime's own classes share no base but this
        raise ModelFileError(f"{file}: onnxruntime cannot open it: {first_line(error)}") from error
    return Opened(session, CPU)


def session_on(
    provider: str,
    make: Callable[[], onnxruntime.InferenceSession],
    advice: str,
    library_error: Callable[[], str | None] = lambda: None,
    usual_cause: str | None = None,
) -> onnxruntime.InferenceSession:
    """Return the session that `make` opens, if it runs on the provider that was asked for.

    onnxruntime may fall back to the CPU, and say so in its log at most.

    Args:
        provider: onnxruntime's name of it.
        make: opens the session.
        advice: what to do about an error.
        library_error: tells why the provider's library cannot be loaded; None if it can.
        usual_cause: explains a fallback for which there is no such reason.

    Raises:
        ProviderError: there is no session, or it runs on another provider.
    """
    try:
        session = make()
    except Exception as error:  # onnxruntime's own classes share no base but this
        cause = library_error() or first_line(error)
        raise ProviderError(
            f"the model cannot be opened on {provider}: {cause}; {advice}"
        ) from error
    running = session.get_providers()[0]
    if running == provider:
        return session
    known = library_error() or usual_cause
    cause = f": {known}" if known else ""
    raise ProviderError(
        f"{provider} was asked for and onnxruntime fell back to {running}{cause}; {advice}"
    )


def quiet_options() -> onnxruntime.SessionOptions:
    """Return the options of every session: one thread a call, no spinning, a quiet log."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # else it keeps a memory plan for every shape
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.add_session_config_entry("session.load_model_format", "ONNX")  # never ORT's own format
    options.log_severity_level = FATAL_ONLY
    return options


# CUDA.


def open_cuda(content: bytes) -> Opened:
    """Open a model on CUDA.

    Raises:
        ProviderError: the model would not run on CUDA.
    """
    version = onnxruntime.__version__
    if both_packages_installed():
        raise ProviderError(
            "onnxruntime and onnxruntime-gpu are both installed, and each overwrites files of the "
            f"other; run: pip uninstall -y onnxruntime onnxruntime-gpu && {INSTALL_GPU}; or use "
            f"--provider cpu"
        )
    if CUDA not in onnxruntime.get_available_providers():
        raise ProviderError(
            f"this onnxruntime ({version}) has no {CUDA}; run: "
            f"pip uninstall -y onnxruntime && {INSTALL_GPU}; or use --provider cpu"
        )
    preload_libraries()
    session = session_on(
        CUDA,
        partial(
            onnxruntime.InferenceSession,
            content,
            quiet_options(),
            providers=[CUDA],
            provider_options=[CUDA_OPTIONS],
            enable_fallback=0,
        ),
        f"onnxruntime {version} needs an NVIDIA GPU with its driver, and CUDA and cuDNN of its "
        f"versions, as {INSTALL_GPU} brings them; or use --provider cpu",
        cuda_load_error,
        "there is no NVIDIA GPU, or its driver is missing or too old",
    )
    return Opened(session, CUDA)


def both_packages_installed() -> bool:
    """Tell whether onnxruntime and onnxruntime-gpu, which share a module, are both installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return bool(version("onnxruntime") and version("onnxruntime-gpu"))
    except PackageNotFoundError:
        return False


def preload_libraries() -> None:
    """Load the CUDA and cuDNN packages from PyPI, so that the provider finds them."""
    if hasattr(onnxruntime, "preload_dlls"):  # since 1.21
        with redirect_stdout(None):
            onnxruntime.preload_dlls()


def cuda_load_error() -> str | None:
    """Return why the library of CUDA's provider cannot be loaded; None if it can, or is missing."""
    library = Path(onnxruntime.__file__).parent / "capi" / "libonnxruntime_providers_cuda.so"
    return load_error(library) if library.exists() else None


def load_error(library: Path) -> str | None:
    """Return the dynamic loader's message on why a library cannot be loaded; None if it can."""
    import ctypes

    with suppress(OSError):  # providers need this one first
        shared = library.with_name("libonnxruntime_providers_shared.so")
        ctypes.CDLL(str(shared), mode=ctypes.RTLD_GLOBAL)
    try:
        ctypes.CDLL(str(library))
    except OSError as error:
        return first_line(error)
    return None


# Plugins.


def open_plugin(content: bytes, name: str) -> Opened:
    """Open a model on the first device that a plugin package offers.

    Raises:
        ProviderError: the model would not run there.
    """
    device = first_device(name)

    def make() -> onnxruntime.InferenceSession:
        options = quiet_options()
        options.add_session_config_entry(NO_CPU_FALLBACK, "1")
        options.add_provider_for_devices([device], PLUGIN_OPTIONS.get(device.ep_name, {}))
        return onnxruntime.InferenceSession(content, options, enable_fallback=0)

    session = session_on(device.ep_name, make, "use --provider cpu")
    return Opened(session, f"{device.ep_name} ({device.device.type.name})")


def installed_plugins() -> list[str]:
    """Return the NAME of each installed package onnxruntime-ep-NAME."""
    import pkgutil

    modules = (module.name for module in pkgutil.iter_modules())
    return sorted(n.removeprefix(PLUGIN_PREFIX) for n in modules if n.startswith(PLUGIN_PREFIX))


def first_device(name: str) -> Any:
    """Return the first device that a plugin package offers, for its first provider that has one.

    Raises:
        ProviderError: the package is missing or broken, or offers no device.
    """
    providers = register_plugin(name)
    offered = onnxruntime.get_ep_devices()
    for provider in providers:
        for device in offered:
            if device.ep_name == provider:
                return device
    raise ProviderError(
        f"onnxruntime-ep-{name} offers no device on this machine for {' or '.join(providers)}; "
        f"see which processors it supports and that their drivers are there, or use --provider cpu"
    )


def register_plugin(name: str) -> list[str]:
    """Register the library of a plugin package with onnxruntime; return its providers.

    Raises:
        ProviderError: the package is missing, or it or its library cannot be loaded.
    """
    installed = installed_plugins()
    if name not in installed:
        raise ProviderError(
            f"provider is {name!r}; it must be cpu, cuda, auto or the NAME of an installed package "
            f"onnxruntime-ep-NAME ({', '.join(installed) or 'none is installed'}); for another "
            f"run: pip install onnxruntime-ep-{name}"
        )
    if not hasattr(onnxruntime, "register_execution_provider_library"):
        raise ProviderError(
            f"this onnxruntime ({onnxruntime.__version__}) takes no plugins such as "
            f"onnxruntime-ep-{name}; run: pip install --upgrade onnxruntime"
        )
    try:
        module = importlib.import_module(PLUGIN_PREFIX + name)
        providers = list(module.get_ep_names())
        with registering:
            if name not in registered:
                library = module.get_library_path()
                onnxruntime.register_execution_provider_library(PLUGIN_PREFIX + name, library)
                registered.add(name)
    except Exception as error:  # the package is not ours, and onnxruntime's errors share no base
        raise ProviderError(
            f"onnxruntime-ep-{name} cannot be loaded by onnxruntime {onnxruntime.__version__}: "
            f"{first_line(error)}; run: pip install --upgrade onnxruntime onnxruntime-ep-{name}; "
            f"or use --provider cpu"
        ) from error
    return providers
