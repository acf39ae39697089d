"""The golden texts of a package: texts of the proof, and what eager PyTorch says to them.

A text is left out, or cut, where two labels are so close that the proof allows an engine to choose
either of them (see `hello_export.proof.verdict`): such a text would fail on a good machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from hello_runtime.text.edits import NOTHING
from hello_runtime.text.normal_forms import normalise
from hello_train.network.checkpoint import Training
from hello_train.network.config import ModelConfig
from hello_train.network.model import Network
from numpy.typing import NDArray

from hello_export.errors import PackageError
from hello_export.proof.cases import Case, readable_cases
from hello_export.proof.condition import Expected, MeasuredReference
from hello_export.proof.reference import Row
from hello_export.proof.verdict import LARGEST_SHARE

LONGEST = 257
"""Characters of a golden text, at most; the proof itself has longer ones."""
ROWS = 3
"""Rows of a case that become golden texts, at most."""
CONTINUED = 8
"""Characters by which a model of the task `next` continues a golden text."""


class Golden(NamedTuple):
    """A text and what the model says to it."""

    input: str
    output: str
    """The text rewritten, or its class, or the most probable characters that follow it."""


def golden_texts(network: Network, training: Training) -> list[Golden]:
    """Return the golden texts of a network; the first is the example of its training, if it can be.

    Raises:
        PackageError: on every text the network says what rounding decides.
    """
    reference = MeasuredReference(network)
    cases = golden_cases(network.config, training.example)
    found = dict.fromkeys(
        golden for case in cases for golden in goldens_of(reference, network.config, case)
    )
    if not found:
        raise PackageError(
            "no golden text: whatever the network reads, rounding decides what it says; train it"
        )
    return [*found]


def golden_cases(config: ModelConfig, example: str) -> Iterator[Case]:
    """Yield the example as a case, and the first rows of the proof's cases of handy length."""
    text = normalise(example, config.normalization)
    if text and (config.learns_unknown or {*config.input_alphabet}.issuperset(text)):
        yield case_of([*map(ord, text)])
    for case in readable_cases(config):
        if case.codepoints.shape[1] <= LONGEST and not case.chunk:
            yield Case(case.codepoints[:ROWS], case.lengths[:ROWS])


def case_of(row: list[int]) -> Case:
    """Return a single row as a case."""
    return Case(np.array([row], np.int32), np.array([len(row)], np.int32))


def goldens_of(reference: MeasuredReference, config: ModelConfig, case: Case) -> Iterator[Golden]:
    """Yield the golden texts of a case's rows."""
    if config.task == "next":
        for row in case.rows:
            text = "".join(map(chr, row))
            if output := continued(reference, config, row):
                yield Golden(text, output)
        return
    for row, expected in zip(case.rows, reference.run(case), strict=True):
        if is_clear(expected).all():
            yield Golden("".join(map(chr, row)), said(config, expected.row))


def said(config: ModelConfig, row: Row) -> str:
    """Return what the reference says of a text: the text rewritten, or its class."""
    if config.task == "classify":
        return config.classes[int(row["label"][0])]
    written = row["decoded"]
    return "".join(map(chr, written[written != NOTHING].tolist()))


def is_clear(expected: Expected) -> NDArray[np.bool_]:
    """Tell for each step whether the best label is further ahead than two engines may differ."""
    best = np.sort(expected.row["logits"], axis=1)[:, -2:]
    if best.shape[1] == 1:  # a single label
        return np.full(len(best), fill_value=True)
    clear: NDArray[np.bool_] = (
        best[:, 1] - best[:, 0] > 2 * LARGEST_SHARE * expected.condition.steps
    )
    return clear


def continued(reference: MeasuredReference, config: ModelConfig, row: list[int]) -> str:
    """Return the most probable characters after a text, up to the first that is not clear."""
    written = ""
    while len(written) < CONTINUED:
        (expected,) = reference.run(case_of([*row, *map(ord, written)]))
        if not is_clear(expected)[-1]:
            break
        written += config.input_alphabet[int(expected.row["logits"][-1].argmax())]
    return written
