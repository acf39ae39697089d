"""Measures the memory of `hello-infer` on a file that is one long line.

    python tests/benchmarks/one_line.py [--largest 50] [--json]

Memory is that above `hello-infer hello`, in multiples of the file. Each row has another network,
text or option on which it might depend. A network that rewrites takes the same memory for a line
whatever its size, so a small one makes this quick; that of a classifier grows with it, so its line
is a hundredth of the others.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import click
import torch
from hello_runtime.model.labels import alphabet_labels
from hello_runtime.text.edits import KEEP
from hello_train.network.config import ModelConfig
from hello_train.network.model import Network
from measuring import MB, run_process, show
from networks import save

POLISH = "abcdeąćęłż "
KINDS = {
    "ASCII": ("abcdefgh ", ""),
    "Polish": (POLISH, ""),
    "one emoji": ("abcdefgh ", "😀"),
    "emoji all through": ("abcdefgh 😀", ""),
    "Korean": ("가나다라한글각힣", ""),
    "Greek, accented": ("\u0390\u03b0", ""),
    "Hindi, dotted": ("\u0958\u0959\u095f", ""),
    "Polish in NFD": (("a", "c", "e", "z\u0307", "o\u0301"), ""),
}
"""Of each kind of text the characters that it is drawn from, and what stands at its end. A normal
form makes the Greek and the Korean three times as long, and the Hindi twice."""
GROWING = ((KEEP,), (KEEP, *"-------"), tuple("abcdefgh"))


SMALL = ModelConfig(
    cell="rnn",
    input_alphabet="".join(dict.fromkeys("abcdefgh " + POLISH)),
    output_labels=alphabet_labels("abcdefghłż "),
    embedding_dim=4,
    hidden_size=4,
    layers=1,
    bidirectional=False,
    projection=True,
    unknown="copy",
    guard=None,
)
"""A causal network that reads and writes ASCII and Polish letters; it copies an emoji."""


class Case(NamedTuple):
    """A row of the table."""

    name: str
    kind: str
    changes: Mapping[str, Any]
    """Of the small network."""
    options: tuple[str, ...] = ()
    """Of the command."""
    share: float = 1
    """Of the longest line's bytes."""


TWO = {"bidirectional": True}
NFC, NFD = TWO | {"normalization": "nfc"}, TWO | {"normalization": "nfd"}
LABELS = {"task": "classify", "classes": ("x", "y"), "output_labels": (), "unknown": "label"}
WIDE = {"cell": "lstm", "hidden_size": 32}
WIDER = {"cell": "gru", "embedding_dim": 64, "hidden_size": 64, "layers": 2}
CASES = [
    *[Case("causal", kind, {}) for kind in KINDS],
    *[Case("two directions", kind, TWO) for kind in KINDS],
    Case("it composes (NFC)", "Polish in NFD", NFC),
    Case("it composes (NFC)", "Hindi, dotted", NFC),
    *[Case("it decomposes (NFD)", kind, NFD) for kind in ("Polish", "Korean", "Greek, accented")],
    Case("--unknown copy", "one emoji", TWO | {"unknown": "error"}, ("--unknown", "copy")),
    Case("labels of up to 8 characters", "one emoji", {"output_labels": GROWING}),
    Case("such labels, two directions", "one emoji", TWO | {"output_labels": GROWING}),
    Case("--json", "one emoji", {}, ("--json",)),
    Case("--json, two directions", "one emoji", TWO, ("--json",)),
    Case("--json, it decomposes", "Greek, accented", NFD, ("--json",)),
    Case("a classifier", "ASCII", LABELS, share=0.01),
    Case("a classifier, LSTM of 32", "ASCII", LABELS | TWO | WIDE, share=0.01),
    Case("a classifier, 2 GRU of 64", "ASCII", LABELS | TWO | WIDER, share=0.01),
]


def write_line(path: Path, kind: str, size: float) -> None:
    """Write one line of about `size` bytes."""
    letters, last = KINDS[kind]
    part = "".join(random.Random(0).choices(letters, k=10_000)).encode()
    with path.open("wb") as file:
        for _ in range(max(1, round(size / len(part)))):
            file.write(part)
        file.write(last.encode())


@click.command()
@click.option("--largest", default=50, show_default=True, help="MB of the longest line.")
@click.option("--only", default="", help="Only the rows whose network has this in its name.")
@click.option("--json", "as_json", is_flag=True)
def main(largest: int, only: str, as_json: bool) -> None:
    """Print a row for each case, with a fifth of the line as well, for the slope."""
    base = run_process(["hello-infer", "hello"]).peak_mb
    rows = []
    with tempfile.TemporaryDirectory() as name:
        source, target, model = (Path(name) / part for part in ("text.txt", "out.txt", "model"))
        for case in CASES:
            if only not in case.name:
                continue
            torch.manual_seed(0)
            save(Network(replace(SMALL, **case.changes)).eval(), model)
            lengths, above, seconds = [], [], 0.0
            for size in (largest / 5, largest):
                write_line(source, case.kind, case.share * size * MB)
                files: list[str | Path] = ["--input", source, "--output", target]
                process = run_process(["hello-infer", "--model", model, *files, *case.options])
                lengths.append(source.stat().st_size / MB)
                above.append(process.peak_mb - base)
                seconds = process.seconds
            rows.append(
                {
                    "network": case.name,
                    "text": case.kind,
                    "line, MB": lengths[1],
                    "written, MB": target.stat().st_size / MB,
                    "seconds": seconds,
                    "MB above hello": above[1],
                    "times the line": above[1] / lengths[1],
                    "slope": (above[1] - above[0]) / (lengths[1] - lengths[0]),
                }
            )
    show(rows, as_json=as_json, title="One line, RNN of 4", packages=["onnxruntime"])


if __name__ == "__main__":
    main()
