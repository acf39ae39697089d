"""Holds every exported file against eager PyTorch: names, axes, shapes, types, then values.

Decoded text may not differ at all, and numbers by `TOLERANCE`, or by a few times what rounding
alone does to the network: eager PyTorch itself is that far from exact arithmetic, which the same
network in float64 measures on the same inputs. What rounding does depends on the line: a trained
network multiplies a small difference by ten on one line and by a million on another. So it is
measured, and allowed, as a share of the line's own condition, up to that place of it (in the whole
line, for two directions), and a line on which a network grows or sways excuses nothing on another.

The cases are shapes of every kind and none that a graph was built with, for none was; they are
counted, and no cases is no parity. An engine that is known not to run a network, or is not
installed, is shown with the reason, never left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from hello_runtime.errors import first_line
from hello_train.fit.threads import one_thread
from hello_train.network.config import FORBIDDEN_LOGIT, ModelConfig
from hello_train.network.model import Network

from hello_export.errors import ParityError
from hello_export.graph.signature import outputs
from hello_export.progress import SILENT, Progress
from hello_export.proof.cases import Case
from hello_export.proof.engines import Array, Engine, Outputs
from hello_export.proof.isolation import Isolated
from hello_export.proof.reference import SWAY, Reference, Row, in_double_precision, swayed

TOLERANCE = 1e-5
"""The largest difference allowed in logits, confidence and state, where rounding explains none."""
ROUNDING_FACTOR = 4
"""How many times PyTorch's own float32 rounding an engine may differ, where that is more."""
SWAYS = 4
"""How often the weights are changed to see what that moves: once may happen to move little."""
LARGEST_SHARE = 1e-5
"""However a network rounds, no larger share of the condition passes."""
PYTORCH = "PyTorch"
"""What the reference is called while it is waited for."""
NUMBERS = ("logits", "state_out", "confidence")
"""The outputs that are numbers, the most telling one first."""
SHOWN_CHARACTERS = 60
"""Characters of a failing input that a message shows, those up to the one that fails."""


class Difference(NamedTuple):
    """A difference between an engine and the reference, in one place."""

    size: float
    """Infinite for what is not a number."""
    condition: float
    """Of the reference's values there: what a relative change of the weights is multiplied by."""
    place: str

    @property
    def share(self) -> float:
        """The difference as a share of the condition."""
        return self.size / self.condition

    def allowed(self, share: float) -> float:
        """Return how large it may be where this share of the condition is rounding."""
        return max(TOLERANCE, share * self.condition)

    def is_allowed(self, share: float) -> bool:
        """Tell whether it is no larger than that."""
        return self.size <= self.allowed(share)


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
    worst_share: dict[str, Difference] = field(default_factory=dict)
    """The largest by its share of the condition, of those beyond `TOLERANCE`."""
    largest_share: dict[str, float] = field(default_factory=dict)
    """The share of the largest, of all."""
    largest_condition: dict[str, float] = field(default_factory=dict)
    texts: list[Difference] = field(default_factory=list)
    """For each character decoded otherwise than by the reference, by how much the reference's
    logits prefer its own choice; infinite where there was no choice, or no such label."""
    ties: int = 0
    """Those of them that are within the tolerance: the two labels are equally good."""
    text_differences: int = 0
    """The others."""

    def note(self, tensor: str, found: Difference) -> None:
        """Keep a difference if it is the largest of its tensor, or the largest by its share."""
        self.worst[tensor] = max(self.worst.get(tensor, 0.0), found.size)
        self.largest_share[tensor] = max(self.largest_share.get(tensor, 0.0), found.share)
        self.largest_condition[tensor] = max(
            self.largest_condition.get(tensor, 1.0), found.condition
        )
        known = self.worst_share.get(tensor)
        if found.size > TOLERANCE and (known is None or found.share > known.share):
            self.worst_share[tensor] = found

    def count(self, share: dict[str, float]) -> None:
        """Count the ties and the differences."""
        self.ties = sum(found.is_allowed(share["logits"]) for found in self.texts)
        self.text_differences = len(self.texts) - self.ties

    def check(self, share: dict[str, float]) -> None:
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
            found = self.worst_share.get(tensor)
            if found and not found.is_allowed(share[tensor]):
                raise ParityError(
                    f"{self.engine} differs from PyTorch in {tensor} by up to {found.size:.3g} "
                    f"(allowed: {found.allowed(share[tensor]):.3g}) for {found.place}"
                )
        if self.text_differences:
            raise ParityError(
                f"{self.engine} differs from PyTorch in decoded, in {self.text_differences} of "
                f"{self.characters} characters, for instance for "
                f"{max(self.texts, key=lambda found: found.share).place}"
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
    share: dict[str, float]
    """How large a share of the condition a difference may be, by tensor."""
    verdicts: list[Verdict]
    """Of the engines, the bad ones too."""

    @property
    def tolerance(self) -> dict[str, float]:
        """The largest difference that was allowed anywhere, by tensor."""
        return {
            tensor: max(
                TOLERANCE, self.share[tensor] * self.rounding.largest_condition.get(tensor, 1.0)
            )
            for tensor in NUMBERS
        }

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
                verdict.check(self.share)
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
    progress: Progress = SILENT,
) -> Report:
    """Run the cases on all engines and hold each result against eager PyTorch.

    Args:
        network: the truth.
        engines: what opened the exported files; one that fails is not asked again.
        cases: the batches.
        others: verdicts on engines that are not there to be compared.
        progress: is told each case that an engine, or `PYTORCH`, is through with.

    Raises:
        ParityError: PyTorch itself gives what is no number, so that there is no truth.
    """
    reference, exact = Reference(network), in_double_precision(network)
    moved = [swayed(network, seed) for seed in range(SWAYS)]
    rounding = Verdict("PyTorch float64", torch.__version__)
    verdicts = [Verdict(engine.name, engine.version) for engine in engines]
    with one_thread(), ThreadPoolExecutor(len(engines) + 1) as beside:
        try:
            list(beside.map(check_declaration, engines, verdicts))
            for case in cases:
                # The engines run while PyTorch does, most of them in processes of their own.
                run = partial(run_engine, network.config, case, progress)
                found = beside.map(run, engines, verdicts)
                expected = reference.run_rows(case.rows)
                check_finite(case, expected)
                swaying = zip(*(other.run_rows(case.rows) for other in moved), strict=True)
                truth = [
                    Truth(row, condition(network.config, row, others))
                    for row, others in zip(expected, swaying, strict=True)
                ]
                note_case(rounding, network.config, case, truth, exact.run_rows(case.rows))
                progress.advance(PYTORCH, case.characters)
                for verdict, rows in zip(verdicts, found, strict=True):
                    if rows is not None:
                        note_case(verdict, network.config, case, truth, rows)
        except BaseException:  # Ctrl-C too: an engine may be waited for that never answers
            for engine in engines:
                engine.close()
            raise
    share = {
        tensor: min(ROUNDING_FACTOR * rounding.largest_share.get(tensor, 0.0), LARGEST_SHARE)
        for tensor in NUMBERS
    }
    for verdict in (rounding, *verdicts):
        verdict.count(share)
    return Report(rounding, share, [*verdicts, *others])


def check_finite(case: Case, rows: list[Row]) -> None:
    """Check that the reference's numbers are numbers.

    Raises:
        ParityError: one of them is infinite or none.
    """
    for row in rows:
        for tensor in row.keys() & set(NUMBERS):
            if not np.isfinite(row[tensor]).all():
                raise ParityError(
                    f"PyTorch itself gives {tensor} that are no finite numbers, for {case}: the "
                    f"network diverges on long lines, so there is nothing to compare with"
                )


def check_declaration(engine: Engine | Isolated, verdict: Verdict) -> None:
    """Have an engine check what its file declares, and note if it fails."""
    try:
        engine.check_declaration()
    except ParityError as error:
        verdict.failure = str(error)


def run_engine(
    config: ModelConfig,
    case: Case,
    progress: Progress,
    engine: Engine | Isolated,
    verdict: Verdict,
) -> list[Row] | None:
    """Return what an engine makes of each row of a case; note if it fails, and return None."""
    try:
        if verdict.failure:
            return None
        found = engine.run(case)
        check_shapes(engine.name, config, case, found)
    except ParityError as error:
        verdict.failure = str(error)
    except Exception as error:  # whatever an engine raises: each has classes of its own
        verdict.failure = f"{engine.name} fails on {case}: {first_line(error)}"
    else:
        return rows_of(case, found)
    finally:
        progress.advance(engine.name, case.characters)
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


class Condition(NamedTuple):
    """What a relative change of the weights is multiplied by in the values of a row, at least 1."""

    steps: Array
    """At each step, [time]; the largest until then for one direction, of the row for two."""
    state: float
    """In the state behind the last step; 1 where there is none."""


class Truth(NamedTuple):
    """What the reference says of a row."""

    row: Row
    condition: Condition


def condition(config: ModelConfig, truth: Row, moved: Sequence[Row]) -> Condition:
    """Return a row's condition, and no less than its values, which are rounded themselves.

    Args:
        config: of the network.
        truth: what the reference says.
        moved: what it says with its weights changed by `SWAY` of themselves, each time otherwise.
    """
    logits: Array = np.where(truth["logits"] == FORBIDDEN_LOGIT, 0, truth["logits"])
    steps = np.maximum(np.abs(logits), multiplied("logits", truth, moved)).max(1)
    steps = np.maximum(steps, 1.0)
    if config.bidirectional:
        return Condition(np.full_like(steps, steps.max()), 1.0)
    state = np.maximum(np.abs(truth["state_out"]), multiplied("state_out", truth, moved))
    return Condition(np.maximum.accumulate(steps), max(1.0, float(state.max())))


def multiplied(tensor: str, truth: Row, moved: Sequence[Row]) -> Array:
    """Return how far values moved at most, in relation to `SWAY`; 0 where that is no number."""
    with np.errstate(invalid="ignore", over="ignore"):
        apart = [np.abs(row[tensor].astype(np.float64) - truth[tensor]) / SWAY for row in moved]
    found: Array = np.nan_to_num(np.max(apart, axis=0), nan=0.0, posinf=0.0)
    return found


def note_case(
    verdict: Verdict, config: ModelConfig, case: Case, expected: list[Truth], found: list[Row]
) -> None:
    """Note how far the rows that an engine gave are from those of the reference."""
    verdict.cases += 1
    verdict.characters += case.characters
    for index, (row, truth, said) in enumerate(zip(case.rows, expected, found, strict=True)):
        place = partial(describe_place, case, index, row)
        for tensor, difference in differences(truth, said, place):
            verdict.note(tensor, difference)
        verdict.texts += text_differences(config, row, truth, said["decoded"], place)


def differences(
    truth: Truth, said: Row, place: Callable[[int], str]
) -> Iterator[tuple[str, Difference]]:
    """Yield the differences that decide on a row, for each tensor that an engine shows.

    They are the largest one, the one with the largest share, the same of those beyond `TOLERANCE`
    (a smaller one passes whatever its share, and must not hide them), and the one at the largest
    condition.
    """
    steps, state = truth.condition
    with np.errstate(invalid="ignore"):  # what is not a number is infinitely wrong, below
        for tensor in said.keys() & set(NUMBERS):
            apart = np.abs(said[tensor] - truth.row[tensor])
            apart[~np.isfinite(apart)] = np.inf
            if tensor == "state_out":
                yield tensor, Difference(float(apart.max()), state, place(len(steps)))
            else:
                by_step = apart.reshape(len(steps), -1).max(1)
                share = by_step / steps
                beyond = np.where(by_step > TOLERANCE, share, 0)
                for step in {int(of.argmax()) for of in (by_step, share, beyond, steps)}:
                    size, large = float(by_step[step]), float(steps[step])
                    yield tensor, Difference(size, large, place(step + 1))


def text_differences(
    config: ModelConfig, row: list[int], truth: Truth, decoded: Array, place: Callable[[int], str]
) -> list[Difference]:
    """Return for each character of a row decoded otherwise by how much PyTorch prefers its own."""
    labels = {ord(char): label for label, char in enumerate(config.output_alphabet)}
    steps = np.flatnonzero(decoded != truth.row["decoded"]).tolist()
    first = place(steps[0] + 1) if steps else ""
    found = []
    for step in steps:
        label = labels.get(int(decoded[step]))
        margin = float("inf")
        if label is not None and chr(row[step]) in config.input_alphabet:
            logits: Array = truth.row["logits"][step]
            margin = float(logits.max() - logits[label])
        found.append(Difference(margin, float(truth.condition.steps[step]), first))
    return found


def describe_place(case: Case, index: int, row: list[int], length: int) -> str:
    """Return where a row of a case has its n-th character, and what is read up to there."""
    shown = "".join(map(chr, row[max(0, length - SHOWN_CHARACTERS) : length]))
    cut = "..." if length > SHOWN_CHARACTERS else ""
    return f"{cut}{shown!r} ({case}, row {index + 1}, character {length})"


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
