"""A session that runs on the device that was asked for, or an error that says why it cannot."""

from __future__ import annotations

from pathlib import Path

import onnxruntime

from hello_runtime.errors import ModelFileError, ProviderError
from hello_runtime.model_file import read_model

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}

FATAL_ONLY = 4
"""onnxruntime's log level: what goes wrong is raised here, not printed there."""


def open_session(file: Path, provider: str) -> onnxruntime.InferenceSession:
    """Open a model on a device.

    A call of the session uses one thread: for recurrent networks of this size several callers are
    faster than several threads within a call, and one session serves them all.

    Raises:
        ModelFileError: the file is not a model that onnxruntime opens.
        ProviderError: the session would not run on that device.
    """
    content = read_model(file)
    wanted = PROVIDERS.get(provider)
    if wanted is None:
        raise ProviderError(f"provider is {provider!r}; it must be {' or '.join(PROVIDERS)}")
    if wanted not in onnxruntime.get_available_providers():
        raise ProviderError(
            f"this onnxruntime ({onnxruntime.__version__}) has no {wanted}; run: "
            f"pip uninstall onnxruntime && pip install onnxruntime-gpu; or use --provider cpu"
        )
    if provider != "cpu":
        # A provider whose libraries do not load complains through the process's own logger.
        onnxruntime.set_default_logger_severity(FATAL_ONLY)
    try:
        session = onnxruntime.InferenceSession(
            content, session_options(), providers=[wanted], enable_fallback=0
        )
    except Exception as error:  # onnxruntime's own classes share no base but this
        if provider != "cpu":
            raise ProviderError(
                f"the model cannot be opened on {wanted}: {first_line(error)}; see that GPU, "
                f"CUDA and cuDNN are those that onnxruntime {onnxruntime.__version__} needs, "
                f"or use --provider cpu"
            ) from error
        raise ModelFileError(f"{file}: onnxruntime cannot open it: {first_line(error)}") from error
    running = session.get_providers()
    if running[0] != wanted:
        raise ProviderError(
            f"{wanted} was asked for and onnxruntime fell back to {running[0]}: no NVIDIA GPU, or "
            f"CUDA or cuDNN is missing or of another version than this onnxruntime "
            f"({onnxruntime.__version__}) needs; install them, or use --provider cpu"
        )
    return session


def session_options() -> onnxruntime.SessionOptions:
    """Return options for a session that is called from several threads and idles quietly."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = FATAL_ONLY
    return options


def first_line(error: Exception) -> str:
    """Return the first line of an error's text, or its class if it has none."""
    return next(iter(str(error).splitlines()), type(error).__name__)
