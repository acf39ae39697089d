"""Holds every exported file against eager PyTorch: names, axes, shapes, types, then values.

Numbers may differ by `TOLERANCE`, decoded text not at all. The cases are shapes of every kind and
none that a graph was built with, for none was; they are counted, and no cases is no parity.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hello_train.config import ModelConfig
from hello_train.model import Network
from numpy.typing import NDArray

from hello_export.engines import Case, Engine, OnnxRuntime
from hello_export.errors import ParityError
from hello_export.reference import Reference, Row
from hello_export.signature import Tensor, inputs, outputs

TOLERANCE = 1e-5
"""The largest difference allowed in logits, confidence and state, float32."""

BATCHES = (1, 2, 33)
LENGTHS = (1, 2, 7, 65, 257)
CHUNKS = (1, 7, 64)
UNKNOWN_SHARE = 0.05
SHOWN_CHARACTERS = 60
"""Characters of a failing input that a message shows."""


@dataclass
class Verdict:
    """What the comparison of one engine found."""

    engine: str
    version: str
    cases: int = 0
    characters: int = 0
    worst: dict[str, float] = field(default_factory=dict)
    """The largest difference by tensor, of those that the engine shows."""
    worst_input: dict[str, str] = field(default_factory=dict)
    """The input that shows it."""
    text_differences: int = 0
    """Characters decoded otherwise than by the reference."""
    ties: int = 0
    """Characters decoded otherwise where the reference's two best logits are closer than
    `TOLERANCE`; not counted as differences."""

    def note(self, tensor: str, difference: float, text: str) -> None:
        """Keep a difference if it is the largest of its tensor; what is not a number is."""
        difference = difference if np.isfinite(difference) else float("inf")
        if difference > self.worst.get(tensor, -1.0):
            self.worst[tensor], self.worst_input[tensor] = difference, text

    def check(self) -> None:
        """Pass if there were cases and all agreed.

        Raises:
            ParityError: otherwise; it names the tensor, the worst difference and the input.
        """
        if not self.cases or not self.characters:
            raise ParityError(f"{self.engine}: no case was compared, which proves nothing")
        for tensor, difference in self.worst.items():
            if difference > TOLERANCE:
                raise ParityError(
                    f"{self.engine} differs from PyTorch in {tensor} by up to {difference:.3g} "
                    f"(allowed {TOLERANCE:g}), for {self.worst_input[tensor]}"
                )
        if self.text_differences:
            raise ParityError(
                f"{self.engine} differs from PyTorch in decoded: {self.text_differences} of "
                f"{self.characters} characters, for instance for {self.worst_input['decoded']}"
            )


def compare(
    network: Network, engines: Sequence[Engine], cases: Sequence[Case] | None = None
) -> list[Verdict]:
    """Run the cases on all engines and hold each result against the reference.

    Args:
        network: the truth.
        engines: what opened the exported files.
        cases: None for the grid of `grid_cases`.

    Returns:
        A verdict for each engine, all of them good.

    Raises:
        ParityError: one of them is not.
    """
    reference = Reference(network)
    verdicts = [Verdict(engine.name, engine.version) for engine in engines]
    for engine in engines:
        if isinstance(engine, OnnxRuntime):
            check_declaration(engine, network.config)
    for case in grid_cases(network.config) if cases is None else cases:
        expected = [reference.run(row) for row in case.rows]
        for engine, verdict in zip(engines, verdicts, strict=True):
            compare_case(verdict, network.config, case, expected, engine.run(case))
    for verdict in verdicts:
        verdict.check()
    return verdicts


def check_declaration(engine: OnnxRuntime, config: ModelConfig) -> None:
    """Check the names, types and axes that a file declares.

    Raises:
        ParityError: they are not those of the signature.
    """
    for kind, declared, expected in (
        ("inputs", engine.session.get_inputs(), inputs(config)),
        ("outputs", engine.session.get_outputs(), outputs(config)),
    ):
        found = [Tensor(d.name, NUMPY_NAMES.get(d.type, d.type), tuple(d.shape)) for d in declared]
        if found != expected:
            raise ParityError(f"{engine.name} declares the {kind} {found}, not {expected}")


NUMPY_NAMES = {"tensor(float)": "float32", "tensor(int32)": "int32"}


def compare_case(
    verdict: Verdict, config: ModelConfig, case: Case, expected: list[Row], found: dict[str, Any]
) -> None:
    """Hold an engine's outputs for one case against the reference's rows.

    Raises:
        ParityError: an output has another type or shape.
    """
    verdict.cases += 1
    verdict.characters += int(case.lengths.sum())
    for tensor in outputs(config):
        if tensor.name in found:
            check_shape(verdict.engine, tensor, case, found[tensor.name])
    for index, (row, truth) in enumerate(zip(case.rows, expected, strict=True)):
        said = {name: row_of(name, array, index, len(row)) for name, array in found.items()}
        if len(row) < case.codepoints.shape[1]:
            said.pop("state_out", None)  # it is the state after the padding
        text = f"{''.join(map(chr, row))[:SHOWN_CHARACTERS]!r} ({case}, row {index + 1})"
        for name in said.keys() - {"decoded"}:
            verdict.note(name, float(np.max(np.abs(said[name] - truth[name]))), text)
        wrong = said["decoded"] != truth["decoded"]
        if wrong.any():
            tied = wrong & (margins(truth["logits"]) < TOLERANCE)
            verdict.ties += int(tied.sum())
            if (wrong & ~tied).any():
                verdict.text_differences += int((wrong & ~tied).sum())
                verdict.worst_input["decoded"] = text


def check_shape(engine: str, tensor: Tensor, case: Case, found: NDArray[Any]) -> None:
    """Check the type and shape of one output.

    Raises:
        ParityError: they are not those of the signature.
    """
    sizes = dict(zip(("batch", "time"), case.codepoints.shape, strict=True))
    shape = tuple(sizes.get(str(axis), axis) for axis in tensor.axes)
    if (found.shape, found.dtype.name) != (shape, tensor.dtype):
        raise ParityError(
            f"{engine} gives {tensor.name} as {found.dtype.name} {list(found.shape)}, not as "
            f"{tensor.dtype} {list(shape)}, for {case}"
        )


def row_of(name: str, array: NDArray[Any], index: int, length: int) -> NDArray[Any]:
    """Return what an output says of one row, without its padding."""
    return array[:, index] if name == "state_out" else array[index, :length]


def margins(logits: NDArray[Any]) -> NDArray[Any]:
    """Return by how much the best label leads the second best, [time]."""
    if logits.shape[-1] == 1:
        return np.full(len(logits), np.inf)
    second, best = np.moveaxis(np.partition(logits, -2, axis=-1)[:, -2:], -1, 0)
    return best - second


def grid_cases(config: ModelConfig, seed: int = 0) -> Iterator[Case]:
    """Yield the cases: every batch size with every length, ragged batches, chained state."""
    source = RandomText(config, seed)
    for batch in BATCHES:
        for length in LENGTHS:
            yield source.case(batch, length)
    for length in LENGTHS[1:]:
        yield source.case(BATCHES[-1], length, ragged=True)
    if not config.bidirectional:
        for chunk in CHUNKS:
            yield source.case(BATCHES[1], LENGTHS[-1], chunk=chunk)


class RandomText:
    """Draws cases from a model's alphabet, with unknown characters strewn in."""

    def __init__(self, config: ModelConfig, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._known = np.array([ord(char) for char in config.input_alphabet], np.int32)
        self._unknown = np.array(unknown_codepoints(config.input_alphabet), np.int32)

    def case(
        self, batch: int, time: int, *, ragged: bool = False, chunk: int | None = None
    ) -> Case:
        """Return a case of this size; a ragged one has rows of length 1 and of full length."""
        codepoints = self._random.choice(self._known, (batch, time))
        strewn = self._random.random((batch, time)) < UNKNOWN_SHARE
        codepoints[strewn] = self._random.choice(self._unknown, int(strewn.sum()))
        lengths = np.full(batch, time, np.int32)
        if ragged:
            lengths = self._random.integers(1, time + 1, batch, np.int32)
            lengths[:2] = 1, time
        return Case(codepoints, lengths, chunk)


def unknown_codepoints(alphabet: str) -> list[int]:
    """Return code points that an alphabet lacks: its neighbours, and the ends of Unicode."""
    near = {ord(char) + step for char in alphabet for step in (-256, -1, 1, 256)}
    ends = {0, 0x0301, 0x2028, 0xFFFF, 0x1F600, 0x10FFFF}
    surrogates = range(0xD800, 0xE000)
    return sorted(
        code
        for code in near | ends
        if 0 <= code <= 0x10FFFF and code not in surrogates and chr(code) not in alphabet
    )


def table(verdicts: Sequence[Verdict]) -> str:
    """Return the verdicts as a table for people."""
    head = ("engine", "version", "cases", "characters", "max |Δ logits|", "text differences", "ties")
    rows = [head]
    for verdict in verdicts:
        logits = verdict.worst.get("logits")
        rows.append(
            (
                verdict.engine,
                verdict.version,
                str(verdict.cases),
                str(verdict.characters),
                "not shown" if logits is None else f"{logits:.1e}",
                str(verdict.text_differences),
                str(verdict.ties),
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(lines)
