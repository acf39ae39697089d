"""Lines with a class, `text TAB class`, and how many of them a model classifies right."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from hello_runtime.errors import InputError
from hello_runtime.text.measures import MODEL, MOST_FREQUENT
from hello_runtime.text.normal_forms import normalise
from hello_runtime.text.pairs import TAB, Pair, decode_pairs, normalising

if TYPE_CHECKING:
    from hello_runtime.decoder import Decoder
    from hello_runtime.text.measures import Measures


def parse_class(line: str) -> Pair:
    r"""Return the text and the class of a line; the text may have tabs of its own.

    >>> parse_class("Kowalski\tPolish")
    Pair(input='Kowalski', target='Polish')

    Raises:
        InputError: the line has no tab, or nothing behind its last one.
    """
    text, tab, name = line.rpartition(TAB)
    if not tab:
        raise InputError("there is no tab; write text, tab, class")
    if not name:
        raise InputError("there is no class behind the tab; write text, tab, class")
    return Pair(text, name)


def score_classes(decoder: Decoder, path: Path) -> dict[str, Measures]:
    """Return the accuracy of a classifier on a file, beside that of its most frequent class.

    Raises:
        InputError: the file holds no such line or cannot be read, or a line has a character that
            the model refuses.
        TaskError: the model's task is `next`.
        EngineError: onnxruntime failed.
    """
    classes: Counter[str] = Counter()
    right = 0
    form = decoder.info.normalization
    with closing(decode_pairs(decoder, path, normalising(parse_class, form))) as decoded:
        for block, outputs in decoded:
            targets = [pair.target for _, pair in block]
            classes.update(targets)
            # The classes of a network from outside are in any form.
            found = [normalise(output, form) for output in outputs]
            right += sum(map(str.__eq__, targets, found))
    count = classes.total()
    if not count:
        raise InputError(f"{path}: the file is empty; it must hold lines of text, tab, class")
    ((_, most),) = classes.most_common(1)
    return {
        MOST_FREQUENT: {"accuracy": most / count, "line_count": count},
        MODEL: {"accuracy": right / count, "line_count": count},
    }
