"""A Node process that answers requests with the JavaScript module."""

from __future__ import annotations

import json
import select
import subprocess
from pathlib import Path
from typing import Any

from hello_export.proof.javascript import modules_folder

PATIENCE = 20.0
"""Seconds within which an answer must come."""


class Node:
    """The process; `javascript/answer.mjs` says what a request may have."""

    def __init__(self, modules: Path | None = None) -> None:
        script = Path(__file__).parent / "javascript" / "answer.mjs"
        module = (modules or modules_folder()) / "hello_rnn.mjs"
        self._process = subprocess.Popen(
            ["node", str(script), module.as_uri()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def ask(self, model: Path, **request: Any) -> Any:
        """Return the answer.

        Raises:
            TimeoutError: there is none after `PATIENCE` seconds.
            EOFError: the process has ended.
        """
        assert self._process.stdin
        assert self._process.stdout
        line = json.dumps({"model": str(model), **request})
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], PATIENCE)[0]:
            self._process.kill()
            raise TimeoutError(f"no answer in {PATIENCE} seconds")
        answer = self._process.stdout.readline()
        if not answer:
            raise EOFError(f"Node ended ({self._process.wait()})")
        return json.loads(answer)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()
