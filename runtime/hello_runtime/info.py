"""What `hello-infer --info` prints."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hello_runtime.errors import printable
from hello_runtime.model.labels import LABELS_KEYS, labels_to_json

if TYPE_CHECKING:
    from hello_runtime.decoder import Decoder
    from hello_runtime.model.metadata import ModelInfo


def describe(decoder: Decoder, as_json: bool) -> str:
    """Return the facts about a model, as lines of text or as JSON."""
    info = decoder.info
    facts: dict[str, Any] = {
        "model": str(decoder.file),
        "bytes": decoder.file.stat().st_size,
        "provider": decoder.provider,
        "task": info.task,
        "cell": info.cell,
        "nonlinearity": info.nonlinearity,
        "layers": info.layers,
        "hidden_size": info.hidden_size,
        "causal": info.causal,
        "input_alphabet": info.input_alphabet,
        **labels_of(info),
        "unknown": info.unknown,
        "normalization": info.normalization,
        "guarded": info.guard is not None,
        "weights": info.weights,
        "training": dict(info.training),
    }
    if as_json:
        return json.dumps(facts) + "\n"
    for name in ("input_alphabet", "output_alphabet"):
        if name in facts:
            facts[name] = f"{len(facts[name])} characters: {ascii_start(facts[name])}"
    if labels := facts.get("output_labels"):
        facts["output_labels"] = f"{len(labels)} edits: {ascii_start(json.dumps(labels)[1:-1])}"
    if classes := facts.get("classes"):
        facts["classes"] = f"{len(classes)} classes: {ascii_start(', '.join(classes))}"
    scores, source = (facts["training"].pop(name, None) for name in ("scores", "source"))
    facts |= {f"training, {name}": value for name, value in facts.pop("training").items()}
    if isinstance(source, dict):
        facts |= {f"source, {name}": value for name, value in source.items()}
    if isinstance(scores, dict):
        facts |= {f"score, {name}": json.dumps(row) for name, row in scores.items()}
    lines = (
        f"{printable(name.replace('_', ' ')):<28}{printable(value)}\n"
        for name, value in facts.items()
    )
    return "".join(lines)


def labels_of(info: ModelInfo) -> dict[str, Any]:
    """Return the labels or the classes of a model; of the task `next` they are its alphabet."""
    if info.task == "classify":
        return {"classes": list(info.classes)}
    if info.task == "next":
        return {"output_alphabet": info.output_alphabet}
    version = info.format_version
    return {LABELS_KEYS[version]: labels_to_json(info.output_labels, version)}


def ascii_start(alphabet: str, width: int = 60) -> str:
    """Return the beginning of an alphabet in ASCII, other characters escaped."""
    shown = ascii(alphabet)[1:-1]
    return shown if len(shown) <= width else f"{shown[:width]}..."
