"""Classification: what a model of the task `classify` says of lines.

Each line is one row of an engine call, whatever its length: windows would be an approximation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hello_runtime.engine.calls import check_finite
from hello_runtime.engine.rows import Annotation
from hello_runtime.text.codepoints import padded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hello_runtime.decoder import Decoder
    from hello_runtime.engine.rows import Row


class Classification(NamedTuple):
    """What a classifier says of a line."""

    label: str
    """The most probable class; empty for an empty line, of which the model says nothing."""
    confidence: float
    """Its probability, 0 to 1; 0 for an empty line."""
    probabilities: NDArray[np.float32]
    """[classes]: the probability of each class, in the order of `ModelInfo.classes`; zeros for an
    empty line."""


def run_lines(decoder: Decoder, texts: Sequence[str]) -> Iterator[list[Annotation]]:
    """Classify texts as one batch.

    Yields:
        For each text its class, in place of a text, and the probability of every class, in place of
        confidences; so classes are batched and remembered as decoded texts are.

    Raises:
        ModelFileError: a logit is NaN or infinite.
    """
    texts = [*map(str, texts)]  # a long one is read whole
    lengths = np.array([len(text) for text in texts], np.int32)
    labels, logits = decoder._run(["label", "logits"], padded(texts), lengths)
    check_finite(logits, decoder.file)
    raised = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    shares = (raised / raised.sum(1, keepdims=True)).astype(np.float32)
    names = decoder.info.classes
    yield [
        Annotation(names[label], row) for label, row in zip(labels.tolist(), shares, strict=True)
    ]


def classifications(decoder: Decoder, rows: Iterable[Row]) -> list[Classification]:
    """Return the rows of `run_lines` as classifications, which share no array."""
    none = np.zeros(len(decoder.info.classes), np.float32)
    return [
        Classification(row.text, float(row.confidence.max()), row.confidence.copy())
        if row.text
        else Classification("", 0.0, none.copy())
        for row in rows
    ]
