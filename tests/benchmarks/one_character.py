"""Measures one character at a time, of a stream and of a generated text, beside a raw session.

    python tests/benchmarks/one_character.py [--rounds 11] [--calls 2000] [--json]

The session is the decoder's own. It gets ready arrays and returns arrays, those that the decoder
asks for; the stream takes a character and returns one, and keeps the state. The wide
networks have random weights: causal, 128 hidden values. All run in one thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
from hello_runtime import Decoder
from hello_runtime.model.tasks import Task
from hello_train.network.cells import CELLS
from measuring import medians, repeated, show
from networks import LETTERS, random_network, save

WIDE = ("gru", "lstm")
DRAWING: dict[str, dict[str, Any]] = {
    "Decoder.generate": {},
    "Decoder.generate, temperature 0": {"temperature": 0},
    "Decoder.generate, top 20": {"top": 20},
}
"""The ways to draw that are measured."""


def raw_call(decoder: Decoder, outputs: list[str], character: str) -> Callable[[], object]:
    """Return an action that runs the session of a causal model on ready arrays of one character."""
    session = decoder._session
    given = {"codepoints": np.array([[ord(character)]], np.int32), "state": decoder._zero_state}
    return lambda: session.run(outputs, given)


def wide_decoder(cell: str, task: Task) -> Decoder:
    """Return an open causal model of 128 hidden values."""
    with TemporaryDirectory() as folder:
        save(random_network(cell, bidirectional=False, task=task), Path(folder))
        return Decoder.open(folder, threads=1)


def feeding(decoder: Decoder, calls: int) -> dict[str, Callable[[], object]]:
    """Return what is measured of a stream: so many calls each."""
    stream = decoder.stream()
    return {
        "session.run": repeated(raw_call(decoder, ["decoded", "state_out"], "h"), calls),
        "Stream.feed": repeated(lambda: stream.feed("h"), calls),
    }


def generating(decoder: Decoder, calls: int) -> dict[str, Callable[[], object]]:
    """Return what is measured of generation: so many characters each."""
    actions: dict[str, Callable[[], object]] = {
        "session.run": repeated(raw_call(decoder, ["logits", "state_out"], LETTERS[0]), calls)
    }
    for name, way in DRAWING.items():
        generate = partial(decoder.generate, LETTERS[0], calls, seed=1, **way)
        actions[name] = partial(exhausted, generate)
    return actions


def exhausted(generate: Callable[[], Iterator[str]]) -> None:
    """Draw a text to its end."""
    for _ in generate():
        pass


def measured(
    model: str, actions: dict[str, Callable[[], object]], rounds: int, calls: int
) -> list[dict[str, Any]]:
    """Return a row for each action beside the session."""
    found = medians(actions, rounds)
    raw = found.pop("session.run")
    return [
        {
            "a character by": name,
            "model": model,
            "session.run, µs": raw / calls * 1e6,
            "a character, µs": seconds / calls * 1e6,
            "ratio": seconds / raw,
        }
        for name, seconds in found.items()
    ]


@click.command()
@click.option("--rounds", default=11, show_default=True)
@click.option("--calls", default=2000, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(rounds: int, calls: int, as_json: bool) -> None:
    """Print a row for each way and model."""
    rows = []
    for cell in CELLS:
        decoder = Decoder.open(cell=cell, threads=1)
        rows += measured(f"hello-{cell}", feeding(decoder, calls), rounds, calls)
    for cell in WIDE:
        decoder = wide_decoder(cell, "rewrite")
        rows += measured(f"{cell} of 128", feeding(decoder, calls), rounds, calls)
    for cell in WIDE:
        decoder = wide_decoder(cell, "next")
        rows += measured(f"{cell} of 128", generating(decoder, calls), rounds, calls)
    show(rows, as_json=as_json, title="One character at a time", packages=["onnxruntime"])


if __name__ == "__main__":
    main()
