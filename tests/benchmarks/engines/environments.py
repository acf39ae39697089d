"""The engines that are tried, and the environment of each, made by pip or npm."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

TORCH = "torch==2.13.0"
IREE = ("iree-base-compiler[onnx]==3.13.0", "iree-base-runtime==3.13.0")


@dataclass(frozen=True)
class Engine:
    """An engine of the table."""

    name: str
    adapter: str
    """What `adapters.py` calls it."""
    packages: tuple[str, ...]
    """What pip, or npm, installs, the engine first; one without a version is in this Python."""
    npm: bool = False
    missing: str = ""
    """Why it cannot be installed by pip or npm."""

    @property
    def pinned(self) -> bool:
        """Whether it needs an environment, and is not what this Python has."""
        return self.distribution != self.packages[0]

    @property
    def distribution(self) -> str:
        """The name of the package that has the version."""
        return re.split("[=<@[]", self.packages[0])[0]


HERE = (
    Engine("onnxruntime", "onnxruntime", ("onnxruntime",)),
    Engine("onnx's evaluator", "evaluator", ("onnx",)),
    Engine("OpenVINO", "openvino", ("openvino",)),
    Engine("tract", "tract", ("tract",)),
)
"""Those of the environment that tests run in."""
MODULE = Engine("our JavaScript module", "module", ("hello-rnn",))
ENGINES: tuple[Engine, ...] = (
    *(
        Engine("onnxruntime", "onnxruntime", (f"onnxruntime=={number}",))
        for number in ("1.20.1", "1.22.1", "1.24.4")
    ),
    *HERE,
    MODULE,
    Engine("onnxruntime-node", "onnxruntime-node", ("onnxruntime-node@1.30.0",), npm=True),
    Engine("onnxruntime-web", "onnxruntime-web", ("onnxruntime-web@1.30.0",), npm=True),
    Engine("emx-onnx-cgen", "emx", ("emx-onnx-cgen==1.4.0",)),
    Engine("MNN", "mnn", ("MNN==3.6.1", "numpy")),
    Engine("OpenCV 5", "opencv", ("opencv-python-headless==5.0.0.93",)),
    Engine("OpenCV 4", "opencv", ("opencv-python-headless<5",)),
    Engine("IREE", "iree", IREE),
    Engine("IREE, fixed axes", "iree-fixed", IREE),
    Engine("onnx2pytorch", "onnx2pytorch", ("onnx2pytorch==0.6.0", TORCH)),
    Engine("onnx2torch", "onnx2torch", ("onnx2torch==1.5.15", TORCH)),
    Engine("TVM", "tvm", ("apache-tvm==0.27.0.post1", "onnx")),
    Engine("ncnn (pnnx)", "pnnx", ("pnnx==20261020", "numpy", TORCH)),
    Engine("tinygrad", "tinygrad", ("tinygrad==0.14.0", "onnx", "numpy")),
    Engine("wonnx", "wonnx", ("wonnx==0.5.1", "numpy")),
    Engine("rten", "rten", ("rten@latest",), missing="it is a Rust crate, in neither PyPI nor npm"),
)


VERSION = "from importlib.metadata import version; print(version({!r}))"


class NotInstalledError(Exception):
    """An engine cannot be installed here; the text says why."""


def environment(engine: Engine, folder: Path | None) -> tuple[str, Path, str]:
    """Return the Python that runs an engine, the folder where it runs, and the engine's version.

    Args:
        engine: the engine.
        folder: where the environments lie; without it the engine is looked for in this Python.

    Raises:
        NotInstalledError: it is not there, and cannot be installed.
    """
    if engine.missing:
        raise NotInstalledError(engine.missing)
    if engine.adapter == "module":
        return sys.executable, Path.cwd(), f"Node {command_output('node', '--version').lstrip('v')}"
    if folder is None or not engine.pinned:
        return sys.executable, Path.cwd(), python_version(sys.executable, engine.distribution)
    place = folder / re.sub(r"[^\w.]+", "-", "-".join(engine.packages))
    if engine.npm:
        package = place / "node_modules" / engine.distribution / "package.json"
        if not package.exists():
            # Scripts of these packages fetch what a GPU needs.
            command_output(
                "npm", "install", "--ignore-scripts", "--prefix", str(place), *engine.packages
            )
        return sys.executable, place, json.loads(package.read_text(encoding="utf-8"))["version"]
    python = place / "bin" / "python"
    if not (place / "installed").exists():
        command_output(sys.executable, "-m", "venv", "--clear", str(place))
        command_output(str(python), "-m", "pip", "install", "--quiet", *engine.packages)
        (place / "installed").touch()
    return str(python), place, python_version(str(python), engine.distribution)


def python_version(python: str, distribution: str) -> str:
    """Return the version of a package, as its Python says.

    Raises:
        NotInstalledError: it has none.
    """
    return command_output(python, "-c", VERSION.format(distribution))


def command_output(*command: str) -> str:
    """Return what a command prints.

    Raises:
        NotInstalledError: it is missing or fails; the text is the last line that it said.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise NotInstalledError(f"there is no command {command[0]}") from None
    if done.returncode:
        raise NotInstalledError((done.stderr.strip() or "it says nothing").splitlines()[-1])
    return done.stdout.strip()
