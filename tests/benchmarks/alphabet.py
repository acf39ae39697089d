"""Measures what a large alphabet with a guard costs: opening, the start of a training, the file.

    python tests/benchmarks/alphabet.py [--characters 4000] [--hidden-size 128] [--rounds 5]

The network is that of `edits.py` whose labels keep. The start of a training is what its alphabet
and guard add before the first step: the tables of the network, the augmentation and the labels.
The file's parts are bytes of `model.onnx`, with int8 weights.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import onnx
from edits import configuration
from hello_export.graph.onnx_graph import build_model
from hello_export.graph.rounding import round_weights
from hello_runtime import Decoder
from hello_train.data.augmentation import Augmentation
from hello_train.data.labels import Labels
from hello_train.network.config import ModelConfig
from hello_train.network.model import Network, label_classes
from measuring import medians, show
from networks import TRAINING
from onnx import ModelProto

PARTS = {
    "embedding": ("embedding",),
    "recurrence": ("layer",),
    "projection": ("projection",),
    "guard": ("class_of_id", "allowed", "guard"),
    "alphabet": ("page_", "id_of", "alphabet", "input_alphabet"),
}
"""The parts of a file by the beginnings of the names of its constants and metadata entries."""


def sizes(model: ModelProto) -> dict[str, int]:
    """Return the bytes of each part of a model file, and of the rest."""
    found = dict.fromkeys(PARTS, 0)
    entries = [(constant.name, constant.ByteSize()) for constant in model.graph.initializer]
    entries += [(entry.key, entry.ByteSize()) for entry in model.metadata_props]
    for name, size in entries:
        for part, beginnings in PARTS.items():
            if name.startswith(beginnings):
                found[part] += size
                break
    return {**found, "the rest": model.ByteSize() - sum(found.values())}


def start_training(config: ModelConfig) -> None:
    """Make the tables that a training needs of its alphabet, labels and guard."""
    label_classes(config)
    Augmentation(config, 0.02)
    Labels(config.output_labels)


@click.command()
@click.option("--characters", default=4000, show_default=True)
@click.option("--hidden-size", default=128, show_default=True)
@click.option("--rounds", default=5, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(characters: int, hidden_size: int, rounds: int, as_json: bool) -> None:
    """Print a row for each time and each part of the file."""
    config = configuration(characters, hidden_size, keeps=True)
    model = build_model(round_weights(Network(config).eval(), "int8"), TRAINING, "int8")
    with TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        onnx.save(model, file)
        times = medians(
            {
                "opens in": partial(Decoder.open, file, threads=1),
                "training starts in": partial(start_training, config),
            },
            rounds,
        )
    rows: list[dict[str, Any]] = [
        {"what": name, "value": seconds * 1000, "unit": "ms"} for name, seconds in times.items()
    ]
    rows += [
        {"what": f"file: {part}", "value": size / 1000, "unit": "kB"}
        for part, size in sizes(model).items()
    ]
    rows.append({"what": "file, whole", "value": model.ByteSize() / 1000, "unit": "kB"})
    title = f"{characters} characters, {config.labels} labels that keep, with a guard"
    show(rows, as_json=as_json, title=title, packages=["torch", "onnxruntime"])


if __name__ == "__main__":
    main()
