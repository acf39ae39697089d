"""The progress of an export: one line on a terminal, a few lines in a log."""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass

import pytest
from hello_export import progress
from hello_export.progress import Display, duration
from hello_export.proof.cases import grid_cases
from helpers import make_network


class Terminal(io.StringIO):
    """A standard error that is, or is not, a terminal."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@dataclass
class Clock:
    """A clock that a test advances."""

    seconds: float = 100.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(progress, "time", found)
    monkeypatch.setenv("COLUMNS", "80")
    return found


def compare(display: Display, clock: Clock) -> None:
    """Compare two engines on a million characters, a hundredth at a time, in a second each."""
    display.begin(["PyTorch", "tract"], 1_000_000)
    clock.seconds += 60  # to open the files
    for _ in range(100):
        display.advance("tract", 10_000)
        clock.seconds += 1
        display.advance("PyTorch", 10_000)


def test_a_log_has_a_few_lines(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", log := Terminal(terminal=False))
    with Display("reading runs/x") as display:
        display.phase("writing model.onnx and model.pt")
        compare(display, clock)
    assert log.getvalue().splitlines() == [
        "writing model.onnx and model.pt",
        "comparing PyTorch, tract on 1000000 characters",
        "25% compared, about 1 min left, waiting for PyTorch",
        "50% compared, about 50 s left, waiting for PyTorch",
        "75% compared, about 25 s left, waiting for PyTorch",
    ]


def test_a_terminal_has_one_line_from_the_start(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal(terminal=True))
    with Display("reading runs/x") as display:
        assert terminal.getvalue() == f"\r{'reading runs/x':<79}"
        compare(display, clock)
    shown = terminal.getvalue().split("\r")
    assert "\n" not in terminal.getvalue()
    assert {len(line) for line in shown[1:-1]} == {79}
    assert shown[2].rstrip() == "comparing PyTorch, tract on 1000000 characters"
    assert shown[3].rstrip() == "comparing [----------------]   0%, waiting for PyTorch"
    bar = "comparing [########--------]  50%, about 50 s left, waiting for PyTorch"
    assert bar in [line.rstrip() for line in shown]
    assert [line.strip() for line in shown[-2:]] == ["", ""]


def test_an_export_shows_no_time_left(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """It compares one grid, whose cases have from one character to 34,000."""
    monkeypatch.setattr(sys, "stderr", terminal := Terminal(terminal=True))
    grid = [case.characters for case in grid_cases(make_network().config)]
    with Display("reading") as display:
        display.begin(["PyTorch"], sum(grid))
        for characters in grid:
            clock.seconds += 1
            display.advance("PyTorch", characters)
    assert "100%" in terminal.getvalue()
    assert "left" not in terminal.getvalue()


def test_a_line_is_gone_when_something_fails(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal(terminal=True))
    with pytest.raises(KeyboardInterrupt), Display("reading"):
        raise KeyboardInterrupt
    assert terminal.getvalue().endswith(f"\r{'':79}\r")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "1 s"), (59.4, "59 s"), (90, "2 min"), (7200, "2 h")]
)
def test_a_time_in_words(seconds: float, text: str) -> None:
    assert duration(seconds) == text
