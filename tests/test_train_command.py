"""`hello-train`, run as a user would, on good input and on bad."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from hello_export.cli import main as export
from hello_runtime.model.labels import alphabet_guard
from hello_runtime.text.edits import KEEP
from hello_train.cli import main
from hello_train.data.corruption import find_corruption
from hello_train.errors import ConfigError
from hello_train.fit.hello import STARTS
from hello_train.network.cells import CELLS
from hello_train.network.checkpoint import load_checkpoint
from helpers import SHORT_PROOF, Run, assert_one_line_error

POLISH = Path(__file__).parent / "data" / "zolw.txt"
TRAIN = Path(sys.executable).with_name("hello-train")
TINY = ("--hidden-size", 8, "--embedding-dim", 4)
QUICK = ("--epochs", 120, "--learning-rate", 0.01)
"""With these every cell learns hello from its first seed."""


@pytest.mark.parametrize("cell", CELLS)
def test_hello(run: Run, tmp_path: Path, cell: str) -> None:
    result = run("hello-train", "--cell", cell)
    assert result.returncode == 0
    assert result.stdout == (
        f"hello -> ohlol\n"
        f"saved runs/hello-{cell}/checkpoint.safetensors, and report.html beside it; now:\n"
        f"hello-export runs/hello-{cell}\n"
    )
    assert "epoch 100  loss " in result.stderr
    assert "epoch 1000  loss " in result.stderr
    assert "'ohlol'" in result.stderr.splitlines()[-1]
    network, training = load_checkpoint(tmp_path / f"runs/hello-{cell}")
    assert network.config.cell == cell
    assert network.rewrite("hello") == "ohlol"
    assert training.data == "hello -> ohlol"


def test_the_cells_are_compared(run: Run, tmp_path: Path) -> None:
    result = run("hello-train", "--compare", *QUICK)
    assert result.returncode == 0, result.stderr
    *rows, last = result.stdout.splitlines()
    assert [row.split(" in ")[0] for row in rows] == [f"{c}: first wrote 'ohlol'" for c in CELLS]
    assert last == "saved runs/hello-compare; now open runs/hello-compare/report.html"
    page = (tmp_path / "runs/hello-compare/report.html").read_text(encoding="utf-8")
    for cell in CELLS:
        assert cell.upper() in page
        assert load_checkpoint(tmp_path / "runs/hello-compare" / cell)[0].config.cell == cell
        assert (tmp_path / "runs/hello-compare" / cell / "report.html").exists()


def test_the_rnn_learns_it_with_relu_too(run: Run, tmp_path: Path) -> None:
    result = run("hello-train", "--cell", "rnn", "--nonlinearity", "relu", *QUICK, "--seed", 2)
    assert result.returncode == 0, result.stderr
    network, _ = load_checkpoint(tmp_path / "runs/hello-rnn")
    assert network.config.nonlinearity == network.recurrence.nonlinearity == "relu"
    assert run("hello-export", "--cell", "rnn", **SHORT_PROOF).returncode == 0
    facts = json.loads(
        run("hello-infer", "--model", "runs/hello-rnn/artifact", "--info", "--json").stdout
    )
    assert (facts["cell"], facts["nonlinearity"], facts["weights"]) == ("rnn", "relu", "float32")
    assert run("hello-infer", "--model", "runs/hello-rnn/artifact", "hello").stdout == "ohlol\n"


def test_a_lost_start_is_said_and_restarted(run: Run, tmp_path: Path) -> None:
    result = run("hello-train", "--cell", "rnn", *QUICK, "--seed", 1, "--output", "here")
    assert result.stdout.startswith("hello -> ohlol\n")
    assert "seed 1 did not learn; starting again from seed 2" in result.stderr
    assert load_checkpoint(tmp_path / "here")[1].seed == 2


def test_what_never_learns_ends_with_an_error_and_the_last_start(run: Run, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/checkpoint.safetensors").write_bytes(b"of an earlier run")
    result = run("hello-train", "--learning-rate", 1e-9, "--epochs", 10, "--output", "run")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.count("did not learn; starting again") == STARTS - 1
    assert result.stderr.splitlines()[-1] == (
        f"Error: none of {STARTS} starts learned hello -> ohlol; use more --epochs or --minutes, "
        "or another --learning-rate; the last one is in run/lost, and run/lost/report.html shows it"
    )
    assert (tmp_path / "run/checkpoint.safetensors").read_bytes() == b"of an earlier run"
    network, training = load_checkpoint(tmp_path / "run/lost")
    assert training.seed == STARTS - 1
    said = network.rewrite("hello")
    assert said != "ohlol"
    page = (tmp_path / "run/lost/report.html").read_text("utf-8")
    assert f"GRU: hello \u2192 {said}, not ohlol" in page
    assert f"None of {STARTS} starts learned ohlol; this is the last one." in page


def test_the_help_tells_how_many_starts_there_are(run: Run) -> None:
    told = " ".join(run("hello-train", "--help").stdout.split())
    assert f"another follows from the next seed, up to {STARTS} in all." in told


def test_hello_in_other_shapes(run: Run, tmp_path: Path) -> None:
    wide = ("--layers", 2, "--bidirectional", "--hidden-size", 6, "--learning-rate", 0.01)
    result = run("hello-train", "--cell", "lstm", *wide, "--epochs", 200, "--no-projection")
    assert result.stdout.startswith("hello -> ohlol\n")
    assert "a projection was added, for 12 hidden values are not 4 labels" in result.stderr
    config = load_checkpoint(tmp_path / "runs/hello-lstm")[0].config
    assert (config.layers, config.bidirectional, config.projection) == (2, True, True)
    result = run("hello-train", "--projection", "--unknown", "copy", "--guarded", *QUICK)
    config = load_checkpoint(tmp_path / "runs/hello-gru")[0].config
    assert (config.projection, config.unknown) == (True, "copy")
    assert config.guard == alphabet_guard({"e": "h", "h": "o", "l": "lo", "o": "l"}, "ehlo")


def test_text_is_learned_and_scored(run: Run, tmp_path: Path) -> None:
    shutil.copy(POLISH, tmp_path / "zolw.txt")
    arguments = ("--text", "zolw.txt", "--corrupt", "strip-diacritics", "--holdout", 0.2)
    result = run("hello-train", *arguments, *TINY, "--epochs", 40, "--seed", 3)
    assert result.returncode == 0, result.stderr
    header, *rows, counts = result.stdout.splitlines()[:5]
    assert header.split() == ["held-out", "lines", "characters", "words", "exact", "lines"]
    assert [row[:20].strip() for row in rows] == ["no change", "most frequent target", "model"]
    assert counts.split()[-1] == "5"
    assert result.stdout.splitlines()[-1] == "hello-export runs/zolw-gru"
    assert result.stderr.startswith("19 lines to learn, 5 held out, on ")
    network, training = load_checkpoint(tmp_path / "runs/zolw-gru")
    assert network.config.unknown == "label"
    assert network.config.normalization == "nfc"
    assert network.config.guard
    labels = network.config.output_labels
    assert [labels[number] for number in network.config.guard["z"]] == [(KEEP,), ("ź",), ("ż",)]
    assert set(training.scores) == {"no change", "most frequent target", "model"}
    assert "most frequent target" in (tmp_path / "runs/zolw-gru/report.html").read_text("utf-8")
    # A broken loop leaves the network where it started, at about the "no change" row.
    shares = {name: row["characters"] or 0 for name, row in training.scores.items()}
    assert shares["model"] > shares["no change"]


def test_pairs_are_learned(run: Run, tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text("abc\txyx\ncab\txxy\n\nbca\tyxx\n", encoding="utf-8")
    arguments = ("--pairs", "pairs.tsv", "--holdout", 0, "--epochs", 300, "--cell", "lstm")
    result = run("hello-train", *arguments, *TINY, "--unknown", "error", "--unguarded")
    assert result.returncode == 0, result.stderr
    network = load_checkpoint(tmp_path / "runs/pairs-lstm")[0]
    assert [network.rewrite(text) for text in ("abc", "cab", "bca")] == ["xyx", "xxy", "yxx"]
    assert (network.config.input_alphabet, network.config.output_alphabet) == ("abc", "xy")


def test_held_out_lines_may_have_characters_that_a_model_refuses(run: Run, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("żółw\nłąka\ngęś\nćma\n", encoding="utf-8")
    arguments = ("--text", "text.txt", "--corrupt", "strip-diacritics", "--holdout", 0.5)
    result = run("hello-train", *arguments, *TINY, "--unknown", "error", "--epochs", 1)
    assert result.returncode == 0, result.stderr
    assert "exact lines" in result.stdout
    alphabet = load_checkpoint(tmp_path / "runs/text-gru")[0].config.input_alphabet
    assert not set("zolwlakagescma") <= set(alphabet)


def test_minutes_end_a_training(run: Run, tmp_path: Path) -> None:
    arguments = ("--text", POLISH, "--corrupt", "lowercase", *TINY, "--minutes", 0.02)
    result = run("hello-train", *arguments, "--output", "run", "--causal", "--layers", 2)
    assert result.returncode == 0, result.stderr
    assert not load_checkpoint(tmp_path / "run")[0].config.bidirectional


def test_the_same_seed_gives_the_same_weights(run: Run, tmp_path: Path) -> None:
    arguments = ("--text", POLISH, "--corrupt", "lowercase", *TINY, "--epochs", 2, "--seed", 4)
    # The order of sets must not matter; it is random in the first process, and that of 1 here.
    run("hello-train", *arguments, "--output", "one")
    run("hello-train", *arguments, "--output", "two", PYTHONHASHSEED="1")
    one, two = (
        (tmp_path / name / "checkpoint.safetensors").read_bytes() for name in ("one", "two")
    )
    assert one == two


# Bad input: one line that names the fix, and nothing trained or written.


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"", ["the file is empty"]),
        (b"\n\n", ["the file is empty"]),
        (b"\xef\xbb\xbf\n", ["the file is empty"]),
        (
            b"ab\tcd\na\tcdefghijkl\n\tx\nb\tcdefghijk\n",
            [
                "pairs.tsv, line 3: the input is empty, and the target is not (2 more lines cannot "
                "be aligned); make",
                "or leave such lines out with --skip-unaligned",
            ],
        ),
        (b"a\t" + b"b" * 10, ["line 1: character 1 of the input, 'a', would become 10 characters"]),
        (b"ab\tab\nabc\tabc\n", ["2 different lines leaves none"]),
        (b"ab\tcd\n\nabcd\n", ["line 3", "0 tabs"]),
        (b"ab\tcd\tef\n", ["line 1", "2 tabs"]),
        (b"ab\tcd\na\xff\tcd\n", ["line 2", "byte 2 (0xff) is not UTF-8", "iconv"]),
        (b"\t\n", ["there is no line to learn"]),
        (b"ab\tcd\n", ["1 different lines leaves none to evaluate on", "--holdout 0"]),
        (b"aa\tbc\n" + b"a\tb\n" * 9, ["2 different lines leaves none to evaluate on"]),
    ],
)
def test_bad_pairs(run: Run, tmp_path: Path, content: bytes, parts: list[str]) -> None:
    (tmp_path / "pairs.tsv").write_bytes(content)
    place = [] if "different lines" in parts[0] else ["pairs.tsv"]
    assert_one_line_error(run("hello-train", "--pairs", "pairs.tsv"), *place, *parts)
    assert [path.name for path in tmp_path.iterdir()] == ["pairs.tsv"]


def test_bad_text(run: Run, tmp_path: Path) -> None:
    strip = ("--corrupt", "strip-diacritics")
    result = run("hello-train", "--text", "no.txt", *strip)
    assert_one_line_error(result, "no.txt", "No such file")
    (tmp_path / "plain.txt").write_text("no mark in it\nnor here\n")
    result = run("hello-train", "--text", "plain.txt", *strip)
    assert_one_line_error(result, "holding out 0.1 of 2 different lines leaves none to evaluate on")
    result = run("hello-train", "--text", "plain.txt", *strip, "--holdout", 0)
    message = "plain.txt, strip-diacritics: every character is written as it is read, so there is"
    assert_one_line_error(result, message)
    (tmp_path / "eaten.py").write_text("def all(line): return ''")
    result = run("hello-train", "--text", "plain.txt", "--corrupt", "eaten:all")
    message = "plain.txt, line 1: the input is empty, and the target is not (1 more line cannot be"
    assert_one_line_error(result, message, "--skip-unaligned")
    (tmp_path / "empty").mkdir()
    result = run("hello-train", "--text", "empty", *strip)
    assert_one_line_error(result, "empty: there are no files with text in this folder")
    (tmp_path / "one.txt").write_text("ż\nżż\n", encoding="utf-8")
    result = run("hello-train", "--text", "one.txt", *strip, "--holdout", 0)
    assert_one_line_error(result, "of the 1 different characters of the text 1 would be learned")
    result = run("hello-train", "--text", "plain.txt", "--corrupt", "nosuch")
    assert_one_line_error(result, "'nosuch' is none of strip-diacritics", "module:function")
    (tmp_path / "worn.py").write_text("def cut(line): return 'x'\n")
    result = run("hello-train", "--text", "plain.txt", "--corrupt", "worn:cut")
    assert_one_line_error(result, "plain.txt, line 1", "'x', would become 13 char", "--skip-")


def test_a_corruption_of_ones_own_is_imported_last(run: Run, tmp_path: Path) -> None:
    """What lies beside it under the name of a package that is imported does not run."""
    for name in ("torch", "safetensors", "matplotlib", "numpy"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('run by accident')\n")
    (tmp_path / "beside.py").write_text("from torch import Tensor\ndef lower(x): return x.lower()")
    (tmp_path / "mine.py").write_text("from beside import lower\n")
    arguments = ("--text", POLISH, "--corrupt", "mine:lower", *TINY, "--epochs", 1)
    result = run("hello-train", *arguments, "--output", "run")
    assert result.returncode == 0, result.stderr
    assert load_checkpoint(tmp_path / "run")[1].data == "zolw.txt, mine:lower"


def test_a_corruption_that_is_not_there_is_said_at_once(run: Run, tmp_path: Path) -> None:
    """Before PyTorch is imported, which takes seconds."""
    hide("torch", tmp_path / "hidden")
    arguments = ("hello-train", "--text", POLISH, "--corrupt")
    for name in ("nosuch:lower", "no.such:lower"):
        result = run(*arguments, name, PYTHONPATH=str(tmp_path / "hidden"))
        assert_one_line_error(result, f"{name!r} cannot be imported: there is no module 'no")
    (tmp_path / "broken.py").write_text("raise ValueError('of mine')\nnothing = 3\n")
    result = run(*arguments, "broken:lower", PYTHONPATH=str(tmp_path / "hidden"))
    assert_one_line_error(result, "needs torch")
    assert_one_line_error(run(*arguments, "broken:lower"), "cannot be imported: of mine")


def test_a_corruption_leaves_the_places_of_modules_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine_too.py").write_text("upper = str.upper\n")
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    assert find_corruption("mine_too:upper")("a") == "A"
    with pytest.raises(ConfigError, match="has no attribute 'lower'"):
        find_corruption("mine_too:lower")
    assert sys.path == before


def told(command: click.Command, *arguments: object) -> str:
    """Return the error of a command that is run in this process."""
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    return result.stderr


def test_a_corruption_makes_no_surrogates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which no file of the run could hold, at the end of the training."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    (tmp_path / "halves.py").write_text("def half(line): return '\\ud800' + line[1:]\n")
    error = told(main, "--text", "a.txt", "--corrupt", "halves:half")
    assert error == (
        "Error: a.txt, line 1: the corruption made U+D800, a surrogate, which is no character\n"
    )


def test_a_name_that_is_not_utf8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = os.fsdecode(b"caf\xe9")
    (tmp_path / f"{name}.txt").write_text("Ala\nOla\n")
    corrupt = ("--corrupt", "lowercase", "--holdout", 0, "--epochs", 1, *TINY)
    arguments = ["--text", f"{name}.txt", *map(str, corrupt)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    command, folder = shlex.split(result.stdout.splitlines()[-1])
    assert (command, folder) == ("hello-export", r"runs/caf\xe9-gru")
    assert load_checkpoint(tmp_path / folder)[1].data == r"caf\xe9.txt, lowercase"
    assert told(main, "--text", name, *corrupt) == (
        r"Error: cannot read caf\xe9: No such file or directory" + "\n"
    )
    # Libraries of the run and of its export open no such folder.
    for error in (told(main, "--output", name), told(export, folder, "--output", name)):
        assert re.fullmatch(
            r"Error: cannot write \S*caf\\xe9: .* open\S* no name that is not UTF-8; name another "
            r"folder with --output\n",
            error,
        )


def test_an_output_that_cannot_be_written_is_found_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "is not a folder" in told(main, "--output", tmp_path / "file/run")
    page = tmp_path / "run/report.html"
    page.mkdir(parents=True)
    for arguments in ((), ("--compare",), ("--text", POLISH, "--corrupt", "lowercase")):
        assert told(main, "--output", page.parent, *arguments).endswith(
            f"Error: cannot write {page}: it is a folder; move it away\n"
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--pairs", "a", "--text", "b", "--corrupt", "lowercase"], "exclude each other"),
        (
            ["--text", "a"],
            "--text needs --corrupt HOW, to learn to rewrite, or --next, to learn to",
        ),
        (["--corrupt", "lowercase"], "--corrupt belongs to --text"),
        (["--epochs", "1", "--minutes", "1"], "exclude each other"),
        (["--batch-characters", "2"], "--batch-characters needs --text, --pairs or --classes"),
        (["--extra", "a"], "--extra needs --text, --pairs or --classes"),
        (["--resume"], "--resume needs --text, --pairs or --classes"),
        (["--patience", "3"], "--patience needs --text, --pairs or --classes"),
        (["--rare", "0.1"], "--rare needs --text, --pairs or --classes"),
        (["--holdout", "0.1"], "--holdout needs --text, --pairs or --classes"),
        (["--holdout", "1", "--pairs", "a"], "1.0 is not in the range"),
        (["--hidden-size", "0"], "0 is not in the range"),
        (["--learning-rate", "nan"], "nan is not a number to count with"),
        (["--minutes", "inf"], "inf is not a number to count with"),
        (["--holdout", "nan", "--pairs", "a"], "nan is not a number"),
        (["--hidden-size", "100000000"], "100000000 is not in the range"),
        (["--seed", "99999999999999999999"], "is not in the range"),
        (["--learning-rate", "1e38"], "1e+38 is not in the range"),
        (["--cell", "cnn"], "'cnn' is not one of"),
        (["--nonlinearity", "relu"], "--nonlinearity is for --cell rnn"),
        (["--cell", "lstm", "--nonlinearity", "tanh"], "--nonlinearity is for --cell rnn"),
        (["hello"], "unexpected extra argument"),
        (["--compare", "--cell", "gru"], "--compare learns hello with every cell"),
        (["--compare", "--text", "a", "--corrupt", "lowercase"], "--compare learns hello"),
    ],
)
def test_wrong_usage_is_exit_code_2(run: Run, arguments: list[str], message: str) -> None:
    result = run("hello-train", *arguments)
    assert result.returncode == 2
    assert message in result.stderr


@pytest.mark.parametrize(
    ("command", "package"),
    [("hello-train", "torch"), ("hello-train", "matplotlib"), ("hello-export", "torch")],
)
def test_a_missing_package_is_named(run: Run, tmp_path: Path, command: str, package: str) -> None:
    hide(package, tmp_path / "hidden")
    extra = command.removeprefix("hello-")
    result = run(command, PYTHONPATH=str(tmp_path / "hidden"))
    assert_one_line_error(result, f"needs {package}", f"pip install 'hello-rnn[{extra}]'")
    assert run(command, "--help", PYTHONPATH=str(tmp_path / "hidden")).returncode == 0
    assert not (tmp_path / "runs").exists()


def hide(package: str, folder: Path) -> None:
    """Make a package fail to import as if it were not installed."""
    folder.mkdir()
    (folder / f"{package}.py").write_text(
        f"raise ModuleNotFoundError('No module named {package}', name={package!r})\n"
    )
