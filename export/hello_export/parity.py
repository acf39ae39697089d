"""Holds every exported file against eager PyTorch: names, axes, shapes, types, then values.

Decoded text may not differ at all, and numbers by `TOLERANCE`, or by a few times what rounding
alone does to the network: eager PyTorch itself is that far from exact arithmetic, which the same
network in float64 measures on the same inputs. A network of 128 hidden values trained for minutes
has roundings of 1e-5 in its logits; in a small one they stay far below `TOLERANCE`.

The cases are shapes of every kind and none that a graph was built with, for none was; they are
counted, and no cases is no parity. An engine that is known not to run a network, or is not
installed, is shown with the reason, never left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from hello_runtime.providers import first_line
from hello_train.config import FORBIDDEN_LOGIT, ModelConfig
from hello_train.model import Network
from hello_train.threads import one_thread

from hello_export.cases import Case
from hello_export.engines import Array, Engine, Outputs
from hello_export.errors import ParityError
from hello_export.isolation import Isolated
from hello_export.reference import Reference, Row, in_double_precision
from hello_export.signature import outputs

TOLERANCE = 1e-5
"""The largest difference allowed in logits, confidence and state, where rounding explains none."""
ROUNDING_FACTOR = 4
"""How many times PyTorch's own float32 rounding an engine may differ, where that is more."""
LARGEST_TOLERANCE = 1e-4
"""However a network rounds, nothing beyond this passes, as a share of its largest value; values
below 10 count as 10."""
NUMBERS = ("logits", "state_out", "confidence")
"""The outputs that are numbers, the most telling one first."""
SHOWN_CHARACTERS = 60
"""Characters of a failing input that a message shows, those up to the one that fails."""


@dataclass
class Verdict:
    """What the comparison of one engine found."""

    engine: str
    version: str
    not_compared: str | None = None
    """Why it was not compared at all, where it was not."""
    failure: str | None = None
    """How it failed, after which it was not asked again."""
    cases: int = 0
    characters: int = 0
    worst: dict[str, float] = field(default_factory=dict)
    """The largest difference by tensor, of those that the engine shows."""
    worst_input: dict[str, str] = field(default_factory=dict)
    """The input that shows it."""
    margins: list[float] = field(default_factory=list)
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
        self.ties = sum(margin <= tolerance["logits"] for margin in self.margins)
        self.text_differences = len(self.margins) - self.ties

    def check(self, tolerance: dict[str, float]) -> None:
        """Pass if there were cases and all agreed, or none for a reason that is known.

        Raises:
            ParityError: otherwise; it names the tensor, the worst difference and the input.
        """
        if self.failure:
            raise ParityError(self.failure)
        if self.not_compared:
            return
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
        reason = {"not_compared": self.not_compared} if self.not_compared else {}
        return {
            "engine": self.engine,
            "version": self.version,
            **reason,
            "cases": self.cases,
            "characters": self.characters,
            "max_difference": {name: self.worst[name] for name in NUMBERS if name in self.worst},
            "text_differences": self.text_differences,
            "ties": self.ties,
        }


@dataclass(frozen=True)
class Report:
    """What the comparison of all engines found."""

    rounding: Verdict
    """Of PyTorch in float64 beside float32, the measure of what rounding does."""
    tolerance: dict[str, float]
    """The largest difference that is allowed, by tensor."""
    verdicts: list[Verdict]
    """Of the engines, the bad ones too."""

    def check(self) -> None:
        """Pass if an engine was compared, and each one that was is good.

        Raises:
            ParityError: what every bad verdict says.
        """
        if all(verdict.not_compared for verdict in self.verdicts):
            raise ParityError("no engine was compared, which proves nothing")
        faults: list[str] = []
        for verdict in self.verdicts:
            try:
                verdict.check(self.tolerance)
            except ParityError as error:
                faults.append(str(error))
        if faults:
            raise ParityError("; and ".join(faults))

    def to_json(self) -> dict[str, Any]:
        """Return what stands in the manifest."""
        return {
            "tolerance": self.tolerance,
            "rounding": self.rounding.to_json(),
            "engines": [verdict.to_json() for verdict in self.verdicts],
        }


def compare(
    network: Network,
    engines: Sequence[Engine | Isolated],
    cases: Iterable[Case],
    others: Sequence[Verdict] = (),
) -> Report:
    """Run the cases on all engines and hold each result against eager PyTorch.

    Args:
        network: the truth.
        engines: what opened the exported files; one that fails is not asked again.
        cases: the batches.
        others: verdicts on engines that are not there to be compared.

    Raises:
        ParityError: PyTorch itself gives what is no number, so that there is no truth.
    """
    reference, exact = Reference(network), in_double_precision(network)
    rounding = Verdict("PyTorch float64", torch.__version__)
    verdicts = [Verdict(engine.name, engine.version) for engine in engines]
    largest = dict.fromkeys(NUMBERS, 0.0)
    with one_thread(), ThreadPoolExecutor(len(engines) + 1) as beside:
        try:
            list(beside.map(check_declaration, engines, verdicts))
            for case in cases:
                # The engines run while PyTorch does, most of them in processes of their own.
                found = beside.map(partial(run_engine, network.config, case), engines, verdicts)
                expected = reference.run_rows(case.rows)
                note_largest(largest, case, expected)
                note_case(rounding, network.config, case, expected, exact.run_rows(case.rows))
                for verdict, rows in zip(verdicts, found, strict=True):
                    if rows is not None:
                        note_case(verdict, network.config, case, expected, rows)
        except BaseException:  # Ctrl-C too: an engine may be waited for that never answers
            for engine in engines:
                engine.close()
            raise
    tolerance = tolerances(rounding, largest)
    for verdict in (rounding, *verdicts):
        verdict.count(tolerance)
    return Report(rounding, tolerance, [*verdicts, *others])


def note_largest(largest: dict[str, float], case: Case, rows: list[Row]) -> None:
    """Note how large the reference's values are, those aside that the guard put there.

    Raises:
        ParityError: one of them is not a finite number.
    """
    for row in rows:
        for tensor in largest.keys() & row.keys():
            values = np.abs(row[tensor])
            if not np.isfinite(values).all():
                raise ParityError(
                    f"PyTorch itself gives {tensor} that are no finite numbers, for {case}: the "
                    f"network diverges on long lines, so there is nothing to compare with"
                )
            free = values[values < -FORBIDDEN_LOGIT]
            largest[tensor] = max(largest[tensor], float(free.max(initial=0.0)))


def tolerances(rounding: Verdict, largest: dict[str, float]) -> dict[str, float]:
    """Return how much each tensor may differ, by what rounding does and how large it is."""
    return {
        tensor: min(
            max(TOLERANCE, ROUNDING_FACTOR * rounding.worst.get(tensor, 0.0)),
            LARGEST_TOLERANCE * max(10.0, largest[tensor]),
        )
        for tensor in NUMBERS
    }


def check_declaration(engine: Engine | Isolated, verdict: Verdict) -> None:
    """Have an engine check what its file declares, and note if it fails."""
    try:
        engine.check_declaration()
    except ParityError as error:
        verdict.failure = str(error)


def run_engine(
    config: ModelConfig, case: Case, engine: Engine | Isolated, verdict: Verdict
) -> list[Row] | None:
    """Return what an engine makes of each row of a case; note if it fails, and return None."""
    if verdict.failure:
        return None
    try:
        found = engine.run(case)
        check_shapes(engine.name, config, case, found)
    except ParityError as error:
        verdict.failure = str(error)
    except Exception as error:  # whatever an engine raises: each has classes of its own
        verdict.failure = f"{engine.name} fails on {case}: {first_line(error)}"
    else:
        return rows_of(case, found)
    return None


def check_shapes(engine: str, config: ModelConfig, case: Case, found: Outputs) -> None:
    """Check the type and shape of each output that an engine shows.

    Raises:
        ParityError: they are not those of the signature.
    """
    sizes = dict(zip(("batch", "time"), case.codepoints.shape, strict=True))
    for tensor in outputs(config):
        if tensor.name not in found:
            continue
        shape = tuple(sizes.get(str(axis), axis) for axis in tensor.axes)
        array = found[tensor.name]
        if (array.shape, array.dtype.name) != (shape, tensor.dtype):
            raise ParityError(
                f"{engine} gives {tensor.name} as {array.dtype.name} {list(array.shape)}, not as "
                f"{tensor.dtype} {list(shape)}, for {case}"
            )


def rows_of(case: Case, found: Outputs) -> list[Row]:
    """Return what an engine's outputs say of each row, without its padding."""
    rows: list[Row] = []
    for index, length in enumerate(case.lengths.tolist()):
        row = {name: array[index, :length] for name, array in found.items() if name != "state_out"}
        if "state_out" in found and length == case.codepoints.shape[1]:  # else padding went in too
            row["state_out"] = found["state_out"][:, index]
        rows.append(row)
    return rows


def note_case(
    verdict: Verdict, config: ModelConfig, case: Case, expected: list[Row], found: list[Row]
) -> None:
    """Note how far the rows that an engine gave are from those of the reference."""
    verdict.cases += 1
    verdict.characters += case.characters
    for index, (row, truth, said) in enumerate(zip(case.rows, expected, found, strict=True)):
        place = f"({case}, row {index + 1}"
        for name in said.keys() & set(NUMBERS):
            difference = np.abs(said[name] - truth[name])
            if name == "state_out":
                verdict.note(name, float(difference.max()), f"{shown(row, len(row))} {place})")
            else:
                by_step = difference.reshape(len(row), -1).max(1)
                step = int(by_step.argmax())
                text = f"{shown(row, step + 1)} {place}, character {step + 1})"
                verdict.note(name, float(by_step[step]), text)
        margins = margins_of(config, row, truth, said["decoded"])
        if margins:
            step = int(np.flatnonzero(said["decoded"] != truth["decoded"])[np.argmax(margins)])
            text = f"{shown(row, step + 1)} {place}, character {step + 1})"
            verdict.note("decoded", max(margins), text)
            verdict.margins += margins


def shown(row: list[int], length: int) -> str:
    """Return the first characters of a row as a message shows them, the last ones of many."""
    text = "".join(map(chr, row[:length]))
    cut = "..." if len(text) > SHOWN_CHARACTERS else ""
    return f"{cut}{text[-SHOWN_CHARACTERS:]!r}"


def margins_of(config: ModelConfig, row: list[int], truth: Row, decoded: Array) -> list[float]:
    """Return for each character decoded otherwise by how much the reference prefers its own."""
    labels = {ord(char): label for label, char in enumerate(config.output_alphabet)}
    margins = []
    for step in np.flatnonzero(decoded != truth["decoded"]).tolist():
        label = labels.get(int(decoded[step]))
        if label is None or chr(row[step]) not in config.input_alphabet:
            margins.append(float("inf"))
        else:
            logits: Array = truth["logits"][step]
            margins.append(float(logits.max() - logits[label]))
    return margins


def table(report: Report) -> str:
    """Return a report as a table for people, with what could not be compared below it."""
    rows = [("engine", "version", "cases", "characters", "max |Δ logits|", "text differences")]
    for verdict in (report.rounding, *report.verdicts):
        logits = verdict.worst.get("logits")
        rows.append(
            (
                verdict.engine,
                verdict.version,
                str(verdict.cases),
                str(verdict.characters),
                ("not shown" if verdict.cases else "-") if logits is None else f"{logits:.1e}",
                f"{verdict.text_differences}" + (f" + {verdict.ties} ties" if verdict.ties else "")
                if verdict.cases
                else "-",
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    lines.append(f"against eager PyTorch in float32; allowed: {report.tolerance['logits']:.1e}")
    for verdict in report.verdicts:
        if verdict.not_compared:
            lines.append(f"{verdict.engine} was not compared: {verdict.not_compared}")
        if verdict.failure:
            lines.append(f"{verdict.engine} did not go through: {verdict.failure}")
    return "\n".join(lines)
