"""The report of a run: one file that needs no other, and shows what it was given."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from copy import deepcopy
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch
from hello_runtime.text.pairs import Pair
from hello_runtime.text.score import Score
from hello_train.errors import ReportError
from hello_train.network.cells import CELLS
from hello_train.network.checkpoint import Training
from hello_train.report.gates import certainty, gates
from hello_train.report.history import Evaluation, History, OutputSpan
from hello_train.report.mistakes import Context, Mistake
from hello_train.report.pages import (
    SHOWN_OUTPUTS,
    HelloRun,
    TextRun,
    compare_page,
    hello_page,
    loss_floor,
    text_page,
    write_report,
)
from hello_train.report.slowest import OFTEN, SHOWN, slowest
from helpers import make_network, read_golden

NAMESPACES = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
"""Names that look like addresses and are none."""
VOID = {"meta"}
SCORES = {
    "no change": Score(0.9651, 0.7898, 0.4838, 353384, 47664, 4593),
    "most frequent target": Score(0.9976, 0.9847, 0.8846, 353384, 47664, 4593),
    "model": Score(0.9990, None, 0.9438, 353384, 47664, 4593),
}
SCRIPT = "<script>alert('&')</script>"
MISTAKES = [
    Mistake("o", "ó", "ö", 4123, (Context("z men", "u"), Context("", "wczesny"))),
    Mistake(" ", "\u00a0", "\t", 17, (Context("rozdział", SCRIPT),)),
    Mistake("e", "\u0301", "\ud800", 3, (Context("x\u202ey", "\u0302z\0"),)),
]


class Page(HTMLParser):
    """A page as a browser would read it, with what it must not have."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words = ""
        self.feed(content)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style" and not re.fullmatch(r"\s*\n\s*", data):
            self.words += re.sub(r"\s*\n\s*", " ", data)

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.attributes if key == name]


def foreign(content: str) -> set[str]:
    """Return what in a page would be fetched, or run."""
    page = Page(content)
    addresses = set(re.findall(r"(?:\w+:)?//[^\s\"'<>)]+", content)) - NAMESPACES
    targets = {*page.values("href"), *page.values("xlink:href"), *page.values("src")}
    targets |= set(re.findall(r"url\(([^)]*)\)", content))
    handlers = {name for name, _ in page.attributes if name.startswith("on")}
    tags = {"script", "link", "img", "iframe", "image", "object", "embed"} & set(page.tags)
    imports = set(re.findall("@import", content))
    return (
        addresses
        | tags
        | handlers
        | imports
        | {target for target in targets if not target.startswith("#")}
    )


def evaluation(
    step: int, right: dict[str, tuple[int, int]] | None = None, accuracy: float = 0.99
) -> Evaluation:
    return Evaluation(step, step, 1.0 * step, 1 / step, accuracy, right or {"a": (50, 100)})


def text_run(evaluations: int = 3) -> TextRun:
    return TextRun(
        make_network("lstm", bidirectional=True, guarded=True),
        Training(data=f"pl.txt {SCRIPT}", example="abż", seed=11, characters=3180456),
        History(evaluations=[evaluation(100 * n) for n in range(1, evaluations + 1)]),
        SCORES,
        MISTAKES,
    )


def hello_run(cell: str) -> HelloRun:
    golden = read_golden(f"hello-{cell}")
    history = History(
        losses=[1 / epoch for epoch in range(1, 1001)],
        outputs=[
            OutputSpan(1, 40, "lllll"),
            OutputSpan(41, 41, "ohlol"),
            OutputSpan(42, 1207, "ohlll"),
            OutputSpan(1208, 1300, "ohlol"),
        ],
    )
    return HelloRun(golden.network, golden.training, history, Pair("hello", "ohlol"))


PAGES = ("text", "compare", *CELLS)


@cache
def made(name: str) -> str:
    """Return a page, drawn once for all tests that read it."""
    if name == "text":
        return text_page(text_run())
    runs: dict[str, HelloRun] = {cell: hello_run(cell) for cell in CELLS}
    return compare_page(list(runs.values())) if name == "compare" else hello_page(runs[name])


@pytest.mark.parametrize("name", PAGES)
def test_a_page_needs_nothing_but_itself(name: str) -> None:
    content = made(name)
    assert foreign(content) == set()
    page = Page(content)
    assert {"svg", "table", "h1", "title"} <= set(page.tags)
    assert "default-src 'none'; style-src 'unsafe-inline'" in page.values("content")
    ids = page.values("id")
    assert len(ids) == len(set(ids)) > 0
    assert {target[1:] for target in page.values("xlink:href")} <= set(ids)
    labels = page.values("aria-label")
    assert len(labels) == len(set(labels)) == page.tags.count("svg")


@pytest.mark.parametrize(
    "planted",
    [
        "<script></script>",
        '<img src="a.png"/>',
        '<p style="background: url(a.png)"></p>',
        "<style>@import 'a.css'</style>",
        '<a href="https://example.org">x</a>',
        "<p>https://example.org</p>",
        '<link rel="stylesheet"/>',
        '<b onclick="x()"></b>',
    ],
)
def test_this_check_can_fail(planted: str) -> None:
    assert foreign(made("gru").replace("</main>", planted + "</main>"))


def test_a_page_that_is_no_tree_is_found() -> None:
    with pytest.raises(AssertionError):
        Page(made("gru").replace("</table>", "", 1))


def test_equal_runs_make_equal_pages() -> None:
    assert text_page(text_run()) == made("text")
    assert compare_page([hello_run(cell) for cell in CELLS]) == made("compare")
    other = hello_run("gru")
    other.history.losses[500] = 1.5
    assert hello_page(other) != made("gru")


def test_drawing_changes_no_setting_of_matplotlib() -> None:
    before = dict(matplotlib.rcParams)
    with matplotlib.rc_context({"font.size": 30, "axes.linewidth": 5}):
        assert text_page(text_run()) == made("text")
    assert dict(matplotlib.rcParams) == before


def test_every_score_and_fact_is_told() -> None:
    words = Page(made("text")).words
    for number in ("96.51%", "78.98%", "48.38%", "99.76%", "98.47%", "88.46%", "99.90%", "94.38%"):
        assert number in words
    for count in ("353,384", "47,664", "4,593", "3,180,456"):
        assert count in words
    assert "most frequent target99.76%98.47%88.46%" in words
    assert "model99.90%\u201394.38%" in words  # there was no such word
    assert "1 layer of LSTM, 5 hidden units in each of two directions" in words
    weights = sum(parameter.numel() for parameter in text_run().network.parameters())
    assert f"parameters{weights:,}" in words
    assert "seed11" in words
    assert text_run().network.rewrite("abż") in words


def test_every_mistake_is_told_with_its_context() -> None:
    words = Page(made("text")).words
    assert "oóö4,123z menóuówczesny" in words
    assert "17rozdziałU+00A0" + SCRIPT in words
    assert "U+0020SPACEU+00A0NO-BREAK SPACEU+000917" in words
    assert (
        "\u25cc\u0301COMBINING ACUTE ACCENTU+D8003xU+202Ey\u25cc\u0301\u25cc\u0302zU+0000" in words
    )
    assert made("text").count("<mark>") == sum(len(mistake.contexts) for mistake in MISTAKES)


def test_texts_are_escaped() -> None:
    assert SCRIPT not in made("text")
    assert made("text").count("&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;") == 4
    assert SCRIPT in Page(made("text")).words


@pytest.mark.parametrize("evaluations", [0, 1, 2])
def test_a_short_history(evaluations: int) -> None:
    content = text_page(text_run(evaluations))
    assert foreign(content) == set()
    assert ("It was not evaluated during training." in content) == (evaluations == 0)
    pictures = 2 + 1 if evaluations else 0  # two curves, and that of the one slow character
    assert content.count("<svg ") == pictures


def test_without_held_out_lines() -> None:
    content = text_page(replace(text_run(0), scores={}, mistakes=[]))
    assert "No line was held out" in content
    assert "Mistakes" not in content
    assert "Nothing, on the held-out lines." in text_page(replace(text_run(), mistakes=[]))


def test_remarks_stand_at_the_top_in_one_paragraph() -> None:
    remarks = ["the training ended early; use more --patience", f"it is {SCRIPT}"]
    content = text_page(replace(text_run(), remarks=remarks))
    _, _, after_lead = content.partition('<p class="lead">')
    before = after_lead.partition("<dl>")[0]
    assert before.count("<p ") == 1
    assert Page(f"<p>{before}").words.endswith(
        f"The training ended early; use more --patience. It is {SCRIPT}."
    )
    assert foreign(content) == set()
    assert 'class="remarks"' not in made("text")


def test_an_accuracy_of_all_and_of_none_can_be_drawn() -> None:
    run = text_run()
    ends = [evaluation(1, accuracy=0.0), evaluation(2, accuracy=1.0)]
    content = text_page(replace(run, history=History(evaluations=ends)))
    assert "Held-out characters right, from 0.00% to 100.00%" in content


@pytest.mark.parametrize("cell", CELLS)
def test_the_page_of_hello(cell: str) -> None:
    run, words = hello_run(cell), Page(made(cell)).words
    assert "41 epochsuntil the output was first ohlol. It stayed so from epoch 1,208 on." in words
    for row in ("1\u201340lllll2 of 5", "41ohlol5 of 5", "42\u20131,207ohlll4 of 5"):
        assert row in words
    assert "<b>o</b><b>h</b><b>l</b>l<b>l</b>" in made(cell)
    found = gates(run.network, "hello")
    assert made(cell).count("<svg ") == 1 + len(found)
    for name, values in found.items():
        label = f'aria-label="{run.name}, {name} over hello"'
        picture = made(cell).split(label)[1].split("</svg>")[0]
        shown = re.findall(r">(\u2212?\d\.\d\d)<", picture)
        assert shown == [f"{value:.2f}".replace("-", "\u2212") for value in values.T.flat]
    for column in ("h → o", "e → h", "l → l", "l → o", "o → l"):
        assert column in words


def box(path: str) -> tuple[float, float, float, float]:
    """Return the left, top, right and bottom of a path of SVG."""
    numbers = np.array(re.findall(r"-?[\d.]+", path), float).reshape(-1, 2)
    return (*numbers.min(axis=0).tolist(), *numbers.max(axis=0).tolist())


@pytest.mark.parametrize("cell", CELLS)
def test_what_is_said_is_framed_inside_its_cell(cell: str) -> None:
    """A frame is black as the numbers are, and the page around a picture may be so too."""
    label = f'aria-label="{hello_run(cell).name}, hidden over hello"'
    picture = made(cell).split(label)[1].split("</svg>")[0]
    paths = re.findall(r'<path d="([^"]*)"[^>]*?style="([^"]*)"', picture)
    frames = [box(path) for path, style in paths if "stroke-width: 2.5" in style]
    cells = [box(path) for path, style in paths if "fill: #" in style and "stroke: #fff" in style]
    assert (len(frames), len(cells)) == (5, 4 * 5)
    for left, top, right, bottom in frames:
        within = [
            cell[0] < left - 1.25 and cell[1] < top - 1.25
            and right + 1.25 < cell[2] and bottom + 1.25 < cell[3]
            for cell in cells
        ]  # fmt: skip
        assert sum(within) == 1


@pytest.mark.parametrize("name", PAGES)
def test_outside_of_heat_maps_nothing_has_a_colour_that_the_page_may_have(name: str) -> None:
    pictures = [part.split("</svg>")[0] for part in made(name).split("<svg ")[1:]]
    curves = [picture for picture in pictures if "over hello" not in picture.partition(">")[0]]
    assert curves
    for picture in curves:
        colours = set(re.findall(r"(?:stroke|fill): ([^;\"]+)", picture)) | {"none"}
        assert colours - {cell.colour for cell in CELLS.values()} == {"none", "currentColor"}


@pytest.mark.parametrize("cell", CELLS)
def test_how_sure_a_network_is_and_why_no_surer(cell: str) -> None:
    run, words = hello_run(cell), Page(made(cell)).words
    network = run.network
    ids = torch.tensor([[1, 0, 2, 2, 3]])
    logits = network(ids)[0].tolist()
    shares = [
        math.exp(row[label]) / sum(map(math.exp, row))
        for row, label in zip(logits, [3, 1, 2, 3, 2], strict=True)
    ]
    assert certainty(network, run.pair) == pytest.approx(shares, rel=1e-5)
    for read, right, share in zip("hello", "ohlol", shares, strict=True):
        assert f"{read}{right}{right}{share:.1%}{-math.log(share):.2f}" in words
    mean = sum(-math.log(share) for share in shares) / 5
    assert f"mean{mean:.2f}" in words
    floor = loss_floor(network.config)
    assert floor == pytest.approx(0.3408, abs=1e-4)
    assert mean > 0.3408
    assert "The loss cannot fall below 0.34." in words
    assert (
        "e / (e + 3/e) = 71.1%, and \u2212ln of that is ln(1 + 3 e\u207b\u00b2) = 0.3408" in words
    )
    assert "The dashed line is the lowest possible loss." in words


@pytest.mark.parametrize(
    ("shape", "is_bounded"),
    [
        ({"cell": "rnn", "projection": False}, True),
        ({"cell": "gru", "projection": False, "layers": 2, "unknown": "error"}, True),
        ({"cell": "lstm", "projection": False, "bidirectional": True}, True),
        ({"cell": "rnn", "projection": False, "nonlinearity": "relu"}, False),
        ({"cell": "gru", "projection": True}, False),
        ({"cell": "gru", "projection": False, "guarded": True}, False),
    ],
)
def test_the_floor_of_the_loss(shape: dict[str, Any], is_bounded: bool) -> None:
    """Weights without bounds make hidden values of -1 and 1, and the loss comes to its floor."""
    network = make_network(**shape)
    floor = loss_floor(network.config)
    assert (floor is not None) == is_bounded
    words = Page(text_page(replace(text_run(), network=network))).words
    assert ("The loss cannot fall below" in words) == is_bounded
    if floor is not None:
        best = torch.full((1, network.config.labels), -1.0)
        best[0, 0] = 1.0
        lowest = torch.nn.functional.cross_entropy(best, torch.tensor([0]))
        assert floor == pytest.approx(float(lowest), rel=1e-6)
        with torch.no_grad():
            for weights in network.parameters():
                weights.mul_(50)
            hidden = network(torch.arange(5)[None])
        assert 0.9 < float(hidden.abs().max()) <= 1


def test_a_lost_start_says_so_and_shows_why() -> None:
    run = hello_run("gru")
    network = deepcopy(run.network)
    with torch.no_grad():
        for weights in network.recurrence.parameters():
            weights.zero_()
    said = network.rewrite("hello")
    outputs = [
        OutputSpan(1, 600, "ohlll"),
        OutputSpan(601, 700, "ohlol"),
        OutputSpan(701, 1000, said),
    ]
    history = History(losses=[1 / epoch for epoch in range(1, 1001)], outputs=outputs)
    lost = replace(run, network=network, history=history, starts=20)
    words = Page(hello_page(lost)).words
    assert f"GRU: hello \u2192 {said}, not ohlol" in words
    assert "None of 20 starts learned ohlol; this is the last one." in words
    wrong = sum(a != b for a, b in zip(said, "ohlol", strict=True))
    assert f"The output is {said}, where {wrong} of 5 letters are wrong." in words
    assert "In the last tenth of its 1,000 epochs the loss went from 0.001 to 0.001." in words
    assert f"601 epochsuntil the output was first ohlol. At the end it was {said}." in words
    assert f"25.0%{math.log(4):.2f}" in words
    assert "The loss cannot fall below 0.34." in words
    assert "None of" not in made("gru")
    short = replace(lost, history=History(losses=[1.5], outputs=[OutputSpan(1, 1, said)]))
    assert "its 1 epochs the loss went from 1.500 to 1.500" in Page(hello_page(short)).words


def test_terms_are_explained_where_they_stand() -> None:
    words = Page(made("text")).words
    assert "The share of the held-out characters, words and lines that are right" in words
    assert "of how many353,38447,6644,593" in words
    told = (
        "loss on the training lines, the cross-entropy: the mean of \u2212ln p in nats, "
        "p being the probability of the right character"
    )
    assert told in words
    assert "a projection to 6 logits" in words
    for name in ("gru", "compare"):
        words = Page(made(name)).words
        assert "The loss is the cross-entropy: the mean of \u2212ln p in nats" in words
        assert "which are the 4 logits" in words
        assert "The hidden units are the logits, one for each letter." in words


def test_the_table_of_mistakes_stacks_where_it_is_narrow() -> None:
    """Its last column goes below the four others; what it holds can be broken anywhere."""
    content = made("text")
    (mistakes,) = re.findall(r'<table class="stacked">(.*?)</table>', content, re.DOTALL)
    for row in mistakes.split("<tr>")[1:]:
        assert len(re.findall("<t[dh] ", row)) == 4 + 1
    _, _, narrow = content.partition("@media (max-width: 40rem)")
    assert ".stacked tr { display: grid; grid-template-columns: repeat(4, 1fr);" in narrow
    assert ".stacked tr > :last-child { grid-column: 1 / -1;" in narrow
    assert re.search(r"\.context {[^}]*overflow-wrap: anywhere;", content)
    assert not re.search(r"\.context {[^}]*min-width", content)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["lllll"], "The output never was ohlol."),
        (["ohlol"], "1 epochsuntil the output was first ohlol. It stayed so."),
        (
            ["lllll", "ohlol", "ohlll"],
            "2 epochsuntil the output was first ohlol. At the end it was ohlll.",
        ),
    ],
)
def test_when_it_was_right(texts: list[str], expected: str) -> None:
    outputs = [OutputSpan(epoch, epoch, text) for epoch, text in enumerate(texts, start=1)]
    history = History(losses=[1.0] * len(texts), outputs=outputs)
    assert expected in Page(hello_page(replace(hello_run("rnn"), history=history))).words


def test_without_a_history_there_are_the_gates() -> None:
    content = hello_page(replace(hello_run("rnn"), history=History()))
    assert "Its losses were not kept." in content
    assert content.count("<svg ") == 1


def test_of_many_sayings_the_first_and_last_are_told() -> None:
    run = hello_run("rnn")
    texts = ("lllll", "ohlol")
    outputs = [OutputSpan(epoch, epoch, texts[epoch % 2]) for epoch in range(1, 101)]
    words = Page(hello_page(replace(run, history=History([], [1.0] * 100, outputs)))).words
    assert f"\u2026{100 - SHOWN_OUTPUTS} more" in words
    assert words.count("2 of 5") + words.count("5 of 5") == SHOWN_OUTPUTS


def test_other_shapes_have_a_page_too() -> None:
    pair = Pair("abba", "abba")
    training = Training(data="abba", example="abba", seed=0, characters=4)
    deep = make_network("gru", layers=2, bidirectional=True, hidden_size=20)
    content = hello_page(HelloRun(deep, training, History(), pair))
    assert "Only the first layer and direction is shown." in content
    assert "Only the first 16 units are shown." in content
    assert "The hidden units are the logits" not in content


def test_the_function_of_an_rnn_is_told() -> None:
    relu = replace(hello_run("rnn"), network=make_network("rnn", "relu"), pair=Pair("abba", "abba"))
    assert "h = relu(W x" in hello_page(replace(relu, history=History()))
    assert "h = tanh(W x" in made("rnn")


def test_a_comparison_has_a_column_for_each_in_every_section() -> None:
    sections = made("compare").split("<section>")[1:]
    assert len(sections) == 6
    for section in sections:
        assert re.findall("<h3>(.*?)</h3>", section) == ["RNN", "GRU", "LSTM"]
    assert made("compare").count("<svg ") == 3 + 1 + 4 + 6


def test_the_slowest_are_those_that_were_learned_last() -> None:
    many = 10 * OFTEN
    courses = {
        "early": [1.0, 1.0, 1.0, 1.0],
        "second": [0.5, 0.95, 1.0, 1.0],
        "forgot": [1.0, 1.0, 0.9, 1.0],
        "never": [0.5, 0.9, 0.9, 0.94],
        "worse": [0.1, 0.1, 0.1, 0.1],
    }
    evaluations = [
        evaluation(
            100 * (index + 1),
            {
                **{char: (round(many * course[index]), many) for char, course in courses.items()},
                "rare": (0, OFTEN - 1),
            },
        )
        for index in range(4)
    ]
    found = slowest(evaluations)
    learned = [(one.char, one.learned.step if one.learned else None) for one in found]
    assert learned == [("worse", None), ("never", None), ("forgot", 400), ("second", 200)]
    assert found[1].shares == (0.5, 0.9, 0.9, 0.94)
    assert slowest([]) == []
    crowd = [evaluation(1, {chr(code): (0, many) for code in range(65, 91)})]
    assert [one.char for one in slowest(crowd)] == [chr(65 + n) for n in range(SHOWN)]


def test_a_report_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "run" / "report.html"
    write_report(path, made("text"))
    assert path.read_text(encoding="utf-8") == made("text")
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]
    with pytest.raises(ReportError, match=r"cannot write .*report\.html/report\.html: "):
        write_report(path / "report.html", "")


IMPORT = """
import sys
from hello_train import cli
from hello_train.fit import loop, run, save, task_run
from hello_train.report import gates, slowest
{more}
print("matplotlib" in sys.modules)
"""


@pytest.mark.parametrize(
    ("more", "loaded"), [("", "False"), ("from hello_train.report import pages", "True")]
)
def test_only_a_report_loads_matplotlib(more: str, loaded: str) -> None:
    command = [sys.executable, "-W", "error", "-c", IMPORT.format(more=more)]
    assert (
        subprocess.run(command, capture_output=True, check=True, text=True).stdout == f"{loaded}\n"
    )
