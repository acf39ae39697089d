"""The pages are run: README.md and docs/*.md, their commands, their Python, and what they show.

All pages are run in one folder, in the order of the README's links. A command or script that a page
before had already is not run again; what the page shows of it is compared all the same.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import write_help
from command_server import CommandServer
from hello_export.proof.c_engine import CSource
from hello_export.proof.javascript import JavaScript
from hello_runtime import DecodeColumn
from hello_train.data.corruption import corrupt, find_corruption

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
POLISH = ROOT / "tests" / "data" / "zolw.txt"
TORCH = next(
    line for line in (ROOT / "constraints.txt").read_text().splitlines() if "torch==" in line
)

ELSEWHERE = {
    "python train/recipes/hyphenated_words.py hyph_pl_PL.dic /usr/share/dict/polish 100000 > "
    "words.txt": "tests/test_recipes.py",
    "pip install . && hello-infer hello": ".ci/run, in environments without torch",
    "pip install -c constraints.txt -e '.[dev]' && pytest": ".ci/run",
    "pip install -c constraints.txt '.[export,engines]'": "it is part of the tests' environment",
    f"pip install {TORCH} --index-url https://download.pytorch.org/whl/cpu": "likewise",
    "apt-get download libreoffice-help-pl && dpkg-deb -x libreoffice-help-pl_*.deb help": (
        "a page of the tests' own text stands in for the package"
    ),
    "bash train/recipes/diacritics.sh pl": "tests/test_recipes.py, with stand-ins for the packages",
    "bash train/recipes/diacritics.sh hu": "likewise, whatever the language",
    "python3 -m venv light && light/bin/pip install .": ".ci/run; the tests' environment stands in",
    "torchrun --nproc-per-node 2 -m hello_train --text help-pl.txt --corrupt strip-diacritics": (
        "tests/test_fit.py, with two processes on a smaller text"
    ),
    'import { load } from "./hello_rnn.mjs";': "tests/test_js.py, call by call",
    "<!doctype html>": "tests/test_web.py",
    "emx-onnx-cgen compile runs/hello-gru/artifact/model.onnx hello.c --input-dim batch=1 "
    "--input-dim time=1 --large-weight-threshold 0": "tests/test_c.py",
    "#include <stdio.h>": "tests/test_c.py",
    "cc -std=c99 -Wall -Wextra -Os -s main.c -o hello-c -lm": "tests/test_c.py",
    "echo hello | ./hello-c": "tests/test_c.py, character by character",
    "python tests/benchmarks/other_engines.py --environments DIR": "tests/test_other_engines.py",
    "python tests/fuzz/javascript.py": "tests/test_js.py, on fewer files",
    "pip wheel --no-deps ./ohlol": "tests/test_package.py, without a network",
    "import ohlol": "tests/test_package.py, call by call",
    "ohlol hello": "likewise",
    "pip wheel --no-deps --wheel-dir wheels PATH/TO/HELLO-RNN ./ohlol": ".ci/run",
    "import ray": "tests/test_columns.py, on rows of its own",
    "def decode_frames(frames):  # spark_frame.mapInPandas(decode_frames, schema)": (
        "test_the_lines_for_spark_and_polars"
    ),
    "decoded = polars.DataFrame(decode(frame.to_dict()))": "test_the_lines_for_spark_and_polars",
}
"""The commands, and blocks of other languages by their first line, that are not run in the pages'
folder, and what runs them instead."""
QUICK = {
    "--minutes 5": "--epochs 1 --hidden-size 16",
    "--compare": "--compare --epochs 120 --learning-rate 0.01",
    "--projection": "--projection --epochs 400",
    "1000000": "10000",
}
"""What takes long on the pages, and what takes its place here."""


class Block(NamedTuple):
    """A fenced block of a page."""

    language: str
    text: str

    @property
    def first_line(self) -> str:
        return self.text.partition("\n")[0]


class Page:
    """A Markdown file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.relative_to(ROOT).as_posix()
        self.text = path.read_text(encoding="utf-8")
        self.blocks = [Block(*found) for found in FENCED.findall(self.text)]
        self.prose = FENCED.sub("", self.text)

    @property
    def links(self) -> list[str]:
        """The targets of its links and pictures."""
        return re.findall(r"\]\(([^)\s]+)\)", self.prose)

    @property
    def anchors(self) -> set[str]:
        """Its headings, as GitHub makes anchors of them."""
        headings = re.findall(r"^#+ (.*)$", self.prose, re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def pages() -> list[Page]:
    """Return the README and the pages of docs/, in the order in which the README links them."""
    readme = Page(README)
    first = Page(ROOT / "docs" / "zh-CN.md")
    linked = [ROOT / link.partition("#")[0] for link in readme.links if link.startswith("docs/")]
    files = [file for file in dict.fromkeys(linked) if file.suffix == ".md" and file != first.path]
    return [readme, first, *map(Page, files)]


PAGES = pages()
BY_NAME = {page.name: page for page in PAGES}


def commands(block: Block) -> Iterator[tuple[str, str]]:
    """Yield each command of a console block, and the output that it shows."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


@dataclass
class Folder:
    """Where the pages are run, and what was printed there."""

    path: Path
    servers: Callable[[str], CommandServer]
    ran: dict[str, subprocess.CompletedProcess[str]] = field(default_factory=dict)
    """By command or script, as it is on the page."""

    def run(self, source: str) -> subprocess.CompletedProcess[str]:
        """Run a command of a shell once; one of ours, without a pipe, by its server."""
        if source not in self.ran:
            command = replaced(source, QUICK)
            ours = re.fullmatch(r"(hello-\w+)((?: [^|<>&;]+)?)", command)
            self.ran[source] = (
                self._serve(*ours.groups()) if ours else self._start("sh", "-c", command)
            )
        return self.ran[source]

    def _serve(self, command: str, arguments: str) -> subprocess.CompletedProcess[str]:
        result = self.servers(command).run(
            shlex.split(arguments), self.path, environment={"COLUMNS": "80"}
        )
        output, errors = result.stdout.decode(), result.stderr.decode()
        return subprocess.CompletedProcess([command + arguments], result.returncode, output, errors)

    def _start(self, *command: str) -> subprocess.CompletedProcess[str]:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return subprocess.run(
            command, cwd=self.path, env={**os.environ, "COLUMNS": "80", "PATH": path},
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def run_python(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a script; a line that ends in a comment of its value must have that value."""
        checked = re.sub(
            r"^(decoder\.\S+\(.*\)|next\(.*\)|stream\.feed.*\S) +# ('.*'|\[.*\])$",
            r"assert \1 == \2",
            script,
            flags=re.MULTILINE,
        )
        if "hello_runtime" in script:  # elsewhere such comments are shapes
            assert checked.count("assert ") == len(re.findall(r" # ['\[]", script))
        if script not in self.ran:
            self.ran[script] = self._start(sys.executable, "-c", checked)
        return self.ran[script]


def replaced(text: str, by: Mapping[str, str]) -> str:
    for old, new in by.items():
        text = text.replace(old, new)
    return text


@pytest.fixture
def folder(tmp_path: Path, servers: Callable[[str], CommandServer]) -> Folder:
    """Return a folder with stand-ins for what the pages download and install."""
    html = tmp_path / "help/usr/share/libreoffice/help/pl"
    html.mkdir(parents=True)
    odd = "<script>no</script></script><p>jedno<br>drugie &amp; <b>trze</b>cie</p>\n<p>1</p>"
    lines = POLISH.read_text(encoding="utf-8").splitlines()
    (html / "page.html").write_text("".join(f"<p>{line}</p>\n" for line in lines) + odd)
    (tmp_path / "train").symlink_to(ROOT / "train")
    (tmp_path / "light").mkdir()
    (tmp_path / "light/bin").symlink_to(Path(sys.executable).parent)
    return Folder(tmp_path, servers)


def test_the_pages(folder: Folder) -> None:
    for page in PAGES:
        run_page(page, folder)
    check_text_of_html(folder)
    check_post(folder)


def run_page(page: Page, folder: Folder) -> None:
    """Run what is on a page, and compare what it shows."""
    last = None
    for block in page.blocks:
        where = f"{page.name}: {block.first_line}"
        if block.language == "console":
            for command, output in commands(block):
                if command in ELSEWHERE:
                    last = None
                    continue
                last = folder.run(command)
                assert last.returncode == 0, (where, command, last.stderr)
                assert not output or last.stdout == output, (where, command)
        elif block.language == "python":
            result = folder.run_python(block.text)
            assert result.returncode == 0, (where, result.stderr)
            if expected := re.findall(r"^ *print\(.*\)  # (.*)$", block.text, re.MULTILINE):
                shown = [line for each in expected for line in each.split(", then ")]
                assert result.stdout.splitlines() == shown, where
        elif block.language == "text":
            assert last, where
            compare_shown(where, block.text, last)


def compare_shown(where: str, shown: str, result: subprocess.CompletedProcess[str]) -> None:
    """Check that a page shows what a command printed, in every word but not in its numbers."""
    command = str(result.args[-1])
    if sentence := re.search(r"'([^']{20,})'$", command):
        # A training of five minutes wrote it. Here it is one of a moment, so the input is compared.
        inputs, _ = corrupt(shown.removesuffix("\n"), find_corruption("strip-diacritics"))
        assert inputs == sentence[1], where
        assert len(result.stdout) == len(shown), where
        return
    lines, printed = without_numbers(shown), without_numbers(result.stdout + result.stderr)
    starts = range(len(printed) - len(lines) + 1)
    assert any(printed[start : start + len(lines)] == lines for start in starts), where
    if lines[0][0] == "engine":
        rows = [line.split() for line in shown.splitlines() if "Δ" not in line and "#" not in line]
        assert [row[-1] for row in rows[:7]] == ["0"] * 7, where


def without_numbers(text: str) -> list[list[str]]:
    """Return the words of each line, with # for numbers and without the example to decode.

    Without Node or a C compiler the pages show more engines than there are.
    """
    lines = [re.sub(r"^(hello-infer .*) '.*'$", r"\1", line) for line in text.splitlines()]
    missing = tuple(f"{engine.name} " for engine in (JavaScript, CSource) if engine.missing())
    lines = [line for line in lines if not line.startswith(missing)]
    return [re.sub(r"[-+.e\d]*\d[-+.\w]*", "#", line).split() for line in lines]


def check_text_of_html(folder: Folder) -> None:
    """Check what `html_to_lines.py` made of the stand-in for the package."""
    read = (folder.path / "help-pl.txt").read_text(encoding="utf-8").splitlines()
    lines = POLISH.read_text(encoding="utf-8").splitlines()
    assert read == [*lines, "jedno drugie & trzecie"]


def check_post(folder: Folder) -> None:
    """Check that the post's network and `hello-train` have the same losses, and the page too."""
    page = BY_NAME["docs/hello.md"]
    (script,) = (block.text for block in page.blocks if block.language == "python")
    (shown,) = (block.text for block in page.blocks if block.language == "text")
    log = folder.ran["hello-train --cell gru --seed 1 --every 100"].stderr
    printed = folder.ran[script].stdout.splitlines()
    assert len(printed) == 10
    assert [line.rpartition("  ")[0] for line in log.splitlines()[1:]] == printed
    # Another machine may round otherwise.
    losses = [[float(loss) for loss in re.findall(r"loss (\S+)", text)] for text in (shown, log)]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)


def test_what_is_not_run_is_listed() -> None:
    """Each command of the pages was found, and each that is not run is in `ELSEWHERE`."""
    found: set[str] = set()
    for page in PAGES:
        assert page.text.count("```") == 2 * len(page.blocks), page.name
        assert "\n$ " not in page.prose, page.name
        for block in page.blocks:
            languages = ("console", "text", "python", "py", "sh", "js", "html", "c")
            assert block.language in languages, page.name
            if block.language == "console":
                assert block.text.startswith("$ "), (page.name, block.first_line)
                found.update(command for command, _ in commands(block))
            elif block.language in ("py", "sh", "js", "html", "c"):
                assert block.first_line in ELSEWHERE, (page.name, block.first_line)
                found.add(block.first_line)
    assert found >= ELSEWHERE.keys()
    for reason in ELSEWHERE.values():
        for file in re.findall(r"tests/\w+\.py|\.ci/run", reason):
            assert (ROOT / file).exists(), reason
        for test in re.findall(r"test_the_\w+", reason):
            assert test in globals(), reason


def test_the_readme_opens_with_two_commands() -> None:
    console = [block for block in BY_NAME["README.md"].blocks if block.language == "console"]
    (first, _), (second, _) = (next(commands(block)) for block in console[:2])
    assert first.endswith("hello-infer hello")
    assert second.endswith("pytest")
    assert ELSEWHERE.keys() >= {first, second}
    assert re.search(r'^pytest "\$@"$', (ROOT / ".ci/run").read_text(), re.MULTILINE)


def test_the_chinese_page_has_the_same_blocks() -> None:
    readme, chinese = BY_NAME["README.md"], BY_NAME["docs/zh-CN.md"]
    assert chinese.blocks == readme.blocks
    assert chinese.prose.count("\n## ") == readme.prose.count("\n## ")
    in_docs = {link.removeprefix("docs/") for link in readme.links if link.startswith("docs/")}
    assert in_docs - set(chinese.links) == {"zh-CN.md"}


def test_the_help_texts_are_those_that_the_script_writes() -> None:
    """Their words are compared with the commands in `test_the_pages`."""
    found = write_help.BLOCK.findall(BY_NAME["docs/commands.md"].text)
    assert found == ["hello-train", "hello-export", "hello-infer"]


def test_the_lines_for_spark_and_polars() -> None:
    """Spark itself needs Java; `mapInPandas` gives and takes an iterator of pandas' frames."""
    pandas = pytest.importorskip("pandas", reason="the extra ray, which brings pandas, is missing")
    polars = pytest.importorskip("polars", reason="polars is not installed")
    ray, spark, lines = (
        block.text for block in BY_NAME["docs/runtime.md"].blocks if block.language == "py"
    )
    assert "import ray" in ray
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


@pytest.mark.parametrize("page", [*PAGES, Page(CONTRIBUTING)], ids=lambda page: page.name)
def test_the_links_lead_somewhere(page: Page) -> None:
    assert page.links or page.name == "CONTRIBUTING.md"
    for link in page.links:
        name, _, anchor = link.partition("#")
        file = (page.path.parent / name).resolve() if name else page.path
        assert file.exists(), link
        assert file.is_relative_to(ROOT), link
        assert not anchor or anchor in Page(file).anchors, link


def test_the_pages_are_short_and_linked() -> None:
    for page in PAGES:
        longest = {"README.md": 150, "docs/commands.md": 300}.get(page.name, 220)
        assert len(page.text.splitlines()) <= longest, page.name
    assert {page.path for page in PAGES} == {README, *(ROOT / "docs").glob("*.md")}
    shown = {(page.path.parent / link).resolve() for page in PAGES for link in page.links}
    pictures = set((ROOT / "docs").glob("*.png"))
    assert pictures
    assert pictures <= shown
    for picture in pictures:
        assert picture.stat().st_size < 60_000, picture


def test_the_files_that_are_named_exist() -> None:
    for page in (*PAGES, Page(CONTRIBUTING)):
        scripts = re.findall(r"(?:python|bash) ((?:tests|train)/\S+\.(?:py|sh))", page.text)
        named = re.findall(r"`((?:tests|train|export|runtime|docs)/[\w./-]+)`", page.prose)
        for file in (*scripts, *named):
            assert (ROOT / file).exists(), (page.name, file)


def test_contributing_names_every_check_and_benchmark() -> None:
    text = CONTRIBUTING.read_text(encoding="utf-8")
    for command in ("pytest", "mypy", "ruff check .", "ruff format --check .", "bash .ci/run"):
        assert command in text
    assert re.findall(r"^\$ (pip install .*)$", text, re.MULTILINE) == [
        "pip install -c constraints.txt -e '.[dev]'"
    ]
    for script in (ROOT / "tests" / "benchmarks").glob("*.py"):
        if "__main__" in script.read_text(encoding="utf-8"):
            assert f"python tests/benchmarks/{script.name}" in text
