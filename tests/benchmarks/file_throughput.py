"""Measures how many characters of a file are decoded in a second, on all cores, beside its peers.

    python tests/benchmarks/file_throughput.py TEXT [--artifact DIR | --cell lstm] [--rounds 3]
        [--hidden-size 128] [--causal] [--characters 1000000] [--no-pytorch] [--json]

TEXT is a file of lines; its first different lines are decoded. Without --artifact the network has
random weights: one layer of two directions of 128 hidden values (--causal: one direction).
--no-pytorch leaves out the slower peers.

- `session.run` gets ready arrays from as many threads as there are cores; of several shapes the
  fastest counts.
- eager PyTorch and TorchScript get ready tensors of lines of like length; of one call of all cores
  and a call on each core the faster counts.
- ogonki, where it is installed, gets the text. It is a model of Polish diacritics.
- sgemm is what numpy multiplies on all cores; the share of it that the decoding reaches counts the
  multiplications with the recurrence's weights and the projection's, two operations each.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnxruntime
import torch
from hello_export.graph.program_file import load_program
from hello_runtime import Decoder
from hello_runtime.resources import available_cpus
from hello_train.network.cells import CELLS
from hello_train.network.checkpoint import load_checkpoint
from hello_train.network.config import ModelConfig
from hello_train.network.encoding import encode
from hello_train.network.model import Network
from measuring import first_lines, medians, run_process, seconds_of, show
from networks import random_network, save

Array = np.ndarray[Any, np.dtype[Any]]
CPUS = available_cpus()
SHAPES = [
    (6, 256),
    (12, 64),
    (12, 100),
    (16, 48),
    (16, 64),
    (24, 48),
    (24, 64),
    (32, 32),
    (32, 64),
    (64, 100),
]
"""Batch and time of the raw session; larger ones were slower on every model."""
SHAPE_CHARACTERS = 300_000
BATCH = 32
"""Lines in a batch of PyTorch, which was as fast with 64 and 128."""


def raw_session(artifact: Path, network: Network, shape: tuple[int, int]) -> Callable[[], object]:
    """Return an action that runs `SHAPE_CHARACTERS` characters through a session, on all cores."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(artifact / "model.onnx"), options)
    batch, time = shape
    config = network.config
    letters = [ord(char) for char in config.input_alphabet]
    codepoints = np.random.default_rng(0).choice(letters, shape).astype(np.int32)
    given = {"codepoints": codepoints}
    if config.bidirectional:
        given["lengths"] = np.full(batch, time, np.int32)
    else:
        given["state"] = np.zeros((config.slots, batch, config.hidden_size), np.float32)
    calls = range(-(-SHAPE_CHARACTERS // (batch * time)))

    def action() -> None:
        with ThreadPoolExecutor(CPUS) as pool:
            list(pool.map(lambda _: session.run(["decoded"], given), calls))

    return action


def batches(lines: Sequence[str]) -> Iterator[list[str]]:
    """Yield lines of one length, so that none is padded."""
    for _, group in itertools.groupby(sorted(lines, key=len), key=len):
        same = list(group)
        yield from (same[start : start + BATCH] for start in range(0, len(same), BATCH))


def on_all_cores(
    function: Callable[..., object], given: Sequence[tuple[torch.Tensor, ...]], *, callers: int
) -> Callable[[], object]:
    """Return an action that calls a function of PyTorch's on each batch, with all cores."""

    @torch.inference_mode()
    def call(tensors: tuple[torch.Tensor, ...]) -> object:
        return function(*tensors)

    def action() -> None:
        torch.set_num_threads(CPUS // callers)
        with ThreadPoolExecutor(callers) as pool:
            list(pool.map(call, given))

    return action


def operations(network: Network) -> float:
    """Return the floating-point operations of a character."""
    config = network.config
    rows = len(CELLS[config.cell].pytorch_gates) * config.hidden_size
    total = 0
    width = config.embedding_dim
    for _ in range(config.layers):
        total += config.directions * 2 * rows * (width + config.hidden_size)
        width = config.features
    return total + (2 * width * config.labels if config.projection else 0)


def sgemm_rate(size: int = 2048) -> float:
    """Return the floating-point operations a second of a product of matrices, on all cores."""
    left = np.random.default_rng(0).random((size, size), np.float32)
    left @ left
    fastest = min(seconds_of(lambda: left @ left) for _ in range(5))
    return 2 * size**3 / fastest


def tensors_of(
    config: ModelConfig, lines: Sequence[str]
) -> tuple[list[tuple[torch.Tensor, ...]], list[tuple[torch.Tensor, ...]]]:
    """Return what eager PyTorch reads of each batch, and what the TorchScript program reads."""
    ids: list[tuple[torch.Tensor, ...]] = []
    codepoints: list[tuple[torch.Tensor, ...]] = []
    for batch in batches(lines):
        rows = [[ord(char) for char in line] for line in batch]
        points = torch.tensor(rows, dtype=torch.int32)
        encoded = encode(batch, config.input_alphabet).reshape(len(batch), -1)
        ids.append((torch.from_numpy(encoded),))
        second = (
            torch.full((len(batch),), points.shape[1], dtype=torch.int32)
            if config.bidirectional
            else torch.zeros(config.slots, len(batch), config.hidden_size)
        )
        codepoints.append((points, second))
    return ids, codepoints


def characters_a_second(
    artifact: Path, network: Network, lines: Sequence[str], rounds: int, no_pytorch: bool
) -> dict[str, float]:
    """Return the rate of each peer."""
    total = sum(map(len, lines))
    decoder = Decoder.open(artifact)
    program = load_program(artifact / "model.pt")
    ids, codepoints = tensors_of(network.config, lines)
    actions: dict[str, Callable[[], object]] = {
        f"session.run {batch} x {time}": raw_session(artifact, network, (batch, time))
        for batch, time in SHAPES
    }
    actions["decode_batch"] = lambda: decoder.decode_batch(lines)
    for callers in () if no_pytorch else {1, CPUS}:
        actions[f"eager PyTorch, {callers} callers"] = on_all_cores(
            lambda ids: network(ids).argmax(-1), ids, callers=callers
        )
        actions[f"TorchScript, {callers} callers"] = on_all_cores(
            program, codepoints, callers=callers
        )
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name) / "in.txt", Path(name) / "out.txt"
        source.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        actions["hello-infer --input --output"] = lambda: run_process(
            ["hello-infer", "--model", artifact, "--input", source, "--output", target]
        )
        try:
            import ogonki
        except ImportError:
            pass
        else:
            text = "\n".join(lines)
            actions["ogonki"] = lambda: ogonki.restore(text)
        found = medians(actions, rounds)
        if len(target.read_text(encoding="utf-8")) != total + len(lines):
            raise RuntimeError("hello-infer did not write a character for each")
    sizes = {name: SHAPE_CHARACTERS if name.startswith("session") else total for name in found}
    return {name: sizes[name] / seconds for name, seconds in found.items()}


@click.command()
@click.argument("text", type=click.Path(exists=True, path_type=Path))
@click.option("--artifact", type=click.Path(exists=True, path_type=Path))
@click.option("--cell", type=click.Choice(CELLS), default="lstm", show_default=True)
@click.option("--causal", is_flag=True)
@click.option("--hidden-size", default=128, show_default=True)
@click.option("--no-pytorch", is_flag=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--characters", default=1_000_000, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(
    text: Path,
    artifact: Path | None,
    cell: str,
    causal: bool,
    hidden_size: int,
    no_pytorch: bool,
    rounds: int,
    characters: int,
    as_json: bool,
) -> None:
    """Print a row for each peer."""
    lines = first_lines(text, characters)
    with tempfile.TemporaryDirectory() as name:
        if artifact:
            network, _ = load_checkpoint(artifact)
            network.eval()
            title = str(artifact)
        else:
            artifact = Path(name)
            network = random_network(cell, bidirectional=not causal, hidden_size=hidden_size)
            save(network, artifact)
            directions = "causal" if causal else "two directions"
            title = f"{cell}, {directions}, {hidden_size} hidden values"
        sgemm = sgemm_rate()
        found = characters_a_second(artifact, network, lines, rounds, no_pytorch)
        kilobytes = (artifact / "model.onnx").stat().st_size / 1000
    best = max(rate for name, rate in found.items() if name.startswith("session.run"))
    rows = []
    for peer in ("session.run", "hello-infer", "decode_batch", "eager", "TorchScript", "ogonki"):
        rates = {name: rate for name, rate in found.items() if name.startswith(peer)}
        if rates:
            name = max(rates, key=rates.__getitem__)
            rows.append(
                {
                    "what": name,
                    "thousand characters a second": rates[name] / 1000,
                    "to session.run": rates[name] / best,
                    "hello-infer to it": found["hello-infer --input --output"] / rates[name],
                    "of sgemm": rates[name] * operations(network) / sgemm,
                }
            )
    rows[-1]["of sgemm"] = None if rows[-1]["what"] == "ogonki" else rows[-1]["of sgemm"]
    count = sum(map(len, lines))
    show(
        rows,
        as_json=as_json,
        title=f"{title}, {kilobytes:.0f} kB; {count} characters of {text.name} in {len(lines)} "
        f"different lines; sgemm {sgemm / 1e9:.0f} GFLOP/s",
        packages=["onnxruntime", "torch", "ogonki"],
    )


if __name__ == "__main__":
    main()
