"""The rules of the house: what imports what, and what decoding needs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from importlib.metadata import metadata, requires
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {name: ROOT / name / f"hello_{name}" for name in ("train", "export", "runtime")}
TEXT_ROOM = ", ".join(
    f"hello_runtime.text.{file.stem}" for file in (PACKAGES["runtime"] / "text").glob("[a-z]*.py")
)
CLICK = ("cli.py", "command.py", "packaged.py", "results.py", "scoring.py")
"""The modules of the runtime that may import click."""
RUNTIME_MAY_IMPORT = {"numpy", "onnxruntime", "hello_runtime"}

DECODE_AND_LIST = """
import sys
{before}
from hello_runtime import Decoder
from hello_runtime.cli import main
assert Decoder.open().decode("hello") == "ohlol"
assert Decoder.open(cell="lstm").decode_batch(["hello", ""]) == ["ohlol", ""]
assert main(["hello", "--json"], standalone_mode=False) is None
print(*sorted({{"torch", "onnx"}} & sys.modules.keys()))
"""


def heavy_modules_after_decoding(before: str = "") -> list[str]:
    """Return which of torch and onnx a process has loaded after it decoded something."""
    script = DECODE_AND_LIST.format(before=before)
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, check=True, text=True
    )
    answer, *_, loaded = result.stdout.split("\n")[:-1]
    assert '"output": "ohlol"' in answer
    return loaded.split()


def test_the_runtime_loads_neither_torch_nor_onnx() -> None:
    assert heavy_modules_after_decoding() == []


@pytest.mark.parametrize(
    ("before", "found"),
    [
        ("import torch", ["torch"]),
        ("import onnx", ["onnx"]),
        ("import hello_export.graph.onnx_graph", ["onnx", "torch"]),
    ],
)
def test_this_check_can_fail(before: str, found: list[str]) -> None:
    assert heavy_modules_after_decoding(before) == found


def imports_of(file: Path) -> set[str]:
    """Return the top-level packages that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return {name.partition(".")[0] for name in names}


def files_of(package: str) -> list[Path]:
    files = sorted(PACKAGES[package].rglob("*.py"))
    assert len(files) > 5
    return files


@pytest.mark.parametrize(
    ("package", "above"),
    [("runtime", {"hello_train", "hello_export"}), ("train", {"hello_export"})],
)
def test_a_package_imports_only_those_below_it(package: str, above: set[str]) -> None:
    for file in files_of(package):
        assert not imports_of(file) & above, file


def is_typing_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def run_time_imports(node: ast.AST) -> set[str]:
    """Return the modules that code imports when it runs, wherever in it."""
    found = set()
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            found |= {alias.name for alias in child.names}
        elif isinstance(child, ast.ImportFrom) and child.module:
            found |= {child.module, *(f"{child.module}.{alias.name}" for alias in child.names)}
        elif not is_typing_only(child):
            found |= run_time_imports(child)
    return found


@cache
def imports() -> dict[str, set[str]]:
    """Return the modules of ours that each of them imports."""
    found: dict[str, set[str]] = {}
    for package, folder in PACKAGES.items():
        for file in files_of(package):
            parts = file.relative_to(folder.parent).with_suffix("").parts
            name = ".".join(part for part in parts if part != "__init__")
            found[name] = run_time_imports(ast.parse(file.read_text(encoding="utf-8")))
    return {name: needed & found.keys() - {name} for name, needed in found.items()}


def test_no_modules_import_each_other_in_a_circle() -> None:
    ours = imports()
    assert "hello_runtime.engine.workers" in ours["hello_runtime.engine.batching"]
    TopologicalSorter(ours).prepare()  # raises CycleError


def test_no_folders_import_each_other_in_a_circle() -> None:
    """`hello_train.data` may import `hello_train.network`, and not the other way round."""

    def folder(module: str) -> str | None:
        return module.rpartition(".")[0] if module.count(".") > 1 else None

    ours: dict[str, set[str]] = {}
    for module, needed in imports().items():
        if own := folder(module):
            others = {other for other in map(folder, needed) if other and other != own}
            ours.setdefault(own, set()).update(others)
    assert "hello_train.network" in ours["hello_train.data"]
    TopologicalSorter(ours).prepare()


def test_the_modules_for_text_need_no_decoder_and_no_model() -> None:
    text = "hello_runtime.text"
    ours = {module: needed for module, needed in imports().items() if module.startswith(text)}
    assert f"{text}.files" in ours[f"{text}.lines"]
    for module, needed in ours.items():
        others = {other for other in needed if not other.startswith(text)}
        assert others <= {"hello_runtime.errors", "hello_runtime.resources"}, module


def test_onnxruntime_is_imported_in_one_place() -> None:
    """There its telemetry is turned off, which must come first."""
    files = [file for package in PACKAGES for file in files_of(package)]
    found = [file.name for file in files if "onnxruntime" in imports_of(file)]
    assert found == ["ort.py"]


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("hello_runtime", {"onnxruntime", "numpy", "click", "typing"}),
        ("hello_runtime.__main__", {"onnxruntime", "numpy", "click", "typing"}),
        ("hello_train.__main__", {"torch", "numpy", "click", "typing"}),
        ("hello_export.__main__", {"torch", "numpy", "click", "typing"}),
        ("hello_runtime.cli", {"onnxruntime", "numpy"}),
        ("hello_runtime.command", {"onnxruntime", "numpy"}),
        ("hello_runtime.packaged", {"onnxruntime", "numpy"}),
        ("hello_runtime.text.files", {"onnxruntime", "numpy", "click"}),
        ("hello_runtime.text.pairs", {"onnxruntime", "torch", "numpy", "click"}),
        (f"{TEXT_ROOM}, hello_runtime.drawing", {"onnxruntime", "torch", "click"}),
        ("hello_train.data.lines", {"onnxruntime", "torch", "click"}),
        ("hello_train.files", {"torch", "numpy", "click"}),
        ("hello_train.cli", {"torch", "onnxruntime", "jinja2", "matplotlib"}),
    ],
)
def test_importing_a_small_module_loads_nothing_heavy(module: str, heavy: set[str]) -> None:
    """Of which the first four are what a command starts with."""
    script = f"import sys; sys.modules.pop('typing', None); import {module}; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True
    )
    assert not heavy & {*result.stdout.split()}


def test_the_reference_shares_no_code_with_what_it_judges() -> None:
    modules = {
        node.module
        for node in ast.walk(ast.parse((PACKAGES["export"] / "proof" / "reference.py").read_text()))
        if isinstance(node, ast.ImportFrom)
    }
    ours = {module for module in modules if module and module.startswith("hello_")}
    assert ours == {"hello_train.network.config", "hello_train.network.model"}


def test_the_runtime_imports_little() -> None:
    for file in files_of("runtime"):
        foreign = imports_of(file) - set(sys.stdlib_module_names) - RUNTIME_MAY_IMPORT
        assert foreign <= ({"click"} if file.name in CLICK else set()), file


def test_the_base_package_needs_little() -> None:
    needed = [line for line in requires("hello-rnn") or [] if "extra ==" not in line]
    assert sorted(re.split(r"[<>=]", line)[0] for line in needed) == [
        "click",
        "numpy",
        "onnxruntime",
    ]
    assert metadata("hello-rnn")["Version"] == "0.1.0"


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_is_typed(package: str) -> None:
    assert (PACKAGES[package] / "py.typed").exists()
