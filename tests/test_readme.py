"""The README is run: its commands, its Python, and the help texts that it shows."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hello_runtime import DecodeColumn
from helpers import Run

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
POLISH = ROOT / "tests" / "data" / "zolw.txt"

ELSEWHERE = {
    "pip install . && hello-infer hello": ".ci/run, in environments without torch",
    "pip install -c constraints.txt -e '.[dev]' && pytest": ".ci/run",
    "pip install -c constraints.txt '.[export,engines]'": "it is part of the tests' environment",
    "apt-get download libreoffice-help-pl && dpkg-deb -x libreoffice-help-pl_*.deb help": (
        "a page of the tests' own text stands in for the package"
    ),
    "bash train/recipes/diacritics.sh pl": "tests/test_recipes.py, with stand-ins for the packages",
    "bash train/recipes/diacritics.sh hu": "likewise, whatever the language",
    "python3 -m venv light && light/bin/pip install .": ".ci/run; the tests' environment stands in",
}
"""The commands that are not run here, and what runs them instead."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def commands() -> Iterator[tuple[str, str]]:
    """Yield each command of the README and the output that it shows."""
    for block in blocks("console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            yield command, output


def test_the_commands(tmp_path: Path) -> None:
    pages = tmp_path / "help/usr/share/libreoffice/help/pl"
    pages.mkdir(parents=True)
    lines = POLISH.read_text(encoding="utf-8").splitlines()
    odd = "<script>no</script></script><p>jedno<br>drugie &amp; <b>trze</b>cie</p>\n<p>1</p>"
    (pages / "page.html").write_text("".join(f"<p>{line}</p>\n" for line in lines) + odd)
    (tmp_path / "train").symlink_to(ROOT / "train")
    bin_ = Path(sys.executable).parent
    (tmp_path / "light").mkdir()
    (tmp_path / "light/bin").symlink_to(bin_)
    environment = {**os.environ, "PATH": f"{bin_}:{os.environ['PATH']}"}
    ran, shown = 0, 0
    for command, output in commands():
        if command in ELSEWHERE:
            continue
        quick = command.replace("--minutes 5", "--epochs 1").replace("1000000", "10000")
        result = subprocess.run(
            quick, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert result.returncode == 0, (command, result.stderr)
        ran += 1
        if output:
            assert result.stdout == output, command
            shown += 1
    assert (ran, shown) == (12, 2)
    read = (tmp_path / "help-pl.txt").read_text(encoding="utf-8").splitlines()
    assert read == [*lines, "jedno drugie & trzecie"]
    assert {command for command, _ in commands()} >= ELSEWHERE.keys()


def test_the_parity_table_is_what_the_command_prints(run: Run) -> None:
    def without_numbers(text: str) -> list[str]:
        return [re.sub(r"[-+.e\d]*\d[-+.\w]*", "#", line) for line in text.splitlines()]

    shown = blocks("text")[0]
    assert "onnxruntime" in shown
    assert [line.split()[-1] for line in shown.splitlines()[1:5]] == ["0"] * 4
    assert without_numbers(run("hello-export").stdout) == without_numbers(shown)


def test_the_readme_opens_with_two_commands() -> None:
    first, second, *_ = commands()
    assert first[0].endswith("hello-infer hello")
    assert second[0].endswith("pytest")
    assert ELSEWHERE.keys() >= {first[0], second[0]}
    assert re.search(r"^pytest$", (ROOT / ".ci/run").read_text(), re.MULTILINE)


def test_the_python(tmp_path: Path) -> None:
    source = ROOT / "tests" / "golden" / "hello-gru.safetensors"
    (tmp_path / "runs/hello-gru").mkdir(parents=True)
    shutil.copy(source, tmp_path / "runs/hello-gru/checkpoint.safetensors")
    subprocess.run(
        [Path(sys.executable).with_name("hello-export")], cwd=tmp_path, check=True,
        capture_output=True,
    )  # fmt: skip
    api, bare = blocks("python")
    # Every line of the first block that ends in a comment of its value has that value.
    checked = re.sub(
        r"^(decoder\.\S+\(.*\)|next\(.*\)|stream\.feed.*\S) +# ('.*'|\[.*\])$",
        r"assert \1 == \2",
        api,
        flags=re.MULTILINE,
    )
    assert checked.count("assert ") == 4
    for script, expected in ((checked, ""), (bare, "ohlol\n")):
        result = subprocess.run(
            [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert (result.returncode, result.stdout) == (0, expected), result.stderr


def test_the_lines_for_spark_and_polars() -> None:
    """Spark itself needs Java; `mapInPandas` gives and takes an iterator of pandas' frames."""
    pandas = pytest.importorskip("pandas", reason="the extra ray, which brings pandas, is missing")
    polars = pytest.importorskip("polars", reason="polars is not installed")
    spark, lines = (block for block in blocks("py") if "import ray" not in block)
    table = {"id": [1, 2, 3], "text": ["hello", None, "hello"]}
    frame = polars.DataFrame(table)
    names: dict[str, Any] = {
        "polars": polars,
        "frame": frame,
        "lazy_frame": frame.lazy(),
        "decode": DecodeColumn(),
    }
    exec(spark + lines, names)
    (pandas_frame,) = names["decode_frames"]([pandas.DataFrame(table)])
    for found in (names["decoded"], names["lazily"].collect(), polars.DataFrame(pandas_frame)):
        assert found.columns == ["id", "text", "decoded"]
        assert found["decoded"].to_list() == ["ohlol", None, "ohlol"]


@pytest.mark.parametrize("command", ["hello-train", "hello-export", "hello-infer"])
def test_the_help_texts(run: Run, command: str) -> None:
    shown = re.search(
        rf"<code>{command} --help</code></summary>\n\n```text\n(.*?)```", README, re.DOTALL
    )
    assert shown
    result = run(command, "--help", COLUMNS="80")
    assert result.returncode == 0
    assert shown[1] == result.stdout


def test_contributing_names_every_check() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for command in ("pytest", "mypy", "ruff check .", "ruff format --check .", "bash .ci/run"):
        assert command in text
    for script in re.findall(r"python (\S+\.py)", text + README):
        assert (ROOT / script).exists(), script
    assert shlex.split("pip install -c constraints.txt -e '.[dev]'") == shlex.split(
        re.findall(r"^\$ (pip install .*)$", text, re.MULTILINE)[0]
    )
