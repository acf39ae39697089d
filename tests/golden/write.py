"""Writes the golden files, and the models that the package carries, from eager PyTorch.

    python tests/golden/write.py

For each network a checkpoint, its ONNX file and, in JSON, what `hello_export.proof.reference` says
of some texts: the truth that every engine has to reproduce. `hello-CELL` is the post's network
after training, and its ONNX file goes into the runtime package. The others have random weights and
astral characters: `deep-KIND` two layers, two directions, a projection and a guard, `tall-KIND`
three causal layers whose hidden states are the logits, `wide-KIND` labels of several characters;
`next-KIND` says which character comes next, and `classify-KIND` of which class a line is. A kind is
a cell, or the RNN with relu, or an LSTM whose weights are stored smaller.

Run it when the form of the graph changes. It makes the networks whose checkpoint is not there, and
writes all ONNX files anew. `0.1.0/` has files that version 0.1.0 wrote of the same networks; they
stay, and so must their checkpoints and texts.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import onnx
import torch

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from drawing_rule import draw_text
from golden.replay import SEED, TEMPERATURE
from hello_export.graph.onnx_graph import build_model
from hello_export.graph.rounding import round_weights
from hello_export.graph.storage import STORAGES, Storage
from hello_export.proof.reference import Reference
from hello_runtime.model.labels import alphabet_guard, alphabet_labels
from hello_runtime.model.model_file import Unknown, locate
from hello_runtime.text.edits import KEEP, NOTHING, Edit
from hello_train.files import CHECKPOINT_NAME
from hello_train.fit.hello import run_hello
from hello_train.fit.options import HELLO_OPTIONS
from hello_train.network.cells import CELLS
from hello_train.network.checkpoint import Training, load_checkpoint, save_checkpoint
from hello_train.network.config import ModelConfig
from hello_train.network.model import Network

GOLDEN = Path(__file__).parent
LENGTHS = (1, 2, 7, 8, 9, 31, 32, 33, 63, 64, 65, 257)
"""Around the sizes at which engines change their ways."""
DRAWN = 40
"""Characters that a network of the next character draws after each text."""
LIVELY = 2.0
"""The largest weight of the other tasks, so that an answer depends on what was read before."""


def main() -> None:
    """Make the networks that are missing, and write the graphs of all."""
    networks: dict[str, Callable[[], tuple[Network, Training]]] = {}
    for cell in CELLS:
        networks[f"hello-{cell}"] = partial(hello_network, cell)
        for nonlinearity in CELLS[cell].nonlinearities:
            kind = "relu" if nonlinearity == "relu" else cell
            networks[f"deep-{kind}"] = partial(random_network, deep_config(cell, nonlinearity))
            networks[f"tall-{kind}"] = partial(random_network, tall_config(cell, nonlinearity))
    networks["wide-lstm"] = partial(random_network, wide_config())
    networks["wide-gru"] = partial(random_network, wide_causal_config())
    networks["next-gru"] = partial(task_network, next_config("gru", "error"))
    networks["next-lstm"] = partial(task_network, next_config("lstm", "label"))
    networks["classify-gru"] = partial(task_network, class_config("gru", both=False))
    networks["classify-lstm"] = partial(task_network, class_config("lstm", both=True))
    for storage in STORAGES[1:]:
        networks[f"tall-{storage}"] = partial(rounded_network, storage)
    for name, make in networks.items():
        checkpoint = GOLDEN / f"{name}.safetensors"
        if not checkpoint.exists():
            write_golden(name, *make())
        shape, _, kind = name.partition("-")
        storage = next((each for each in STORAGES if each == kind), "float32")
        file = locate(None, kind) if shape == "hello" else GOLDEN / f"{name}.onnx"
        onnx.save(build_model(*load_checkpoint(checkpoint), storage), file)
    sys.stdout.write(f"{len(networks)} graphs\n")


def hello_network(cell: str) -> tuple[Network, Training]:
    """Train the post's network."""
    with tempfile.TemporaryDirectory() as folder:
        run = run_hello(replace(HELLO_OPTIONS, cell=cell), Path(folder))
        return run.network, run.training


def deep_config(cell: str, nonlinearity: str) -> ModelConfig:
    """Return a network that has everything the post's has not."""
    labels = "aąełoósśzżź 😀"
    guard = {
        "a": "aą", "e": "e", "l": "ł", "o": "oó", "s": "sś", "z": "zżź", " ": " ",
        "ż": "ż", "ł": "ł", "😀": "😀",
    }  # fmt: skip
    return ModelConfig(
        cell=cell,
        input_alphabet="aelosz żł😀",
        output_labels=alphabet_labels(labels),
        embedding_dim=6,
        hidden_size=5,
        layers=2,
        bidirectional=True,
        projection=True,
        unknown="copy",
        guard=alphabet_guard(guard, labels),
        nonlinearity=nonlinearity,
    )


def tall_config(cell: str, nonlinearity: str) -> ModelConfig:
    """Return a network that is the post's three times over, on other characters."""
    return ModelConfig(
        cell=cell,
        input_alphabet="aoz 😀",
        output_labels=alphabet_labels("aóż😀"),
        embedding_dim=6,
        hidden_size=4,
        layers=3,
        bidirectional=False,
        projection=False,
        unknown="copy",
        guard=None,
        nonlinearity=nonlinearity,
    )


def wide_config() -> ModelConfig:
    """Return a network of two directions that labels unknown characters, with classes of labels."""
    labels: tuple[Edit, ...] = ((KEEP,), (), (KEEP, "\u0301"), (" ", KEEP), ("ł",), (KEEP, "😀"))
    guard = dict.fromkeys("aelo", (0, 1, 2)) | dict.fromkeys("sz żł😀", (0, 3, 4, 5))
    return replace(
        deep_config("lstm", "tanh"), output_labels=labels, layers=1, unknown="label", guard=guard
    )


def wide_causal_config() -> ModelConfig:
    """Return a causal network that copies unknown characters; its longest label has 5."""
    labels: tuple[Edit, ...] = ((KEEP,), (), ("a", KEEP, "\0", "😀", KEEP), ("x", "y"))
    return replace(tall_config("gru", "tanh"), output_labels=labels, layers=1)


def next_config(cell: str, unknown: Unknown) -> ModelConfig:
    """Return a network of the next character, of two layers."""
    config = tall_config(cell, "tanh")
    labels = alphabet_labels(config.input_alphabet)
    return replace(
        config, output_labels=labels, layers=2, projection=True, unknown=unknown, task="next"
    )


def class_config(cell: str, *, both: bool) -> ModelConfig:
    """Return a classifier, of one direction or of both; a class may be any text."""
    return replace(
        tall_config(cell, "tanh"),
        output_labels=(),
        layers=2,
        bidirectional=both,
        projection=True,
        unknown="label",
        task="classify",
        classes=("Polish", "two words", "😀", "żółw"),
    )


def random_network(config: ModelConfig, size: float = 0.5) -> tuple[Network, Training]:
    """Make a network with random weights, so small that relu does not grow without bound."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = Network(config).eval()
        for parameter in network.parameters():
            torch.nn.init.uniform_(parameter, -size, size)
    return network, Training(data="nothing", example="zolza", seed=1, characters=0)


def rounded_network(storage: Storage) -> tuple[Network, Training]:
    """Make a network whose weights can be stored smaller."""
    network, training = random_network(tall_config("lstm", "tanh"))
    return round_weights(network, storage), training


def task_network(config: ModelConfig) -> tuple[Network, Training]:
    """Make a network of another task with random weights, and no label that it prefers."""
    network, training = random_network(config, LIVELY)
    with torch.no_grad():
        network.get_parameter("projection.bias").zero_()
    return network, training


def texts_for(config: ModelConfig) -> list[str]:
    """Return a text of each length, with characters that the network does not know."""
    source = random.Random(0)
    alphabet = config.input_alphabet * 3 + "k\u0301🦀" * (config.unknown != "error")
    return ["".join(source.choices(alphabet, k=length)) for length in LENGTHS]


def write_golden(name: str, network: Network, training: Training) -> None:
    """Write one network's checkpoint, and what it says of some texts."""
    texts = ["hello"] if name.startswith("hello") else texts_for(network.config)
    with tempfile.TemporaryDirectory() as folder:
        save_checkpoint(Path(folder), network, training)
        checkpoint = GOLDEN / f"{name}.safetensors"
        checkpoint.write_bytes((Path(folder) / CHECKPOINT_NAME).read_bytes())
    reference = Reference(load_checkpoint(checkpoint)[0])
    rows = [golden_row(reference, network.config, text) for text in texts]
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    file = GOLDEN / f"{name}.json"
    file.write_text(
        f'{{"written_with": "torch {torch.__version__}", "rows": [\n{lines}\n]}}\n',
        encoding="utf-8",
    )
    sys.stdout.write(f"{file.name}: {len(rows)} texts\n")


def golden_row(reference: Reference, config: ModelConfig, text: str) -> dict[str, Any]:
    """Return what a reference says of one text."""
    row = reference.run([ord(char) for char in text])
    said: dict[str, Any] = {"text": text}
    if "decoded" in row:
        said["decoded"] = "".join(map(chr, row["decoded"][row["decoded"] != NOTHING].tolist()))
    elif "label" in row:
        said["label"] = config.classes[int(row["label"][0])]
    else:
        said["drawn"] = drawn(reference, config.input_alphabet, text)
    if "confidence" in row:
        said["confidence"] = [float(f"{value:.9g}") for value in row["confidence"].tolist()]
    logits = row["logits"].tolist()
    return {**said, "logits": [[float(f"{value:.9g}") for value in step] for step in logits]}


def drawn(reference: Reference, alphabet: str, prompt: str) -> str:
    """Return what is drawn after a prompt, by the rule in plain Python."""

    def step(codepoint: int, read: list[int]) -> tuple[list[float], list[int]]:
        read = [*read, codepoint]
        return reference.run(read)["logits"][-1].tolist(), read

    return draw_text(step, [], alphabet, prompt, DRAWN, temperature=TEMPERATURE, seed=SEED)


if __name__ == "__main__":
    main()
