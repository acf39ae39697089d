"""Collects errors, so that an error names all that is wrong and not the first alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from hello_export.errors import IntakeError


@dataclass
class Faults:
    """What is wrong with a network from outside, in words."""

    texts: list[str] = field(default_factory=list)

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Collect the `IntakeError` of this context."""
        try:
            yield
        except IntakeError as error:
            self.texts.append(str(error))

    def check(self) -> None:
        """Raise what was collected as an IntakeError."""
        if self.texts:
            raise IntakeError("; ".join(self.texts))
