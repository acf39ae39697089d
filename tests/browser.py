"""Headless Chromium, asked by the DevTools protocol over a pipe."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PATIENCE = 60.0
"""Seconds within which an answer must come."""


OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe")
"""Chromium refuses its sandbox to root, and the pages are our own."""
LAUNCH = """
import os, sys
requests, answers, *command = sys.argv[1:]
given = os.dup(int(requests)), os.dup(int(answers))
for descriptor, place in zip(given, (3, 4)):
    os.dup2(descriptor, place)
    os.set_inheritable(place, True)
os.execvp(command[0], command)
"""
"""The process that becomes Chromium, which reads requests from descriptor 3 and answers on 4."""


def chromium() -> str | None:
    """Return the command of Chromium, or None where there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Browser:
    """A Chromium with one page."""

    def __init__(self) -> None:
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        requests, self._requests = os.pipe()
        self._answers, answers = os.pipe()
        options = (*OPTIONS, f"--user-data-dir={self._profile.name}", "about:blank")
        self._process = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, *map(str, (requests, answers, chromium())), *options],
            pass_fds=(requests, answers),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(requests)
        os.close(answers)
        self._received = b""
        self._count = 0
        self.events: list[dict[str, Any]] = []
        """What happened in the page, in order."""
        self._session: dict[str, str] = {}
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": attached["sessionId"]}
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: Any) -> Any:
        """Return the result of a method of the protocol."""
        self._count += 1
        request = {"id": self._count, "method": method, "params": parameters, **self._session}
        os.write(self._requests, json.dumps(request).encode() + b"\0")
        while True:
            message = self._next_message()
            if message.get("id") == self._count:
                assert "error" not in message, message
                return message["result"]
            self.events.append(message)

    def open(self, page: str) -> None:
        """Open a page, and wait until it is loaded."""
        self.events.clear()
        self.ask("Page.navigate", url=page)
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next_message())

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression, or of its promise."""
        result = self.ask(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def type(self, text: str) -> None:
        """Type a text, key by key; what a keyboard lacks is inserted as an input method does."""
        for char in text:
            if char.isascii():
                key = {"text": "\r" if char == "\n" else char, "key": char}
                self.ask("Input.dispatchKeyEvent", type="keyDown", **key)
                self.ask("Input.dispatchKeyEvent", type="keyUp", key=char)
            else:
                self.ask("Input.insertText", text=char)

    def look(self, *, width: int, height: int, dark: bool) -> None:
        """Set the size of the window, and whether the user likes it dark."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self) -> bytes:
        """Return a PNG of the window."""
        return base64.b64decode(self.ask("Page.captureScreenshot")["data"])

    def close(self) -> None:
        """End Chromium, with the processes that it has started."""
        self._session = {}
        try:
            self.ask("Browser.close")
            self._process.wait(PATIENCE)
        except (EOFError, OSError, TimeoutError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        os.close(self._requests)
        os.close(self._answers)
        self._profile.cleanup()

    def _next_message(self) -> Any:
        while b"\0" not in self._received:
            if not select.select([self._answers], [], [], PATIENCE)[0]:
                raise TimeoutError(f"Chromium gave no answer in {PATIENCE} seconds")
            received = os.read(self._answers, 1 << 16)
            if not received:
                raise EOFError(f"Chromium ended ({self._process.wait()})")
            self._received += received
        message, _, self._received = self._received.partition(b"\0")
        return json.loads(message)


def main() -> None:
    """Write screenshots of a page: `python tests/browser.py PAGE FOLDER [TEXT]`."""
    page, folder, *text = sys.argv[1:]
    browser = Browser()
    for width, height in ((1200, 620), (380, 760)):
        for dark in (False, True):
            browser.look(width=width, height=height, dark=dark)
            browser.open(Path(page).resolve().as_uri())
            browser.type("".join(text))
            name = f"{width}-{'dark' if dark else 'light'}.png"
            Path(folder, name).write_bytes(browser.screenshot())
    browser.close()


if __name__ == "__main__":
    main()
