"""What a model file says of itself: whatever a runtime needs beside the graph."""

from __future__ import annotations

import json
from functools import partial

from hello_runtime.model.labels import LABELS_KEYS
from hello_train.network.checkpoint import Training
from hello_train.network.config import ModelConfig

from hello_export.graph.storage import Storage


def metadata(config: ModelConfig, training: Training, storage: Storage) -> dict[str, str]:
    """Return the metadata, in order; values that are not plain words are JSON.

    Its text is ASCII in format 1. In format 2 characters stand for themselves, which takes less.
    """
    version = config.model_format
    held = config.to_json(version)
    labels = LABELS_KEYS[version] if config.task == "rewrite" else "classes"
    text = partial(json.dumps, ensure_ascii=version == 1)
    values = {
        "format_version": str(version),
        **({} if config.task == "rewrite" else {"task": config.task}),
        "cell": config.cell,
        "nonlinearity": config.nonlinearity,
        "causal": json.dumps(not config.bidirectional),
        "layers": str(config.layers),
        "hidden_size": str(config.hidden_size),
        "input_alphabet": text(config.input_alphabet),
        **({labels: text(held[labels])} if labels in held else {}),
        "unknown": config.unknown,
        **({"guard": text(held["guard"])} if "guard" in held else {}),
        "weights": storage,
        "training": json.dumps(training.record()),
    }
    if config.normalization != "none":
        values["normalization"] = config.normalization
    return values
