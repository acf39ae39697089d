"""Measures what labels that keep a character save beside a label for each character.

    python tests/benchmarks/edits.py [--hidden-size 128] [--rounds 5] [--json]

Both networks restore the diacritics of a Polish alphabet, an LSTM of two directions with int8
weights, as drawn. One has a label for each character that it may write and a guard, as files of
format 1 hold it. The other keeps the character, or replaces it by one of 35, and has classes of
characters with the same labels. Then the same with an alphabet of 4,000 characters. The text is
drawn from the letters that change.
"""

from __future__ import annotations

import random
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import onnx
import torch
from hello_export.graph.onnx_graph import build_model
from hello_export.graph.rounding import round_weights
from hello_runtime import Decoder
from hello_runtime.model.labels import Guard, alphabet_guard, alphabet_labels
from hello_runtime.text.edits import KEEP
from hello_train.network.config import ModelConfig
from hello_train.network.model import Network
from measuring import medians, show
from networks import TRAINING

CHANGED = dict(zip("acelnoszACELNOSZ", "ąćęłńósżĄĆĘŁŃÓSŻ", strict=True)) | {"x": "ź", "X": "Ź"}
LETTERS = [char for char in map(chr, range(0x21, 0x20000)) if char.isalpha() and char.isprintable()]


def configuration(characters: int, hidden_size: int, *, keeps: bool) -> ModelConfig:
    """Return the configuration of a network that reads so many characters."""
    guard: Guard
    others = [char for char in LETTERS if char not in CHANGED][: characters - len(CHANGED) - 1]
    alphabet = "".join([" ", *CHANGED, *others])
    if keeps:
        replaced = [*dict.fromkeys([*CHANGED.values(), *"àáâãäåæèéêëìíîïðñòôõöøùúûü"])][:35]
        labels = ((KEEP,), *alphabet_labels(replaced))
        guard = dict.fromkeys(alphabet, (0,))
        guard |= {char: (0, labels.index((target,))) for char, target in CHANGED.items()}
    else:
        outputs = "".join(dict.fromkeys([*alphabet, *CHANGED.values()]))
        labels = alphabet_labels(outputs)
        allowed = {char: "".join({char: 0, CHANGED.get(char, char): 0}) for char in alphabet}
        guard = alphabet_guard(allowed, outputs)
    return ModelConfig(
        cell="lstm",
        input_alphabet=alphabet,
        output_labels=labels,
        embedding_dim=48,
        hidden_size=hidden_size,
        layers=1,
        bidirectional=True,
        projection=True,
        unknown="label" if keeps else "copy",
        guard=guard,
    )


def measured(config: ModelConfig) -> tuple[Decoder, dict[str, Any]]:
    """Return an open model with drawn weights, and a row of what it takes."""
    torch.manual_seed(0)
    network = round_weights(Network(config).eval(), "int8")
    with TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        onnx.save(build_model(network, TRAINING, "int8"), file)
        size = file.stat().st_size
        start = time.perf_counter()
        decoder = Decoder.open(file, threads=1)
        opening = time.perf_counter() - start
    return decoder, {"labels": config.labels, "model.onnx, kB": size / 1000, "opens in, s": opening}


@click.command()
@click.option("--hidden-size", default=128, show_default=True)
@click.option("--rounds", default=5, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(hidden_size: int, rounds: int, as_json: bool) -> None:
    """Print a row for each network: labels, bytes, seconds to open, characters a second."""
    source = random.Random(0)
    letters = [*CHANGED, " "]
    lines = ["".join(source.choices(letters, k=source.randint(10, 120))) for _ in range(900)]
    rows: list[dict[str, Any]] = []
    for characters in (340, 4000):
        found = {
            name: measured(configuration(characters, hidden_size, keeps=name == "keep"))
            for name in ("a label for each", "keep")
        }
        times = medians(
            {name: partial(decoder.decode_batch, lines) for name, (decoder, _) in found.items()},
            rounds,
        )
        for name, (_, row) in found.items():
            speed = sum(map(len, lines)) / times[name] / 1000
            row["decode_batch, thousand characters a second"] = speed
            row["ratio"] = times["a label for each"] / times[name]
            rows.append({"characters read": characters, "labels are": name, **row})
    show(rows, as_json=as_json, title="Labels that keep", packages=["onnxruntime"])


if __name__ == "__main__":
    main()
