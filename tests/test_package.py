"""`hello-export --package`: a project whose wheel has the model, and needs the runtime alone."""

from __future__ import annotations

import inspect
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from importlib.metadata import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import onnx
import pytest
import torch
from click.testing import CliRunner
from hello_export import artifact
from hello_export.errors import PackageError
from hello_export.graph.onnx_graph import build_model
from hello_export.job import ExportJob
from hello_export.package import names, project
from hello_export.package.goldens import golden_texts
from hello_export.package.names import check_name
from hello_export.package.project import check_project, files_of, values_of, word_of, write_package
from hello_runtime import Decoder
from hello_runtime.model.tasks import Task
from hello_runtime.packaged import packaged_command
from hello_train.network.model import Network
from helpers import (
    GOLDEN,
    SHORT_PROOF,
    TRAINING,
    Export,
    Run,
    assert_one_line_error,
    make_network,
    read_golden,
    save_run,
    shorten_proof,
)

ROOT = Path(__file__).parents[1]
HOSTILE = "'''\"\"\"\\\n```\u202e{{ 7 * 7 }}</script>"
"""A text that would be code in Python, Markdown, HTML or a template, if it were not a literal."""


def networks(seed: int = 0) -> dict[str, Network]:
    """Return a network of each kind that has a template of its own, by the package's name."""
    hello = read_golden("hello-gru").network
    if seed:  # a trained one would not do: all three cells of hello learned the same function
        torch.manual_seed(seed)
        hello = Network(hello.config).eval()
    return {
        "golden_hello": hello,
        "golden_both_ways": make_network("lstm", bidirectional=True, labels="width 5", seed=seed),
        "golden_classes": make_network(task="classify", bidirectional=True, seed=seed),
        "golden_next": make_network(task="next", seed=seed),
    }


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the project of each package."""
    folder = tmp_path_factory.mktemp("projects")
    with pytest.MonkeyPatch.context() as patch:
        shorten_proof(patch.setattr)
        for name, network in networks().items():
            training = replace(TRAINING, example="hello" if name == "golden_hello" else "abc")
            write_package(name, ExportJob(network, training, folder / name))
    return folder


@pytest.fixture(scope="module")
def site(home: Path) -> Path:
    """Return a folder with what the wheels of the projects install; one of them is built."""
    pytest.importorskip("setuptools", reason="setuptools, which builds the wheel, is missing")
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run(
        [*pip, "--quiet", "--wheel-dir", "wheels", "./golden_hello"], cwd=home, check=True
    )
    with zipfile.ZipFile(home / "wheels" / "golden_hello-0.1.0-py3-none-any.whl") as archive:
        archive.extractall(home / "site")
    for name in networks().keys() - {"golden_hello"}:
        shutil.copytree(home / name / "src" / name, home / "site" / name)
    return home / "site"


@pytest.fixture
def importable(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let this process import the packages, and their tests, and forget them at the end."""
    monkeypatch.syspath_prepend(str(site))
    for name in networks():
        monkeypatch.syspath_prepend(str(site.parent / name / "tests"))
    yield
    for module in [*sys.modules]:
        if re.match(r"(test_)?golden_(hello|both_ways|classes|next)\b", module):
            del sys.modules[module]


def own_tests(name: str) -> list[Any]:
    """Return the tests in the project of a package that compare texts in their own process."""
    module = import_module(f"test_{name}")
    found = [test for each, test in vars(module).items() if each.startswith("test_")]
    return [
        test for test in found if test.__name__ not in ("test_there_are_texts", "test_the_command")
    ]


def package(name: str, *, model: Path | None = None) -> ModuleType:
    """Import a package, whose model may be exchanged."""
    module = import_module(name)
    module.MODEL = model or module.MODEL  # type: ignore[attr-defined]
    module.decoder.cache_clear()
    return module


def test_the_projects_pass_their_own_tests(site: Path) -> None:
    """Each in full, its command in a process of its own: without torch, for it is not asked for."""
    tests = [f"{name}/tests" for name in networks()]
    path = os.pathsep.join([str(site), str(ROOT / "runtime")])
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    result = subprocess.run(
        command, cwd=site.parent, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert result.returncode == 0, result.stdout
    assert re.search(r"^16 passed", result.stdout, re.MULTILINE)


def test_they_take_no_settings_from_a_folder_above(home: Path, site: Path, tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    shutil.copytree(home / "golden_hello", tmp_path / "golden_hello")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--collect-only"]
    path = os.pathsep.join([str(site), str(ROOT / "runtime")])
    result = subprocess.run(
        command, cwd=tmp_path / "golden_hello", capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "5 tests collected" in result.stdout


@pytest.mark.parametrize("name", networks())
def test_they_fail_on_another_model(name: str, importable: None, tmp_path: Path) -> None:
    """The planted fault: a network of the same shape with other weights."""
    other = tmp_path / "model.onnx"
    onnx.save(build_model(networks(seed=1)[name], TRAINING), other)
    tests = own_tests(name)
    assert len(tests) == {"golden_hello": 3, "golden_next": 1}.get(name, 2)
    package(name)
    for test in tests:
        test()
    package(name, model=other)
    for test in tests:
        with pytest.raises(AssertionError):
            test()


def test_the_functions_are_those_of_a_decoder(importable: None) -> None:
    hello, classes, drawn = map(package, ("golden_hello", "golden_classes", "golden_next"))
    assert hello.decode("hello") == "ohlol"
    assert hello.decode_batch(["hello", ""]) == ["ohlol", ""]
    stream = hello.stream()
    assert stream.feed("he") + stream.feed("llo", final=True) == "ohlol"
    decoder = Decoder.open(classes.MODEL)
    assert classes.classify("abż").label == decoder.classify("abż").label
    assert [row.label for row in classes.classify_batch(["a", ""])] == [decoder.decode("a"), ""]
    same = Decoder.open(drawn.MODEL).generate("ab", 9, temperature=2, top=3, seed=5)
    assert [*drawn.generate("ab", 9, temperature=2, top=3, seed=5)] == [*same]
    assert drawn.generate_batch(["ab"], 2, seed=5) == ["".join(drawn.generate("ab", 2, seed=5))]
    for module in (hello, classes, drawn, package("golden_both_ways")):
        assert module.decoder() is module.decoder()
        assert {*module.__all__} == {
            name for name, value in vars(module).items()
            if name in ("MODEL", "__version__")
            or (not name.startswith("_") and getattr(value, "__module__", "") == module.__name__)
        }  # fmt: skip
        for name in {*module.__all__} & {*vars(Decoder)}:
            theirs = [*inspect.signature(getattr(Decoder, name)).parameters.values()][1:]
            assert [*inspect.signature(getattr(module, name)).parameters.values()] == theirs
    assert not hasattr(package("golden_both_ways"), "stream")


def test_importing_a_package_loads_no_engine(site: Path) -> None:
    script = "import golden_hello, sys; print(*{'numpy', 'onnxruntime', 'click'} & {*sys.modules})"
    path = os.pathsep.join([str(site), str(ROOT / "runtime")])
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert found.stdout == "\n"


def test_the_projects_are_typed(home: Path) -> None:
    pytest.importorskip("mypy", reason="mypy is missing")
    folders = [f"{name}/{part}" for name in networks() for part in ("src", "tests")]
    result = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", *folders],
        cwd=home, capture_output=True, text=True, check=False,
        env={**os.environ, "MYPYPATH": str(ROOT / "runtime")},
    )  # fmt: skip
    assert (result.returncode, result.stdout) == (0, "")


def test_a_wheel_needs_the_runtime_alone(site: Path) -> None:
    (found,) = site.glob("golden_hello-*.dist-info")
    lines = (found / "METADATA").read_text("utf-8").splitlines()
    assert [line for line in lines if line.startswith("Requires")] == [
        f"Requires-Python: {metadata('hello-rnn')['Requires-Python']}",
        f"Requires-Dist: hello-rnn>={metadata('hello-rnn')['Version']}",
    ]
    assert not [line for line in lines if line.startswith(("License", "Author"))]
    assert sorted(path.name for path in (site / "golden_hello").iterdir()) == [
        "__init__.py", "__main__.py", "cli.py", "model.onnx", "py.typed",
    ]  # fmt: skip


def test_equal_networks_give_equal_projects(home: Path, tmp_path: Path, short_proof: None) -> None:
    name = "golden_both_ways"
    training = replace(TRAINING, example="abc")
    write_package(name, ExportJob(networks()[name], training, tmp_path / "again"))
    for file in (tmp_path / "again").rglob("*"):
        if file.is_file():
            assert (
                file.read_bytes()
                == (home / name / file.relative_to(tmp_path / "again")).read_bytes()
            )
    record = json.loads((tmp_path / "again" / "hello-export.json").read_bytes())
    held = {file.relative_to(tmp_path / "again") for file in (tmp_path / "again").rglob("*.*")}
    assert {*map(str, held)} == {*record["sha256"], "hello-export.json"}


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        *((name, "it must be ASCII letters, digits and underscores, begin with a letter, and end")
          for name in ("", "two words", "hello-names", "2nd", "_private", "last_", "żółw", "a.b",
                       "../up", "a\n", "x" * 10 + "!")),
        ("class", "it is a keyword of Python"),
        *((name, "on Windows this is the name of a device")
          for name in ("con", "NUL", "Aux", "prn", "com1", "LPT9")),
        *((name, "its command would replace the one of a virtual environment")
          for name in ("python3", "Python", "pythonw", "pip311", "activate", "deactivate")),
        ("None", "it is a keyword of Python"),
        ("json", "a module of Python's standard library has this name"),
        ("JSON", "a module of Python's standard library has this name"),
        ("tests", "a module of Python's standard library has this name, or its tests"),
        ("hello_rnn", "hello-rnn itself has this name"),
        ("hello_runtime", "hello-rnn itself has this name"),
        ("Hello_Train", "hello-rnn itself has this name"),
        ("numpy", f"numpy {metadata('numpy')['Version']} is installed here"),
        ("_pytest"[1:], f"pytest {metadata('pytest')['Version']} is installed here"),
        ("f2py", f"numpy {metadata('numpy')['Version']}, installed here, has this command"),
        ("torchrun", f"torch {metadata('torch')['Version']}, installed here, has this command"),
        ("helpers", f"{ROOT / 'tests' / 'helpers.py'} is a module of this name"),
    ],
)  # fmt: skip
def test_a_name_that_no_package_can_have(name: str, rule: str) -> None:
    with pytest.raises(PackageError, match=f"^no package can be called .*: {re.escape(rule)}"):
        check_name(name)


def test_names_that_packages_can_have(importable: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "polish_marks", "Polish2", "match", "pipeline", "python3_marks"):
        check_name(name)
    check_name("golden_hello")  # our own, which is installed here
    check_name("console")
    check_name("com10")
    monkeypatch.setattr(names, "REQUIREMENT", re.compile("never"))
    with pytest.raises(PackageError, match=r"golden_hello 0.1.0 is installed here"):
        check_name("golden_hello")


def test_a_refused_name_or_folder_writes_nothing(run: Run, tmp_path: Path) -> None:
    save_run(make_network(), tmp_path / "run")
    result = run("hello-export", "run", "--package", "hello-names")
    assert_one_line_error(result, "no package can be called 'hello-names': it must be ASCII")
    result = run("hello-export", "run", "--package", "")
    assert_one_line_error(result, "no package can be called '': it must be ASCII")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine.txt").write_text("mine")
    result = run("hello-export", "run", "--package", "taken")
    assert_one_line_error(
        result,
        "cannot write taken: it holds 'mine.txt', which is no file of a package that hello-export "
        "wrote; name another folder with --output",
    )
    result = run("hello-export", "run", "--package", "polish", "--output", "taken/mine.txt")
    assert result.returncode == 2
    result = run("hello-export", "--verify", "run", "--package", "polish")
    assert result.returncode == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "taken"]
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["checkpoint.safetensors"]


def test_the_command_writes_a_project_and_a_page(run: Run, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    shutil.copy(GOLDEN / "hello-gru.safetensors", tmp_path / "run" / "checkpoint.safetensors")
    arguments = ["run", "--package", "polish", "--page", "page.html", "--weights", "int8"]
    result = run("hello-export", *arguments, **SHORT_PROOF)
    assert result.returncode == 0, result.stderr
    *_, saved, pip, page = result.stdout.splitlines()
    assert saved.startswith("saved polish; ")
    assert pip == "pip wheel --no-deps ./polish"
    assert page.startswith("saved page.html, ")
    decoder = Decoder.open(tmp_path / "polish" / "src" / "polish" / "model.onnx")
    assert (decoder.decode("hello"), decoder.info.weights) == ("ohlol", "int8")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.html", "polish", "run"]


def test_an_artifact_becomes_a_package_with_its_weights(export: Export, tmp_path: Path) -> None:
    """And stays as it is: the project takes another place."""
    save_run(make_network(), tmp_path / "run")
    assert export("run", "--weights", "float16").exit_code == 0
    manifest = (tmp_path / "run" / "artifact" / "manifest.json").read_bytes()
    result = export("run/artifact", "--package", "half", "--output", "some/project")
    assert result.exit_code == 0, result.output
    assert "\npip wheel --no-deps ./some/project\n" in result.stdout
    assert (tmp_path / "run" / "artifact" / "manifest.json").read_bytes() == manifest
    assert Decoder.open("some/project/src/half").info.weights == "float16"


def test_a_network_from_outside_becomes_a_package(export: Export, tmp_path: Path) -> None:
    torch.save(make_network("lstm", labels="characters").state_dict(), tmp_path / "net.pt")
    options = ["--alphabet", "abż\u0301😀", "--labels", "abż\u0301😀x", "--package", "brought"]
    result = export("net.pt", *options)
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["brought", "net.pt"]
    (first, *_) = json.loads((tmp_path / "brought/tests/golden.json").read_text("utf-8"))
    assert Decoder.open("brought/src/brought").decode(first["input"]) == first["output"]


def test_a_project_takes_the_place_of_one_that_nobody_changed(
    tmp_path: Path, short_proof: None
) -> None:
    folder = tmp_path / "polish"
    write_package("polish", ExportJob(make_network(), TRAINING, folder))
    first = (folder / "src/polish/model.onnx").read_bytes()
    for made in ("build/lib/x.py", "src/polish.egg-info/PKG-INFO", "src/polish/__pycache__/a.pyc"):
        (folder / made).parent.mkdir(parents=True, exist_ok=True)
        (folder / made).write_text("a tool made it")
    (folder / "src" / ".DS_Store").write_text("a desktop made it")
    write_package("polish", ExportJob(make_network(seed=1), TRAINING, folder))
    assert (folder / "src/polish/model.onnx").read_bytes() != first
    assert not (folder / "build").exists()
    assert (folder / "src" / ".DS_Store").exists()

    (folder / "LICENSE").write_text("mine")
    with pytest.raises(PackageError, match="it holds 'LICENSE', which is no file of a package"):
        check_project(folder)
    readme = (folder / "README.md").read_text("utf-8")
    (folder / "README.md").write_text("mine")
    with pytest.raises(PackageError, match=r"holds 'LICENSE', .*, and its README.md has"):
        check_project(folder)
    (folder / "README.md").write_text(readme, "utf-8")
    (folder / "LICENSE").unlink()
    (folder / "src" / "build").mkdir()
    (folder / "src" / "build" / "mine.py").write_text("mine")
    with pytest.raises(PackageError, match=r"it holds 'src/build/mine.py', which"):
        check_project(folder)
    shutil.rmtree(folder / "src" / "build")
    pyproject = folder / "pyproject.toml"
    pyproject.write_text(pyproject.read_text("utf-8") + 'license = "MIT"\n', "utf-8")
    with pytest.raises(PackageError, match=r"its pyproject.toml has changed since hello-export"):
        write_package("polish", ExportJob(make_network(), TRAINING, folder))
    assert "MIT" in pyproject.read_text("utf-8")


@pytest.mark.parametrize("record", ["", "[]", '{"sha256": []}', "[" * 9999])
def test_a_damaged_record_marks_nothing(record: str, tmp_path: Path) -> None:
    (tmp_path / "hello-export.json").write_text(record)
    with pytest.raises(PackageError, match=r"it holds 'hello-export.json', which is no file"):
        check_project(tmp_path)


def test_a_failure_leaves_the_old_project(
    tmp_path: Path, short_proof: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "polish"
    write_package("polish", ExportJob(make_network(), TRAINING, folder))
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}

    def fail(*_: object, **__: object) -> NoReturn:
        raise OSError(28, "No space left on device")

    for place, name in (
        (artifact, "write_files"),
        (project, "write_files"),
        (project, "put_in_place"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(place, name, fail)
            with pytest.raises(
                Exception, match=r"cannot write .*polish.*: No space left on device"
            ):
                write_package("polish", ExportJob(make_network(seed=1), TRAINING, folder))
        assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
        assert [path.name for path in tmp_path.iterdir()] == ["polish"]


def test_texts_of_a_model_are_literals(tmp_path: Path) -> None:
    """Whoever trains a model cannot put code into the projects of others."""
    network = make_network(unknown="label")
    (golden, *_) = golden_texts(network, replace(TRAINING, example=HOSTILE))
    assert golden.input == HOSTILE
    files = files_of("polish", network.config, [golden], b"")
    for name, content in files.items():
        text = content.decode()
        if name.endswith(".py"):
            compile(text, name, "exec")
        assert "```\u202e" not in text or name.endswith(".json")
        assert "49" not in text or name.endswith(".json")
    values = values_of("polish", network.config, [golden])
    assert (eval(values["text"]), values["word"]) == (HOSTILE, "TEXT")
    assert values["prompt"] == "--prompt=TEXT"
    assert word_of("-a b") == "-- '-a b'"


@pytest.mark.parametrize("task", ["rewrite", "classify", "next"])
def test_the_commands_of_a_readme_run(task: Task, tmp_path: Path) -> None:
    """The network of `next` refuses the line feed with which a text without a prompt begins."""
    network = make_network(task=task, unknown="error")
    golden = golden_texts(network, TRAINING)
    onnx.save(build_model(network, TRAINING), model := tmp_path / "model.onnx")
    readme = files_of("polish", network.config, golden, b"")["README.md"].decode()
    commands = [line for line in readme.splitlines() if re.match(r"polish (?!.*FILE)", line)]
    assert len(commands) == 3
    for command in commands:
        code, output = invoke(task, *shlex.split(command)[1:], model=model)
        assert (code, output.startswith("Error")) == (0, False), output


def test_where_rounding_decides_everything_there_is_no_golden_text() -> None:
    network = make_network()
    with torch.no_grad():
        for weight in network.parameters():
            weight.zero_()
    with pytest.raises(PackageError, match="rounding decides what it says; train it"):
        golden_texts(network, TRAINING)


def invoke(task: Any, *arguments: str, model: Path, causal: bool = True) -> tuple[int, str]:
    command = packaged_command("polish", model, "1.2", task, causal=causal)
    result = CliRunner().invoke(command, arguments, prog_name="polish")
    return result.exit_code, result.output


def test_the_command_of_a_package_has_the_options_of_its_task(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    offered = {}
    for task, causal in (("rewrite", True), ("rewrite", False), ("classify", True), ("next", True)):
        code, text = invoke(task, "--help", model=file, causal=causal)
        assert code == 0
        assert "TEXT]..." in text or task == "next"
        offered[task, causal] = {*re.findall(r"^  (--\w+)", text, re.MULTILINE)}
    always = {"--output", "--json", "--unknown", "--info", "--score", "--provider", "--threads",
              "--version"}  # fmt: skip
    drawing = {"--generate", "--prompt", "--temperature", "--top", "--seed"}
    assert offered == {
        ("rewrite", True): always | {"--input", "--stream"},
        ("rewrite", False): always | {"--input"},
        ("classify", True): always | {"--input"},
        ("next", True): always | drawing,
    }
    assert invoke("rewrite", "--version", model=file) == (0, "polish, version 1.2\n")
    assert invoke("rewrite", "--model", "x", model=file)[0] == 2


def test_the_command_of_a_package_does_what_hello_infer_does(tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    onnx.save(build_model(make_network(task="next"), TRAINING), model)
    decoder = Decoder.open(model)
    assert invoke("next", "--seed", "1", model=model) == (
        0, "".join(decoder.generate(seed=1)) + "\n"
    )  # fmt: skip
    drawn = "".join(decoder.generate("ab", 7, temperature=0))
    options = ["--prompt", "ab", "--generate", "7", "--temperature", "0"]
    assert invoke("next", *options, model=model) == (0, f"ab{drawn}\n")
    code, text = invoke("next", "--info", model=model)
    assert (code, f"model{model!s:>{23 + len(str(model))}}" in text) == (0, True)
    code, text = invoke("rewrite", "a", "--input", "b", model=model)
    assert (code, "TEXT and --input exclude each other" in text) == (2, True)
    code, text = invoke("rewrite", "a", model=tmp_path / "none.onnx")
    assert (code, text.startswith("Error: ")) == (1, True)
