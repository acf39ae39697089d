"""The verdict on each engine: its largest differences, and whether they are allowed.

A target is an engine that the artifact is for: a difference refuses the export. A witness is
another engine that happens to be installed: a difference is reported, and the export stands.

Decoded text must be equal. A number may differ by `TOLERANCE`. It may differ by more only where the
network magnifies rounding: the allowed difference is then a share of the line's condition (see
`condition`). The share has two parts: `ROUNDING_FACTOR` times the largest one that eager PyTorch
itself shows between float32 and float64, and `ACTIVATION_FACTOR` times the error of the engine's
tanh and sigmoid, which acts like an equal relative change of the weights that read them. It is at
most `LARGEST_SHARE`. So a line on which a network diverges excuses nothing on another line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Literal, NamedTuple

from hello_export.errors import ParityError

Role = Literal["measure", "target", "witness"]

TOLERANCE = 1e-5
"""Largest difference of logits, confidence and state that needs no explanation by rounding."""
ROUNDING_FACTOR = 4
"""Allowed share of the condition, as a multiple of that between PyTorch's float32 and float64."""
ACTIVATION_FACTOR = 2
"""Allowed share of the condition, as a multiple of the error of an engine's tanh and sigmoid."""
LARGEST_SHARE = 1e-5
"""Largest share of the condition that is ever allowed."""
NUMBERS = ("logits", "state_out", "confidence")
"""The outputs that are numbers, in the order in which a failure names them."""


class Difference(NamedTuple):
    """A difference between an engine and the reference, at one step or in one state."""

    size: float
    """Infinite if the engine's value is not finite."""
    condition: float
    """The condition of the reference's values there."""
    place: str
    """The input and the position, in words."""

    @property
    def share(self) -> float:
        """The difference as a share of the condition: the backward error."""
        return self.size / self.condition

    def allowed(self, share: float) -> float:
        """Return the largest size allowed, for an allowed share of the condition."""
        return max(TOLERANCE, share * self.condition)

    def is_allowed(self, share: float) -> bool:
        """Tell whether the size is allowed, for an allowed share of the condition."""
        return self.size <= self.allowed(share)


@dataclass
class Verdict:
    """What the comparison of one engine found; dictionaries are by tensor.

    Whether that is allowed is known once rounding is: see `allow`.
    """

    engine: str
    version: str
    role: Role = "target"
    activation_error: float = 0.0
    """The error of the engine's tanh and sigmoid that is known, beyond float32's rounding."""
    not_compared: str | None = None
    """The known reason why it was not compared, or None."""
    failure: str | None = None
    """The error after which the engine got no more cases, or None."""
    cases: int = 0
    characters: int = 0
    choice: str = "decoded"
    """The output that is chosen and not computed."""
    choices: int = 0
    """How many were compared: characters, or the lines of a classifier."""
    max_difference: dict[str, float] = field(default_factory=dict)
    """Of each tensor that the engine gives."""
    max_share: dict[str, float] = field(default_factory=dict)
    """The largest share of the condition."""
    max_condition: dict[str, float] = field(default_factory=dict)
    beyond_tolerance: dict[str, Difference] = field(default_factory=dict)
    """Of the differences larger than `TOLERANCE`, the one with the largest share."""
    mismatches: list[Difference] = field(default_factory=list)
    """One for each character, or line of a classifier, of which it says something else. The size is
    how far the engine's label is below the best one in the reference's logits; infinite if it is no
    label."""
    share: dict[str, float] = field(default_factory=dict)
    """The allowed share of the condition."""
    ties: int = 0
    """Mismatches within the tolerance: the two labels are equally good."""
    text_differences: int = 0
    """All other mismatches."""

    def add(self, tensor: str, found: Difference) -> None:
        """Add a difference to the maxima of its tensor."""
        for maxima, value, least in (
            (self.max_difference, found.size, 0.0),
            (self.max_share, found.share, 0.0),
            (self.max_condition, found.condition, 1.0),
        ):
            maxima[tensor] = max(maxima.get(tensor, least), value)
        known = self.beyond_tolerance.get(tensor)
        if found.size > TOLERANCE and (known is None or found.share > known.share):
            self.beyond_tolerance[tensor] = found

    def allow(self, rounding: Mapping[str, float]) -> None:
        """Set the allowed shares, and sort the mismatches into ties and text differences.

        `rounding` is the largest share between PyTorch's float32 and float64, by tensor.
        """
        activations = ACTIVATION_FACTOR * self.activation_error
        for tensor in NUMBERS:
            share = ROUNDING_FACTOR * rounding.get(tensor, 0.0) + activations
            self.share[tensor] = min(share, LARGEST_SHARE)
        self.ties = sum(found.is_allowed(self.share["logits"]) for found in self.mismatches)
        self.text_differences = len(self.mismatches) - self.ties

    @property
    def tolerance(self) -> dict[str, float]:
        """The largest difference that was allowed anywhere, by tensor."""
        return {
            tensor: max(
                TOLERANCE, self.share.get(tensor, 0.0) * self.max_condition.get(tensor, 1.0)
            )
            for tensor in NUMBERS
        }

    def fault(self) -> str | None:
        """Return what is wrong with the engine, or None.

        Nothing is wrong with one that agrees on at least one case, or was not compared for a known
        reason. The text has the tensor, the worst difference and the input that shows it.
        """
        if self.failure or self.not_compared:
            return self.failure
        if not self.cases or not self.characters:
            return f"{self.engine}: no case was compared, which proves nothing"
        for tensor in NUMBERS:
            found = self.beyond_tolerance.get(tensor)
            if found and not found.is_allowed(self.share[tensor]):
                return (
                    f"{self.engine} differs from PyTorch in {tensor} by up to {found.size:.3g} "
                    f"(allowed: {found.allowed(self.share[tensor]):.3g}) for {found.place}"
                )
        if self.text_differences:
            unit = "lines" if self.choice == "label" else "characters"
            return (
                f"{self.engine} differs from PyTorch in {self.choice}, in {self.text_differences} "
                f"of {self.choices} {unit}, for instance for "
                f"{max(self.mismatches, key=lambda found: found.share).place}"
            )
        return None

    def to_json(self) -> dict[str, Any]:
        """Return the engine's entry in the manifest."""
        reason = {"not_compared": self.not_compared} if self.not_compared else {}
        fault = self.fault()
        largest = self.max_difference
        return {
            "engine": self.engine,
            "version": self.version,
            "role": self.role,
            **reason,
            **({"fault": fault} if fault else {}),
            "cases": self.cases,
            "characters": self.characters,
            "max_difference": {
                name: largest[name] if isfinite(largest[name]) else None  # JSON has no infinity
                for name in NUMBERS
                if name in largest
            },
            "tolerance": self.tolerance,
            "text_differences": self.text_differences,
            "ties": self.ties,
        }


@dataclass(frozen=True)
class Report:
    """What the comparison of all engines found."""

    rounding: Verdict
    """Of PyTorch in float64 beside float32: the measure of rounding."""
    verdicts: list[Verdict]
    """One for each engine, those that fail or are not compared included."""

    def faults(self, role: Role) -> list[str]:
        """Return the fault of each engine with this role that has one."""
        found = (verdict.fault() for verdict in self.verdicts if verdict.role == role)
        return [fault for fault in found if fault]

    def check(self) -> None:
        """Raise a ParityError with the faults of all targets, or if no target was compared."""
        if all(verdict.not_compared for verdict in self.verdicts if verdict.role == "target"):
            raise ParityError("no target was compared, which proves nothing")
        if faults := self.faults("target"):
            raise ParityError("; and ".join(faults))

    def to_json(self) -> dict[str, Any]:
        """Return the `parity` entry of the manifest."""
        return {
            "rounding": self.rounding.to_json(),
            "engines": [verdict.to_json() for verdict in self.verdicts],
        }


def make_report(rounding: Verdict, verdicts: list[Verdict]) -> Report:
    """Return the report, with what is allowed by the measure of rounding."""
    for verdict in (rounding, *verdicts):
        verdict.allow(rounding.max_share)
    return Report(rounding, verdicts)
