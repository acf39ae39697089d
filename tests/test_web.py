"""The page of docs/page.md with onnxruntime-web, where npm has brought that, in Chromium.

npm install --prefix FOLDER onnxruntime-web
ONNXRUNTIME_WEB=FOLDER/node_modules/onnxruntime-web pytest tests/test_web.py
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from browser import Browser, chromium
from hello_runtime import Decoder
from hello_runtime.model.model_file import locate
from helpers import GOLDEN

PACKAGE = os.environ.get("ONNXRUNTIME_WEB")
PAGE = Path(__file__).parents[1] / "docs" / "page.md"

pytestmark = [
    pytest.mark.skipif(not chromium(), reason="Chromium is not installed"),
    pytest.mark.skipif(not PACKAGE, reason="ONNXRUNTIME_WEB does not name the npm package"),
]


class Quiet(SimpleHTTPRequestHandler):
    """Serves files without a log."""

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """Serve the page of the docs and the package; yield its address."""
    (html,) = re.findall(r"```html\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "page.html").write_text(html, encoding="utf-8")
    (tmp_path / "onnxruntime-web").symlink_to(Path(str(PACKAGE)).resolve())
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path))
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/page.html"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (locate(None, "gru"), "hello"),
        (locate(None, "lstm"), "hello"),
        (GOLDEN / "deep-lstm.onnx", "zolza 😀 lasze"),
    ],
)
def test_the_page_with_onnxruntime_web(model: Path, text: str, served: str, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(model.read_bytes())
    browser = Browser()
    try:
        browser.open(served)
        assert decoded(browser, "hello") == Decoder.open(model, unknown="copy").decode("hello")
        browser.evaluate("input.select()")
        browser.type(text)
        assert decoded(browser, text) == Decoder.open(model, unknown="copy").decode(text)
        browser.evaluate("input.value = ''; input.dispatchEvent(new Event('input'))")
        assert browser.evaluate("output.textContent") == ""
    finally:
        browser.close()


def decoded(browser: Browser, text: str) -> str:
    """Return what the page shows, once it is as long as the text."""
    wait = f"""new Promise((resolve) => {{
        const look = () => Array.from(output.textContent).length === {len(text)}
            ? resolve(output.textContent) : setTimeout(look, 20);
        look();
    }})"""
    return str(browser.evaluate(wait))
