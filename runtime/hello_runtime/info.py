"""What `hello-infer --info` prints."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hello_runtime.errors import printable

if TYPE_CHECKING:
    from hello_runtime.decoder import Decoder


def describe(decoder: Decoder, as_json: bool) -> str:
    """Return the facts about a model, as lines of text or as JSON."""
    info = decoder.info
    facts: dict[str, Any] = {
        "model": str(decoder.file),
        "bytes": decoder.file.stat().st_size,
        "provider": decoder.provider,
        "cell": info.cell,
        "nonlinearity": info.nonlinearity,
        "layers": info.layers,
        "hidden_size": info.hidden_size,
        "causal": info.causal,
        "input_alphabet": info.input_alphabet,
        "output_alphabet": info.output_alphabet,
        "unknown": info.unknown,
        "guarded": info.guard is not None,
        "weights": info.weights,
        "training": dict(info.training),
    }
    if as_json:
        return json.dumps(facts) + "\n"
    for name in ("input_alphabet", "output_alphabet"):
        facts[name] = f"{len(facts[name])} characters: {ascii_start(facts[name])}"
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


def ascii_start(alphabet: str, width: int = 60) -> str:
    """Return the beginning of an alphabet in ASCII, other characters escaped."""
    shown = ascii(alphabet)[1:-1]
    return shown if len(shown) <= width else f"{shown[:width]}..."
