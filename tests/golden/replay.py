"""Replays the golden texts on this environment's onnxruntime; it needs neither torch nor pytest.

    python tests/golden/replay.py [PROVIDER]

Each ONNX file is opened by a bare session on the CPU, and by the runtime of this project on
PROVIDER (cpu), and held against what eager PyTorch said when the files were written. Exit code 1 if
one says something else.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from hello_runtime import Decoder
from hello_runtime.model.model_file import locate
from numpy.typing import NDArray

GOLDEN = Path(__file__).parent
TOLERANCE = 1e-5
TEMPERATURE, SEED = 0.8, 7
"""How characters were drawn."""
KINDS = ("rnn", "relu", "gru", "lstm")
TASKS = ("next", "classify")
"""Networks that do not rewrite."""
TEXTS = {
    **{f"hello-{cell}": 1 for cell in ("rnn", "gru", "lstm")},
    **{f"deep-{kind}": 12 for kind in KINDS},
    **{f"tall-{kind}": 12 for kind in (*KINDS, "float16", "int8")},
    **{f"{shape}-{kind}": 12 for shape in ("wide", *TASKS) for kind in ("gru", "lstm")},
}
"""How many texts each network has."""
OLD = tuple(f"0.1.0/{name}" for name in TEXTS if not name.startswith(("wide", *TASKS)))
"""Files of the same networks that version 0.1.0 wrote; they stay as they are, and must open."""


class GoldenError(Exception):
    """An engine does not say what PyTorch said."""


def model_file(name: str) -> Path:
    """Return the ONNX file of a golden network, or an old one."""
    shape, _, kind = name.partition("-")
    return locate(None, kind) if shape == "hello" else GOLDEN / f"{name}.onnx"


def read_rows(name: str) -> list[dict[str, Any]]:
    """Return what PyTorch said of each text of a network."""
    network = name.rpartition("/")[2]
    content = json.loads((GOLDEN / f"{network}.json").read_text(encoding="utf-8"))
    rows: list[dict[str, Any]] = content["rows"]
    if len(rows) != TEXTS[network]:
        raise GoldenError(f"{network} has {len(rows)} texts, not {TEXTS[network]}")
    return rows


def replay(name: str, rows: list[dict[str, Any]], provider: str = "cpu") -> float:
    """Return the largest difference of any number of a network, over all its texts.

    Raises:
        GoldenError: a number differs by more than the tolerance, or a text at all.
    """
    session = onnxruntime.InferenceSession(
        str(model_file(name)), providers=["CPUExecutionProvider"]
    )
    decoder = Decoder.open(model_file(name), provider)
    say = {"rewrite": rewritten, "classify": classified, "next": continued}[decoder.info.task]
    worst = 0.0
    for row in rows:
        numbers, is_right = say(session, decoder, row)
        for tensor, found in numbers:
            difference = float(np.abs(found - np.array(row[tensor], np.float32)).max())
            if not difference <= TOLERANCE:
                raise GoldenError(
                    f"{name} differs in {tensor} by {difference:.3g}: {row['text']!r}"
                )
            worst = max(worst, difference)
        if not is_right:
            raise GoldenError(f"{name} decodes otherwise: {row['text']!r}")
    return worst


Said = tuple[list[tuple[str, NDArray[Any]]], bool]
"""Numbers of a row by the name of their tensor, and whether its texts are the right ones."""


def rewritten(session: Any, decoder: Decoder, row: dict[str, Any]) -> Said:
    """Return what the engine and the runtime say of a line that is rewritten."""
    decoded, confidence, logits = run(session, row["text"])
    annotation = decoder.annotate_batch([row["text"]])[0]
    numbers = [
        ("confidence", confidence),
        ("logits", logits),
        ("confidence", annotation.confidence),
    ]
    return numbers, text_of(decoded) == annotation.text == row["decoded"]


def classified(session: Any, decoder: Decoder, row: dict[str, Any]) -> Said:
    """Return what both say of a line that has a class."""
    label, confidence, logits = run(session, row["text"])
    found = decoder.classify(row["text"])
    numbers = [
        ("confidence", confidence),
        ("logits", logits),
        ("confidence", np.array(found.confidence)),
    ]
    return numbers, decoder.info.classes[label] == found.label == row["label"]


def continued(session: Any, decoder: Decoder, row: dict[str, Any]) -> Said:
    """Return what both say of a text that goes on."""
    count = len(row["drawn"])
    drawn = decoder.generate(row["text"], count, temperature=TEMPERATURE, seed=SEED)
    return [("logits", run(session, row["text"])[0])], "".join(drawn) == row["drawn"]


def run(session: Any, text: str) -> list[NDArray[Any]]:
    """Return the outputs of a text, without the axis of the batch.

    They are decoded [time] or [time, width], confidence [time] and logits [time, labels]; of a
    classifier label [], confidence [] and logits [labels]; of `next` logits [time, labels].
    """
    codepoints = np.array([[ord(char) for char in text]], np.int32)
    second = session.get_inputs()[1]
    if second.name == "lengths":
        given: NDArray[Any] = np.array([len(text)], np.int32)
    else:
        slots, _, hidden = second.shape
        given = np.zeros((slots, 1, hidden), np.float32)
    outputs = session.run(None, {"codepoints": codepoints, second.name: given})
    return [output[0] for output in outputs[:3]]


def text_of(decoded: NDArray[Any]) -> str:
    """Return the text of code points, without the -1 behind shorter labels."""
    return "".join(map(chr, decoded[decoded != -1]))


def main() -> None:
    """Replay all, and print a line for each file."""
    provider = sys.argv[1] if len(sys.argv) > 1 else "cpu"
    sys.stdout.write(f"onnxruntime {onnxruntime.__version__}, numpy {np.__version__}\n")
    for name in (*TEXTS, *OLD):
        try:
            rows = read_rows(name)
            worst = replay(name, rows, provider)
        except GoldenError as error:
            sys.exit(f"Error: {error}")
        sys.stdout.write(f"{name:<18}  {len(rows):>2} texts  max |Δ| {worst:.1e}\n")


if __name__ == "__main__":
    main()
