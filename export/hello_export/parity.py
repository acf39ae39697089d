"""Holds every exported file against eager PyTorch: names, axes, shapes, types, then values.

Decoded text may not differ at all, and numbers by `TOLERANCE`, or by a few times what rounding
alone does to the network: eager PyTorch itself is that far from exact arithmetic, which the same
network in float64 measures on the same inputs. A network of 128 hidden values trained for minutes
has roundings of 1e-5 in its logits; in a small one they stay far below `TOLERANCE`.

The cases are shapes of every kind and none that a graph was built with, for none was; they are
counted, and no cases is no parity.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hello_runtime.providers import first_line
from hello_train.config import ModelConfig
from hello_train.model import Network
from hello_train.threads import one_thread

from hello_export.cases import Case, grid_cases
from hello_export.engines import Array, DoublePrecision, Engine, Outputs
from hello_export.errors import ParityError
from hello_export.reference import Reference, Row
from hello_export.signature import TensorSpec, outputs

TOLERANCE = 1e-5
"""The largest difference allowed in logits, confidence and state, where rounding explains none."""
ROUNDING_FACTOR = 4
"""How many times PyTorch's own float32 rounding an engine may differ, where that is more."""
LARGEST_TOLERANCE = 1e-3
"""However a network rounds, nothing beyond this passes."""
NUMBERS = ("logits", "state_out", "confidence")
"""The outputs that are numbers, the most telling one first."""
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
    losses: list[float] = field(default_factory=list)
    """For each character decoded otherwise than by the reference, by how much the reference's
    logits prefer its own choice; infinite where there was no choice, or no such label."""
    ties: int = 0
    """Those of them that are within the tolerance: the two labels are equally good."""
    text_differences: int = 0
    """The others."""

    def note(self, tensor: str, difference: float, text: str) -> None:
        """Keep a difference if it is the largest of its tensor; what is not a number is."""
        difference = difference if np.isfinite(difference) else float("inf")
        if difference > self.worst.get(tensor, -1.0):
            self.worst[tensor], self.worst_input[tensor] = difference, text

    def count(self, tolerance: dict[str, float]) -> None:
        """Count the ties and the differences."""
        self.ties = sum(loss <= tolerance["logits"] for loss in self.losses)
        self.text_differences = len(self.losses) - self.ties

    def check(self, tolerance: dict[str, float]) -> None:
        """Pass if there were cases and all agreed.

        Raises:
            ParityError: otherwise; it names the tensor, the worst difference and the input.
        """
        if not self.cases or not self.characters:
            raise ParityError(f"{self.engine}: no case was compared, which proves nothing")
        for tensor in NUMBERS:
            if self.worst.get(tensor, 0.0) > tolerance[tensor]:
                raise ParityError(
                    f"{self.engine} differs from PyTorch in {tensor} by up to "
                    f"{self.worst[tensor]:.3g} (allowed: {tolerance[tensor]:.3g}) for "
                    f"{self.worst_input[tensor]}"
                )
        if self.text_differences:
            raise ParityError(
                f"{self.engine} differs from PyTorch in decoded, in {self.text_differences} of "
                f"{self.characters} characters, for instance for {self.worst_input['decoded']}"
            )

    def to_json(self) -> dict[str, Any]:
        """Return what stands in the manifest."""
        return {
            "engine": self.engine,
            "version": self.version,
            "cases": self.cases,
            "characters": self.characters,
            "max_difference": {name: self.worst[name] for name in NUMBERS if name in self.worst},
            "text_differences": self.text_differences,
            "ties": self.ties,
        }


@dataclass(frozen=True)
class Report:
    """A comparison that passed."""

    rounding: Verdict
    """Of PyTorch in float64 beside float32, the measure of what rounding does."""
    tolerance: dict[str, float]
    """The largest difference that was allowed, by tensor."""
    verdicts: list[Verdict]
    """Of the engines, all of them good."""


def compare(
    network: Network, engines: Sequence[Engine], cases: Iterable[Case] | None = None
) -> Report:
    """Run the cases on all engines and hold each result against the reference.

    Args:
        network: the truth.
        engines: what opened the exported files.
        cases: None for the grid of `grid_cases`.

    Raises:
        ParityError: an engine does not say the same, or there was no engine or no case.
    """
    if not engines:
        raise ParityError("no engine was compared, which proves nothing")
    reference, exact = Reference(network), DoublePrecision(network)
    rounding = Verdict(exact.name, exact.version)
    verdicts = [Verdict(engine.name, engine.version) for engine in engines]
    for engine in engines:
        engine.check_declaration()
    with one_thread():
        for case in grid_cases(network.config) if cases is None else cases:
            expected = [reference.run(row) for row in case.rows]
            compare_case(rounding, network.config, case, expected, exact.run(case))
            for engine, verdict in zip(engines, verdicts, strict=True):
                compare_case(verdict, network.config, case, expected, run_engine(engine, case))
    tolerance = {
        tensor: min(
            max(TOLERANCE, ROUNDING_FACTOR * rounding.worst.get(tensor, 0.0)), LARGEST_TOLERANCE
        )
        for tensor in NUMBERS
    }
    for verdict in (rounding, *verdicts):
        verdict.count(tolerance)
    for verdict in verdicts:
        verdict.check(tolerance)
    return Report(rounding, tolerance, verdicts)


def run_engine(engine: Engine, case: Case) -> Outputs:
    """Return what an engine makes of a case.

    Raises:
        ParityError: it fails.
    """
    try:
        return engine.run(case)
    except Exception as error:  # whatever an engine raises: each has classes of its own
        raise ParityError(f"{engine.name} fails on {case}: {first_line(error)}") from error


def compare_case(
    verdict: Verdict, config: ModelConfig, case: Case, expected: list[Row], found: Outputs
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
        for name in said.keys() & set(NUMBERS):
            verdict.note(name, float(np.max(np.abs(said[name] - truth[name]))), text)
        losses = losses_of(config, row, truth, said["decoded"])
        if losses:
            verdict.note("decoded", max(losses), text)
            verdict.losses += losses


def losses_of(config: ModelConfig, row: list[int], truth: Row, decoded: Array) -> list[float]:
    """Return for each character decoded otherwise by how much the reference prefers its own."""
    labels = {ord(char): label for label, char in enumerate(config.output_alphabet)}
    losses = []
    for step in np.flatnonzero(decoded != truth["decoded"]).tolist():
        label = labels.get(int(decoded[step]))
        if label is None or chr(row[step]) not in config.input_alphabet:
            losses.append(float("inf"))
        else:
            logits: Array = truth["logits"][step]
            losses.append(float(logits.max() - logits[label]))
    return losses


def check_shape(engine: str, tensor: TensorSpec, case: Case, found: Array) -> None:
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


def row_of(name: str, array: Array, index: int, length: int) -> Array:
    """Return what an output says of one row, without its padding."""
    return array[:, index] if name == "state_out" else array[index, :length]


def table(report: Report) -> str:
    """Return a report as a table for people."""
    rows = [("engine", "version", "cases", "characters", "max |Δ logits|", "text differences")]
    for verdict in (report.rounding, *report.verdicts):
        logits = verdict.worst.get("logits")
        rows.append(
            (
                verdict.engine,
                verdict.version,
                str(verdict.cases),
                str(verdict.characters),
                "not shown" if logits is None else f"{logits:.1e}",
                f"{verdict.text_differences}" + (f" + {verdict.ties} ties" if verdict.ties else ""),
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    lines.append(f"against eager PyTorch in float32; allowed: {report.tolerance['logits']:.1e}")
    return "\n".join(lines)
