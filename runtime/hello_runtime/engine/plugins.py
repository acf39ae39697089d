"""Providers that come as packages of their own, `onnxruntime-ep-NAME`, beside plain onnxruntime.

Each package is a module `onnxruntime_ep_NAME` that names a library and the providers in it
(https://onnxruntime.ai/docs/execution-providers/plugin-ep-libraries/usage.html).
"""

from __future__ import annotations

import importlib
import json
import pkgutil
from threading import Lock
from typing import Any

from hello_runtime.engine.ort import onnxruntime
from hello_runtime.engine.providers import Opened, quiet_options
from hello_runtime.errors import ProviderError, first_line

PREFIX = "onnxruntime_ep_"
NO_FALLBACK = "session.disable_cpu_ep_fallback"
"""The option by which a session refuses to open where a part of the model would run on the CPU."""

OPTIONS: dict[str, dict[str, str]] = {
    # Left to itself OpenVINO computes in less than float32: logits were 5e-3 off.
    "OpenVINOExecutionProvider": {
        "load_config": json.dumps(
            {
                device: {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"}
                for device in ("CPU", "GPU")
            }
        )
    },
}
"""What a provider must be told so that it computes what the model says."""

registered: set[str] = set()
registering = Lock()


def installed_plugins() -> list[str]:
    """Return the NAME of each installed package onnxruntime-ep-NAME."""
    modules = (module.name for module in pkgutil.iter_modules())
    return sorted(name.removeprefix(PREFIX) for name in modules if name.startswith(PREFIX))


def open_plugin(content: bytes, name: str) -> Opened:
    """Open a model on the first device that a plugin package offers.

    Raises:
        ProviderError: the session would not run there.
    """
    device = first_device(name)
    options = quiet_options()
    options.add_session_config_entry(NO_FALLBACK, "1")
    try:
        options.add_provider_for_devices([device], OPTIONS.get(device.ep_name, {}))
        session = onnxruntime.InferenceSession(content, options, enable_fallback=0)
    except Exception as error:  # onnxruntime's own classes share no base but this
        raise ProviderError(
            f"the model cannot be opened on {device.ep_name}: {first_line(error)}; "
            f"use --provider cpu"
        ) from error
    running = session.get_providers()
    if running[0] != device.ep_name:
        raise ProviderError(
            f"{device.ep_name} was asked for and onnxruntime fell back to {running[0]}; "
            f"use --provider cpu"
        )
    return Opened(session, f"{device.ep_name} ({device.device.type.name})")


def first_device(name: str) -> Any:
    """Return the first device that a plugin package offers, of the first provider in it.

    Raises:
        ProviderError: the package is missing or broken, or offers no device.
    """
    providers = load_plugin(name)
    offered = onnxruntime.get_ep_devices()
    for provider in providers:
        for device in offered:
            if device.ep_name == provider:
                return device
    raise ProviderError(
        f"onnxruntime-ep-{name} offers no device on this machine for {' or '.join(providers)}; "
        f"see which processors it supports and that their drivers are there, or use --provider cpu"
    )


def load_plugin(name: str) -> list[str]:
    """Register the library of a plugin package with onnxruntime; return its providers.

    Raises:
        ProviderError: the package is missing, or it or its library cannot be loaded.
    """
    if name not in installed_plugins():
        raise ProviderError(
            f"provider is {name!r}; it must be {', '.join(('cpu', 'cuda', 'auto'))} or the NAME of "
            f"an installed package onnxruntime-ep-NAME ({known_plugins()}); for another run: "
            f"pip install onnxruntime-ep-{name}"
        )
    if not hasattr(onnxruntime, "register_execution_provider_library"):
        raise ProviderError(
            f"this onnxruntime ({onnxruntime.__version__}) takes no plugins such as "
            f"onnxruntime-ep-{name}; run: pip install --upgrade onnxruntime"
        )
    try:
        module = importlib.import_module(PREFIX + name)
        providers = list(module.get_ep_names())
        with registering:
            if name not in registered:
                library = module.get_library_path()
                onnxruntime.register_execution_provider_library(PREFIX + name, library)
                registered.add(name)
    except Exception as error:  # the package is not ours, and onnxruntime's errors share no base
        raise ProviderError(
            f"onnxruntime-ep-{name} cannot be loaded by onnxruntime {onnxruntime.__version__}: "
            f"{first_line(error)}; run: pip install --upgrade onnxruntime onnxruntime-ep-{name}; "
            f"or use --provider cpu"
        ) from error
    return providers


def known_plugins() -> str:
    """Return the installed plugins as words."""
    return ", ".join(installed_plugins()) or "none is installed"
