"""Runs `worker.py` on files, and says what came of each: a crash and a hang are outcomes."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

PATIENCE = 600.0
"""Seconds that a step may take, such as compiling a file."""

Steps = dict[str, dict[str, Any]]
"""What came of a file, by step: `open`, then the cases. It is what `worker.py` says, or
`{"ended": ...}` with what ended the process."""
Verdict = Literal["right", "wrong", "fails", "ends", "refused"]


def try_engine(
    python: str, adapter: str, files: Sequence[Path], folder: Path, patience: float = PATIENCE
) -> dict[str, Steps]:
    """Try an engine on files, and go on behind one that ends the process.

    Args:
        python: the command of its Python.
        adapter: what `worker.py` calls it.
        files: their npz files lie beside them.
        folder: where it runs; Node looks there for packages.
        patience: seconds without an answer that end it.

    Raises:
        RuntimeError: it ends before it opens a file.
    """
    found: defaultdict[str, Steps] = defaultdict(dict)
    rest = list(files)
    while rest:
        last, ended = follow(python, adapter, rest, folder, patience, found)
        if not ended:
            break
        if "result" not in last:
            found[last["file"]][last["step"]] = {"ended": ended}
        rest = rest[[file.stem for file in rest].index(last["file"]) + 1 :]
    return dict(found)


def follow(
    python: str,
    adapter: str,
    files: Sequence[Path],
    folder: Path,
    patience: float,
    found: dict[str, Steps],
) -> tuple[dict[str, Any], str]:
    """Run a worker, and note what it says; return its last line, and what ended it, or ""."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    worker = str(Path(__file__).with_name("worker.py"))
    last: dict[str, Any] = {}
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [python, worker, adapter, *map(str, files)],
            bufsize=0,  # so that `select` sees all that there is
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=folder,
            env={**environment, "OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )
        assert process.stdout
        while select.select([process.stdout], [], [], patience)[0]:
            line = process.stdout.readline()
            if not line:
                break
            last = json.loads(line)
            found[last["file"]][last["step"]] = last.get("result", {})
        else:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return last, f"no answer in {patience:.0f} s"
        process.communicate()
        if not last:
            errors.seek(0)
            raise RuntimeError(errors.read().decode(errors="replace").strip()[-500:])
    code = process.returncode
    if code < 0:
        return last, signal.Signals(-code).name
    return last, f"exit code {code}" if code or "result" not in last else ""


def judge(steps: Steps) -> Verdict:
    """Return what came of a file, the worst first."""
    results = list(steps.values())
    if "error" in steps["open"]:
        return "refused"
    if any("wrong" in result for result in results):
        return "wrong"
    if any("ended" in result for result in results):
        return "ends"
    compared = any("difference" in result for result in results)
    return "fails" if any("error" in result for result in results) or not compared else "right"


def reason(steps: Steps) -> str:
    """Return the first step that was not right, and what it gave."""
    for step, result in steps.items():
        for kind in ("wrong", "ended", "error"):
            if kind in result:
                return f"{step}: {' '.join(str(result[kind]).split())}"
    return ""
