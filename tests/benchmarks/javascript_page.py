"""Measures a page of `--page` beside one with onnxruntime-web (wasm, one thread), in Chromium.

    npm install onnxruntime-web
    python tests/benchmarks/javascript_page.py node_modules/onnxruntime-web [--rounds 7] [--json]

Both pages have the GRU of `hello` and come from a server on this machine. A start is the time from
the request of the page to its first `ohlol`; each round has a new browser, with an empty cache. A
call goes from text to text. The page with onnxruntime-web is that of docs/page.md.
"""

from __future__ import annotations

import json
import re
import statistics
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

import click
from hello_export.page import write_page
from hello_export.proof.javascript import modules_folder
from hello_runtime.model.model_file import locate
from measuring import ROOT, show

sys.path.insert(0, str(ROOT / "tests"))

from browser import Browser

STARTED = """new Promise((resolve) => {
    const look = () => document.querySelector("output")?.textContent === "ohlol"
        ? resolve(performance.now()) : setTimeout(look, 1);
    look();
})"""
CALLS = """(async () => {
    const decode = %s;
    const time = async (calls) => {
        const start = performance.now();
        for (let call = 0; call < calls; call++) {
            const said = decode("hello");
            if ((said instanceof Promise ? await said : said) !== "ohlol") throw new Error(said);
        }
        return (performance.now() - start) / calls * 1000;
    };
    await time(20000); // until both are compiled
    return await time(5000);
})()"""
MODULE = """await (async () => {
    const { load } = await import("/js/hello_rnn.mjs");
    const model = load(await (await fetch("/model.onnx")).arrayBuffer());
    return (text) => model.decode(text);
})()"""
"""How each page decodes: the second has its function in the scope of its script."""


class Quiet(SimpleHTTPRequestHandler):
    """Serves files without a log."""

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def write_site(folder: Path, package: Path) -> None:
    """Write both pages and what they load."""
    model = locate(None, "gru")
    write_page(model, folder / "module.html")
    page = (ROOT / "docs" / "page.md").read_text(encoding="utf-8")
    (html,) = re.findall(r"```html\n(.*?)```", page, re.DOTALL)
    (folder / "web.html").write_text(
        html.replace("</script>", "window.decode = decode;\n</script>")
    )
    (folder / "empty.html").write_text("<!doctype html>")
    (folder / "model.onnx").write_bytes(model.read_bytes())
    (folder / "onnxruntime-web").symlink_to(package.resolve())
    (folder / "js").symlink_to(modules_folder())


def measure(address: str, rounds: int) -> dict[str, list[float]]:
    """Return the milliseconds of the starts, and the microseconds of the calls, of each page."""
    found: dict[str, list[float]] = {}
    decodes = {"module": ("empty", MODULE), "web": ("web", "window.decode")}
    for _ in range(rounds):
        for name, (page, decode) in decodes.items():
            browser = Browser()
            try:
                browser.open(f"{address}/{name}.html")
                found.setdefault(f"{name} start", []).append(browser.evaluate(STARTED))
                browser.open(f"{address}/{page}.html")
                if page == "web":
                    browser.evaluate(STARTED)
                found.setdefault(f"{name} call", []).append(browser.evaluate(CALLS % decode))
            finally:
                browser.close()
    return found


@click.command()
@click.argument("package", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--rounds", default=7, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(package: Path, rounds: int, as_json: bool) -> None:
    """Print the start and the call; PACKAGE is the folder of onnxruntime-web."""
    version = json.loads((package / "package.json").read_text())["version"]
    with TemporaryDirectory() as folder:
        write_site(Path(folder), package)
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
        Thread(target=server.serve_forever, daemon=True).start()
        found = measure(f"http://127.0.0.1:{server.server_port}", rounds)
        server.shutdown()
    rows = []
    for name, unit in (("start", "ms"), ("call", "µs")):
        own, web = (statistics.median(found[f"{engine} {name}"]) for engine in ("module", "web"))
        rows.append({"hello": f"{name}, {unit}", "module": own, "onnxruntime-web": web})
        rows[-1]["times as fast"] = web / own
    show(rows, as_json=as_json, title=f"Chromium, onnxruntime-web {version}")


if __name__ == "__main__":
    main()
