"""The page with a model inside: typed into in Chromium, and written whole or not at all."""

from __future__ import annotations

import errno
import gzip
import re
import subprocess
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import onnx
import pytest
from browser import Browser, chromium
from hello_export.errors import PageError
from hello_export.graph.onnx_graph import build_model
from hello_export.page import bundled, write_page
from hello_export.proof.engines import OnnxRuntime
from hello_export.proof.javascript import JavaScript, node_version
from hello_runtime import Decoder
from hello_runtime.errors import ModelFileError
from hello_runtime.model.model_file import locate
from hello_runtime.text import files
from helpers import (
    GOLDEN,
    SHORT_PROOF,
    TRAINING,
    Export,
    Run,
    assert_one_line_error,
    make_network,
    save_run,
)

in_chromium = pytest.mark.skipif(not chromium(), reason="Chromium is not installed")
HELLO = locate(None, "gru")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    started = Browser()
    yield started
    started.close()


def write_model(folder: Path, **shape: Any) -> Path:
    file = folder / "model.onnx"
    onnx.save(build_model(make_network(**shape), TRAINING), file)
    return file


def open_page(browser: Browser, model: Path, folder: Path) -> None:
    """Write the page of a model and open it from the disk."""
    page = folder / "page.html"
    write_page(model, page)
    browser.open(page.as_uri())


def assert_quiet(browser: Browser) -> None:
    """Check that the page threw nothing, said nothing on the console, and fetched nothing."""
    methods = [event["method"] for event in browser.events]
    assert "Runtime.exceptionThrown" not in methods
    assert not [each for each in browser.events if each["method"] == "Log.entryAdded"]
    assert methods.count("Network.requestWillBeSent") == 1  # the page itself


def shown(browser: Browser) -> str:
    return str(browser.evaluate("document.querySelector('output').textContent"))


def marked(browser: Browser) -> list[str]:
    script = "Array.from(document.querySelectorAll('output mark'), (mark) => mark.textContent)"
    return list(browser.evaluate(script))


def note(browser: Browser) -> str:
    return str(browser.evaluate("document.querySelector('#note').textContent"))


@in_chromium
def test_hello_is_decoded_as_one_types(browser: Browser, tmp_path: Path) -> None:
    open_page(browser, HELLO, tmp_path)
    assert (shown(browser), note(browser)) == ("ohlol", "")
    said = []
    for char in "hello":
        browser.type(char)  # the first takes the place of the example
        said.append(shown(browser))
    assert said == ["o", "oh", "ohl", "ohlo", "ohlol"]
    assert_quiet(browser)


@in_chromium
@pytest.mark.parametrize("kind", ["rnn", "relu", "gru", "lstm"])
def test_a_text_of_several_lines(kind: str, browser: Browser, tmp_path: Path) -> None:
    model = GOLDEN / f"deep-{kind}.onnx"
    open_page(browser, model, tmp_path)
    lines = ["zolza sala", "", "lasze 😀 oszalela", "a"]
    browser.type("\n".join(lines))
    assert shown(browser).split("\n") == Decoder.open(model).decode_batch(lines)
    assert (marked(browser), note(browser)) == ([], "")
    assert_quiet(browser)


@in_chromium
@pytest.mark.parametrize("unknown", ["error", "copy"])
def test_an_unknown_character_is_copied_and_marked(
    unknown: Any, browser: Browser, tmp_path: Path
) -> None:
    model = write_model(tmp_path, unknown=unknown)
    open_page(browser, model, tmp_path)
    browser.type("ab🦀<b>")
    expected = Decoder.open(model, unknown="copy").decode("ab🦀<b>")
    assert shown(browser) == expected
    assert marked(browser) == ["🦀<", ">"]
    strangers = ["🦀", "U+1F980", "<", "U+003C", ">", "U+003E"]
    words, _, named = note(browser).partition(": ")
    assert words == "Not in the alphabet, copied"
    assert named.split() == strangers
    browser.type("0123456789")
    assert note(browser).split()[-2:] == ["5", "more"]
    assert_quiet(browser)


@in_chromium
def test_an_unknown_character_with_a_label_is_marked(browser: Browser, tmp_path: Path) -> None:
    model = write_model(tmp_path, unknown="label")
    open_page(browser, model, tmp_path)
    browser.type("a🦀b")
    expected = Decoder.open(model).decode("a🦀b")
    assert shown(browser) == expected
    assert marked(browser) == [expected[1]]
    assert note(browser).startswith("Not in the alphabet, read as one unknown character: 🦀")


@in_chromium
def test_labels_of_several_characters(browser: Browser, tmp_path: Path) -> None:
    model = write_model(tmp_path, labels="width 5", seed=1)
    open_page(browser, model, tmp_path)
    browser.type("abaż\u0301b😀a")
    assert shown(browser) == Decoder.open(model).decode("abaż\u0301b😀a")
    assert_quiet(browser)


@in_chromium
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_classifier_gives_each_line_a_class(
    bidirectional: bool, browser: Browser, tmp_path: Path
) -> None:
    model = write_model(tmp_path, task="classify", bidirectional=bidirectional, unknown="error")
    open_page(browser, model, tmp_path)
    browser.type("abab\n\nż😀a")
    rows = Decoder.open(model).classify_batch(["abab", "", "ż😀a"])
    expected = [row.label and f"{row.label}  {100 * row.confidence:.0f} %" for row in rows]
    assert shown(browser).split("\n") == expected
    assert_quiet(browser)
    browser.type("?")
    assert shown(browser) == ""
    alphabet = Decoder.open(model).info.input_alphabet
    assert note(browser) == f'Character 4 is "?", and the model reads only these: {alphabet}'
    assert_quiet(browser)


@in_chromium
def test_a_text_is_continued(browser: Browser, tmp_path: Path) -> None:
    model = write_model(tmp_path, task="next", unknown="label")
    open_page(browser, model, tmp_path)
    decoder = Decoder.open(model)
    browser.type("ab")
    drawn = decoder.generate("ab", 200, temperature=0.8, seed=1)
    assert shown(browser) == "ab" + "".join(drawn)
    browser.evaluate("seed.value = 7; characters.value = 30; temperature.value = 0")
    browser.evaluate("seed.dispatchEvent(new Event('input', { bubbles: true }))")
    drawn = decoder.generate("ab", 30, temperature=0, seed=7)
    assert shown(browser) == "ab" + "".join(drawn)
    assert_quiet(browser)


@in_chromium
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1200, 380])
def test_it_fits_the_window_and_can_be_read(
    width: int, dark: bool, browser: Browser, tmp_path: Path
) -> None:
    browser.look(width=width, height=700, dark=dark)
    open_page(browser, HELLO, tmp_path)
    browser.type("hello " * 40 + "w" * 200)
    page = "document.documentElement"
    assert browser.evaluate(f"{page}.scrollWidth === {page}.clientWidth")
    script = "const at = (id) => document.getElementById(id).getBoundingClientRect();"
    beside = browser.evaluate(f"{script} at('input').right < at('output').left")
    assert beside == (width > 1000)
    for element in ("h1", "p", "textarea", "output", "output mark", "#note"):
        assert contrast(browser, element) > 4.5, element
    assert len(browser.screenshot()) > 10_000


def contrast(browser: Browser, element: str) -> float:
    """Return the contrast of an element's text and ground (WCAG 2.2, 1.4.3)."""
    script = f"""(() => {{
        let node = document.querySelector({element!r});
        const ink = getComputedStyle(node).color;
        const clear = (node) => getComputedStyle(node).backgroundColor === "rgba(0, 0, 0, 0)";
        while (clear(node)) node = node.parentElement;
        return [ink, getComputedStyle(node).backgroundColor];
    }})()"""
    lights = []
    for colour in browser.evaluate(script):
        red, green, blue = (int(part) / 255 for part in re.findall(r"\d+", colour)[:3])
        linear = [
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (red, green, blue)
        ]
        lights.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    dark, light = sorted(lights)
    return (light + 0.05) / (dark + 0.05)


def linear(part: float) -> float:
    """Return the light of a colour's part, which sRGB stores compressed."""
    light: float = part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
    return light


@in_chromium
def test_a_damaged_model_in_a_page_is_a_sentence(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    write_page(HELLO, page)
    page.write_text(re.sub(r'(;base64">.{4000})[^<]*', r"\1", page.read_text("utf-8")), "utf-8")
    browser.open(page.as_uri())
    assert note(browser).startswith("No model of hello-export, or cut off, or damaged")
    browser.type("hello")
    assert shown(browser) == ""


def test_the_page_of_hello_is_small(tmp_path: Path) -> None:
    write_page(HELLO, tmp_path / "page.html")
    assert len(gzip.compress((tmp_path / "page.html").read_bytes())) < 20_000


def test_the_names_in_a_model_are_text(tmp_path: Path) -> None:
    """Whoever trains a model cannot put a script into its page."""
    hostile = "</script><script>alert(1)</script>&'\""
    training = type(TRAINING)(data=hostile, example=hostile, seed=0, characters=0)
    file = tmp_path / "model.onnx"
    onnx.save(build_model(make_network(), training), file)
    write_page(file, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert page.count("<script") == page.count("</script") == 2
    assert escape(hostile).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in page


@pytest.mark.parametrize(
    ("source", "title"),
    [
        ({"file": "upper.pt", "sha256": "0"}, "GRU of upper.pt"),
        ({"module": "nets.Upper"}, "GRU of nets.Upper"),
        ({}, "GRU of hello-rnn"),
    ],
)
def test_a_network_from_outside_has_the_name_that_it_came_with(
    tmp_path: Path, source: dict[str, str], title: str
) -> None:
    training = type(TRAINING)(data=None, example="a", seed=None, characters=None, source=source)
    onnx.save(build_model(make_network("gru"), training), tmp_path / "model.onnx")
    write_page(tmp_path / "model.onnx", tmp_path / "page.html")
    assert f"<h1>{title}</h1>" in (tmp_path / "page.html").read_text("utf-8")


def test_the_modules_are_one_without_imports(tmp_path: Path) -> None:
    source = bundled()
    assert not re.search(r"^(import|export)\b|@import", source, re.MULTILINE)
    if node_version():
        (tmp_path / "bundled.mjs").write_text(source, encoding="utf-8")
        subprocess.run(["node", "--check", tmp_path / "bundled.mjs"], check=True)


def test_a_page_that_cannot_be_written_is_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "open_whole", full)
    with pytest.raises(PageError, match=r"cannot write .*page.html: No space left on device"):
        write_page(HELLO, tmp_path / "page.html")


def test_a_page_takes_the_place_of_a_page_and_of_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    write_page(HELLO, page)
    first = page.read_bytes()
    write_page(locate(None, "lstm"), page)
    assert page.read_bytes() != first
    page.write_text("<!doctype html><p>mine")
    with pytest.raises(PageError, match=r"page.html: it is no page of hello-export; name another"):
        write_page(HELLO, page)
    assert page.read_text() == "<!doctype html><p>mine"
    with pytest.raises(PageError, match=r"there is no folder .*; make it first"):
        write_page(HELLO, tmp_path / "none" / "page.html")
    (tmp_path / "model.onnx").write_bytes(HELLO.read_bytes()[:3000])
    with pytest.raises(ModelFileError):
        write_page(tmp_path / "model.onnx", tmp_path / "other.html")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "page.html"]


def test_the_command_writes_a_page(run: Run, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    checkpoint = (GOLDEN / "hello-gru.safetensors").read_bytes()
    (tmp_path / "run" / "checkpoint.safetensors").write_bytes(checkpoint)
    result = run("hello-export", "run", "--page", "hello.html", **SHORT_PROOF)
    assert result.returncode == 0, result.stderr
    size = (tmp_path / "hello.html").stat().st_size
    assert result.stdout.splitlines()[-1] == (
        f"saved hello.html, {size} bytes: open it in a browser"
    )
    assert ("note: the JavaScript" in result.stderr) == (not node_version())
    (tmp_path / "mine.html").write_text("mine")
    result = run("hello-export", "run", "--page", "mine.html")
    assert_one_line_error(result, "cannot write mine.html: it is no page of hello-export")
    result = run("hello-export", "--verify", "run/artifact", "--page", "hello.html")
    assert result.returncode == 2


def test_without_node_its_row_and_the_command_say_so(
    export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("hello_export.proof.installed.ENGINES", (OnnxRuntime, JavaScript))
    save_run(make_network(), tmp_path / "run")
    result = export("run", "--page", "page.html")
    assert (
        "JavaScript was not compared: it needs Node 18 or later, which is not installed"
        in result.stdout
    )
    assert (
        "note: the JavaScript of the page was not compared: it needs Node 18 or later, which"
        in result.stderr
    )
    assert (tmp_path / "page.html").exists()
