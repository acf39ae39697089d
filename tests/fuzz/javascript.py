"""Opens and uses damaged and hostile model files with the JavaScript module, and counts what comes.

    python tests/fuzz/javascript.py [--files 2000] [--seed 1] [--first 0]

The files are those of `mutations`. Each ends in the module's one error, with a sentence, or gives
the right text: that of the runtime for the same tensors and metadata. (The module reads neither the
nodes of the graph nor their constants, so those that the file had before its damage are put back
for the runtime.)
Where the runtime refuses even that file, the module must give some text. No file takes more than
20 seconds, and the process lives on. Exit code 1 if a file does otherwise.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz.mutations import SEEDS, mutated
from hello_runtime import Decoder, EngineError, HelloRuntimeError, ModelFileError
from hello_train.network.config import FORBIDDEN_LOGIT
from node import Node

TEXTS = ["hello", "", "żółw lasze 😀", "a\u0301🦀\0\r", "ehlo" * 12]
WEIGHTS = ("embedding", "layer", "projection")
READ = (*WEIGHTS, "page_starts", "page_ids", "label_", "allowed_", "class_of_id")
"""The beginnings of the tensors that the module reads."""
LARGE = 1000
"""Weights and logits beyond it are rounded differently by each engine, or are no numbers."""
OUT_OF_PROPORTION = "decoded, with weights out of all proportion"
REFUSED = "decoded, where the runtime refuses the file"
HOW = {"characters": 20, "seed": 7}
CLOSE = 1e-3
"""Confidences of the module and the runtime that are equal."""


def outcomes(
    seed: int, first: int, stop: int, modules: Path | None = None
) -> Iterator[tuple[int, str]]:
    """Yield the number of each file, and what came of it."""
    node = Node(modules)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        try:
            for number in range(first, stop):
                name = f"javascript/{seed}/{number}"
                sound = Random(name).choice(SEEDS)  # the first that `mutated` chooses
                content = mutated(Random(name))
                file.write_bytes(content)
                try:
                    answer = node.ask(file, texts=TEXTS, lenient=True, how=HOW)
                except (TimeoutError, EOFError) as error:
                    yield number, f"FAULT: {error}"
                    node.close()
                    node = Node(modules)
                else:
                    yield number, outcome(answer, content, sound, file)
        finally:
            node.close()


def outcome(answer: Any, content: bytes, sound: Path, file: Path) -> str:
    """Return what an answer is: the error, or whether it is the right text.

    Args:
        answer: of the module.
        content: the bytes that it opened.
        sound: the file that they were before their damage.
        file: where to write another file.
    """
    if "error" in answer:
        if answer["error"] != "ModelFileError":
            return f"FAULT: {answer['error']}: {answer['message'][:200]}"
        sentence = answer["message"].endswith(".") and answer["message"].isprintable()
        return "ModelFileError" if sentence else f"FAULT: no sentence: {answer['message'][:200]!r}"
    decoder = open_with_nodes_of(sound, content, file)
    if decoder is None:
        return REFUSED
    if not has_usual_weights(file):
        return OUT_OF_PROPORTION
    compare = {"rewrite": rewritten, "classify": classified, "next": continued}
    try:
        return compare[decoder.info.task](decoder, answer["results"], readable(decoder))
    except ModelFileError:  # a logit is NaN or infinite
        return OUT_OF_PROPORTION
    except EngineError:
        return REFUSED


def has_usual_weights(file: Path) -> bool:
    """Tell whether every weight is small enough for engines to agree."""
    tensors = [each for each in onnx.load(file).graph.initializer if each.name.startswith(WEIGHTS)]
    return all((np.abs(numpy_helper.to_array(each)) < LARGE).all() for each in tensors)


def readable(decoder: Decoder) -> list[str]:
    """Return the texts, without the characters that a model refuses."""
    if decoder.info.unknown != "error" or decoder.info.task == "rewrite":
        return TEXTS
    alphabet = decoder.info.input_alphabet
    least = alphabet[:1] if decoder.info.task == "next" else ""
    return ["".join(filter(alphabet.__contains__, text)) or least for text in TEXTS]


def rewritten(decoder: Decoder, results: Any, texts: list[str]) -> str:
    """Return whether answers are what the runtime rewrites the texts to."""
    for found, expected in zip(results, decoder.annotate_batch(texts), strict=True):
        confidence = found["confidence"]
        logits = np.array(found["logits"], np.float32)  # null, for what is no number, becomes NaN
        if not (np.abs(logits[logits != FORBIDDEN_LOGIT]) < LARGE).all():
            return OUT_OF_PROPORTION
        off = abs(expected.confidence - confidence).max(initial=0)
        if found["decoded"] != expected.text or off > CLOSE:
            return f"FAULT: it says {found['decoded']!r}, not {expected.text!r} ({off:.1e})"
    return "decoded"


def classified(decoder: Decoder, results: Any, texts: list[str]) -> str:
    """Return whether answers are the classes that the runtime finds."""
    for found, expected in zip(results, decoder.classify_batch(texts), strict=True):
        shares = found["probabilities"] or [0.0] * len(decoder.info.classes)
        off = abs(expected.probabilities - np.array(shares, np.float32)).max(initial=0)
        if not np.isfinite(off):
            return OUT_OF_PROPORTION
        close = np.sort(expected.probabilities)[-2:]
        if off > CLOSE or (found["label"] != expected.label and close[1] - close[0] > CLOSE):
            return f"FAULT: it says {found['label']!r}, not {expected.label!r} ({off:.1e})"
    return "decoded"


def continued(decoder: Decoder, results: Any, texts: list[str]) -> str:
    """Return whether answers are what the runtime draws."""
    for text, found in zip(texts, results, strict=True):
        drawn = "".join(decoder.generate(text, HOW["characters"], seed=HOW["seed"]))
        if found["generated"] != drawn:
            return f"FAULT: it draws {found['generated']!r}, not {drawn!r}"
    return "decoded"


def open_with_nodes_of(sound: Path, content: bytes, file: Path) -> Decoder | None:
    """Return the runtime's decoder of some bytes; None if it refuses them.

    Nodes and constants that the module does not read are those of the sound file.
    """
    try:
        model = onnx.load_model_from_string(content)
    except Exception:  # of whatever class
        return None
    graph, before = model.graph, onnx.load(sound).graph
    for field in ("node", "input", "output"):
        getattr(graph, field).clear()
        getattr(graph, field).extend(getattr(before, field))
    read = [tensor for tensor in graph.initializer if tensor.name.startswith(READ)]
    others = [tensor for tensor in before.initializer if not tensor.name.startswith(READ)]
    graph.initializer.clear()
    graph.initializer.extend([*read, *others])
    onnx.save(model, file)
    try:
        own = Decoder.open(file, threads=1)
        if own.info.unknown == "error" and own.info.task == "rewrite":
            return Decoder.open(file, threads=1, unknown="copy")
        return own
    except HelloRuntimeError:
        return None


def main() -> None:
    parser = argparse.ArgumentParser(description="Open damaged model files with JavaScript.")
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the number of the first file")
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    for number, said in outcomes(options.seed, options.first, options.first + options.files):
        counts[said] += 1
        if said.startswith("FAULT"):
            print(f"file {number}: {said}", flush=True)
    for said, count in counts.most_common():
        print(f"{count:>8}  {said}")
    sys.exit(any(said.startswith("FAULT") for said in counts))


if __name__ == "__main__":
    main()
