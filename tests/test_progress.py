"""What a training shows on a terminal and in a log, and what it says at its end."""

from __future__ import annotations

import os
import pty
import re
import signal
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest
from command_server import CommandServer
from hello_runtime.text.score import Score
from hello_train.fit.callbacks import Progress
from hello_train.fit.hello import HELLO_ALPHABETS
from hello_train.fit.loop import Ending
from hello_train.fit.options import TEXT_OPTIONS, TrainOptions, configure
from hello_train.fit.progress import ProgressDisplay
from hello_train.fit.remarks import remarks, simpler_rows_ahead
from hello_train.network.model import Network
from helpers import Run

POLISH = Path(__file__).parent / "data" / "zolw.txt"
LEARN = ("--text", POLISH, "--corrupt", "strip-diacritics", "--hidden-size", "8")
QUICK = ("--epochs", "120", "--learning-rate", "0.01")
"""With these every cell learns hello from its first seed."""
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


Show = Callable[..., str]


@pytest.fixture
def on_a_terminal(tmp_path: Path, servers: Callable[[str], CommandServer]) -> Show:
    """Return a function that returns what a training shows on a terminal."""

    def show(*arguments: object, interrupt_at: str = "\0") -> str:
        """Train, and interrupt the training when it shows something."""
        terminal, slave = pty.openpty()
        server = servers("hello-train")
        training = server.start(arguments, tmp_path, [os.dup(slave), os.dup(slave), slave])
        shown = ""
        while True:
            try:
                shown += os.read(terminal, 4096).decode()
            except OSError:
                break
            if interrupt_at in shown:
                os.kill(training, signal.SIGINT)
                interrupt_at = "\0"
        os.close(terminal)
        server.wait()
        return shown

    return show


def as_lines(shown: str) -> list[str]:
    """Return what stays on a terminal: of each line the last thing that was drawn."""
    plain = re.sub(r"\x1b\[[\d?]*[A-Za-z]", "", shown).replace("\r\n", "\n")
    return [line.split("\r")[-1] for line in plain.split("\n")]


def assert_cursor_visible(shown: str) -> None:
    """Check that what hid the cursor showed it again, once it was done."""
    assert HIDE in shown
    assert SHOW in shown[shown.rindex(HIDE) :]


def test_the_bar_on_a_terminal(on_a_terminal: Show) -> None:
    shown = on_a_terminal("--epochs", "400", "--seed", "1")
    lines = as_lines(shown)
    assert lines[0] == "gru: hello -> ohlol"
    assert re.fullmatch(r"  \[#{16}\]  100%  epoch 400  loss 0\.\d+  'ohlol' *", lines[1])
    assert lines[2] == "hello -> ohlol"
    assert max(len(line) for line in re.split(r"[\r\n]", shown)) < 80 + len(HIDE + SHOW)
    assert_cursor_visible(shown)


def test_a_bar_for_each_cell(on_a_terminal: Show) -> None:
    shown = on_a_terminal("--compare", *QUICK)
    lines = as_lines(shown)
    names = [line for line in lines if line.endswith(": hello -> ohlol")]
    assert names == [f"{cell}: hello -> ohlol" for cell in ("rnn", "gru", "lstm")]
    bars = re.findall(rf"(\w+): hello -> ohlol\r\n\r{re.escape(HIDE)}  \[-{{16}}\]    0%", shown)
    assert bars == ["rnn", "gru", "lstm"]
    assert_cursor_visible(shown)


def test_the_terminal_is_left_as_it_was_when_a_training_ends_early(on_a_terminal: Show) -> None:
    # So small a learning rate changes no character, whatever the weights.
    rate = ("--learning-rate", "1e-9", "--epochs", "60", "--patience", "2", "--seed", "1")
    lines = as_lines(shown := on_a_terminal(*LEARN, *rate, "--holdout", "0.2"))
    assert_cursor_visible(shown)
    assert any(re.match(r"  \[#+-+\] ", line) for line in lines)
    assert "held-out lines        characters       words  exact lines" in lines
    assert any(
        re.match(r"note: the training ended early, after \d+% of its epoch", x) for x in lines
    )


def test_the_terminal_is_left_as_it_was_after_ctrl_c(on_a_terminal: Show) -> None:
    shown = on_a_terminal(*LEARN, "--epochs", "400", interrupt_at="% right")
    assert_cursor_visible(shown)
    assert (
        shown.index(SHOW)
        < shown.index("\nthe same command with --resume")
        < shown.index("Aborted!")
    )


def test_a_log_has_epoch_share_time_and_rate(run: Run) -> None:
    length = ("--epochs", 10, "--holdout", 0.2, "--patience", 20)
    result = run("hello-train", *LEARN, *length)
    opening, *lines = result.stderr.splitlines()
    assert re.fullmatch(
        r"19 lines to learn, 5 held out, on cpu, \d+ threads?( by \w+)?: gru of 8, 10 epochs",
        opening,
    )
    number = r"[\d.e-]+"
    pattern = rf" *(\d+)%  0:\d\d  epoch (\d+)  loss {number}(  {number}% right)?  {number}k? char"
    rows = [match.groups() for line in lines if (match := re.match(pattern, line))]
    first, *shares = [int(share) for share, *_ in rows]
    assert first < 10
    assert shares == list(range(10, 110, 10))
    assert [int(epoch) for _, epoch, _ in rows] == [1, *range(1, 11)]
    assert rows[-1][2]


def test_one_line_is_not_two(run: Run, tmp_path: Path) -> None:
    (tmp_path / "one.tsv").write_text("ab\tba\n")
    result = run("hello-train", "--pairs", "one.tsv", "--holdout", 0, "--epochs", 1)
    opening = result.stderr.splitlines()[0]
    assert opening.startswith("1 line to learn, 0 held out, on cpu, ")
    assert opening.endswith(": gru of 128, 1 epoch")


def test_every_so_many_epochs(run: Run) -> None:
    result = run("hello-train", "--epochs", 400, "--every", 100, "--seed", 1)
    first, *lines = result.stderr.splitlines()
    assert first == "gru: hello -> ohlol"
    assert [line.split("  ")[0] for line in lines] == [f"epoch {n}00" for n in range(1, 5)]
    assert lines[-1].endswith("  'ohlol'")
    assert re.search(r"  loss 0\.\d+  ", lines[-1])
    result = run("hello-train", *LEARN, "--every", 1)
    assert result.returncode == 2
    assert "--every is for hello" in result.stderr


def test_a_coarse_clock(capsys: pytest.CaptureFixture[str]) -> None:
    network = Network(configure(TrainOptions(epochs=1), HELLO_ALPHABETS))
    display = ProgressDisplay()
    display.on_step(Progress(epoch=1, done=0.1, loss=1.0, characters=5, seconds=0.0), network)
    display.on_step(
        Progress(
            epoch=9,
            done=1.0,
            loss=1e-7,
            characters=5000,
            seconds=3700.0,
            threads="2 threads, 1.8 times as fast as 1",
        ),
        network,
    )
    assert capsys.readouterr().err.splitlines() == [
        " 10%  0:00  epoch 1  loss 1  - characters/s",
        "100%  1:01:40  epoch 9  loss 1e-07  1 characters/s  2 threads, 1.8 times as fast as 1",
    ]


# What is said at the end.


OPTIONS = replace(TEXT_OPTIONS, patience=10, minutes=5)


def test_a_good_training_needs_no_remark() -> None:
    assert remarks(Ending(1.0, 3.2, 5), OPTIONS, []) == []
    assert remarks(Ending(1.0, 1.0, 5), OPTIONS, []) == []


def test_what_went_wrong_is_said_in_one_sentence_each() -> None:
    ahead = ["no change", "most frequent target"]
    early, behind = remarks(Ending(0.57, 2.3, 2.85), OPTIONS, ahead)
    assert behind == "the model is not as good as 'no change' and 'most frequent target'"
    assert early == (
        "the training ended early, after 57% of its minutes, because 10 evaluations in a row "
        "brought no gain; let it go on with a larger --patience, or use a lower --learning-rate "
        "than 0.004"
    )
    partly, behind = remarks(Ending(1.0, 0.2, 2.85), OPTIONS, ahead)
    assert partly == (
        "the training saw only 20% of its text; with --minutes 15 it would see all of it, with "
        "a smaller --hidden-size sooner"
    )
    assert behind == (
        "the model is not as good as 'no change' and 'most frequent target'; train it longer, with "
        "--minutes 57 for 4 epochs"
    )


def test_one_evaluation_without_a_gain_is_one() -> None:
    (early,) = remarks(Ending(0.999, 2, 1), replace(OPTIONS, patience=1), [])
    assert "after 99% of its minutes, because 1 evaluation in a row brought" in early


def test_a_model_that_is_right_everywhere_needs_no_remark() -> None:
    assert remarks(Ending(0.57, 2, 1), OPTIONS, [], perfect=True) == []


@pytest.mark.parametrize("epochs", [0.0004, 0.3, 1.0, 2.7, 9.0])
def test_no_remark_names_less_than_was_given(epochs: float) -> None:
    for remark in remarks(Ending(1.0, epochs, 5), OPTIONS, ["no change"]):
        (minutes,) = re.findall(r"--minutes (\S+)", remark)
        assert float(minutes) > 5


def test_a_model_that_saw_all_lines_and_is_behind_shall_train_twice_as_long() -> None:
    (behind,) = remarks(Ending(1.0, 3, 5), OPTIONS, ["order-5 counts"])
    assert behind.endswith("; train it longer, with --minutes 10 for 6 epochs")
    (behind,) = remarks(Ending(1.0, 30, 5), replace(OPTIONS, minutes=None, epochs=30), ["x"])
    assert behind.endswith("; train it longer, with --epochs 60")


def test_patience_that_ended_a_short_training_is_not_all_that_it_needs() -> None:
    """Twenty evaluations of one epoch are soon without a gain; four epochs were enough."""
    short = replace(OPTIONS, minutes=None, epochs=1)
    early, behind = remarks(Ending(0.95, 0.95, 1), short, ["most frequent target"])
    assert "with a larger --patience" in early
    assert behind.endswith("; train it longer, with --epochs 4")
    _, behind = remarks(Ending(0.3, 6, 1), replace(short, epochs=20), ["most frequent target"])
    assert "longer" not in behind  # which would name less than was given


@pytest.mark.parametrize(("model", "ahead"), [(0.9, []), (0.6, ["most frequent target"])])
def test_rules_that_get_more_characters_right_are_ahead(model: float, ahead: list[str]) -> None:
    rows = {"no change": 0.5, "most frequent target": 0.8, "model": model}
    scores = {name: Score(share, None, 0, 10, 0, 1) for name, share in rows.items()}
    assert simpler_rows_ahead(scores) == ahead
    assert simpler_rows_ahead({}) == []


def test_a_run_says_what_went_wrong(run: Run, tmp_path: Path) -> None:
    rate = ("--learning-rate", "1e-9", "--epochs", "60", "--patience", "2", "--seed", "1")
    result = run("hello-train", *LEARN, *rate, "--holdout", "0.2")
    assert result.returncode == 0, result.stderr
    notes = [line for line in result.stderr.splitlines() if line.startswith("note: ")]
    assert notes[0].startswith("note: the training ended early, after ")
    assert notes[1:] == ["note: the model is not as good as 'no change' and 'most frequent target'"]
    page = unescape((tmp_path / "runs/zolw-gru/report.html").read_text("utf-8"))
    for note in notes:
        remark = note.removeprefix("note: ")
        assert f"{remark[0].upper()}{remark[1:]}." in page
