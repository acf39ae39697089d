"""Compares exported files with eager PyTorch: names, axes, shapes, types, then values.

The cases have shapes of every kind; the graph was built for none of them. An engine that is not
installed, or is known not to run a network, stays in the report with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeAlias

import numpy as np
import torch
from hello_runtime.engine.copying import with_copies
from hello_runtime.errors import first_line
from hello_runtime.text.codepoints import ascending_codepoints
from hello_runtime.text.edits import KEEP, NOTHING
from hello_train.fit.threads import one_thread
from hello_train.network.config import ModelConfig
from hello_train.network.model import Network

from hello_export.errors import ParityError
from hello_export.graph.signature import outputs
from hello_export.progress import SILENT, Progress
from hello_export.proof.cases import Case
from hello_export.proof.condition import Expected, MeasuredReference
from hello_export.proof.engines import LARGE, Array, Engine, Outputs
from hello_export.proof.isolation import Opened
from hello_export.proof.reference import Forward, Row
from hello_export.proof.verdict import (
    NUMBERS,
    TOLERANCE,
    Difference,
    Report,
    Verdict,
    make_report,
)

PYTORCH = "PyTorch"
"""The reference's name in the progress."""
SHOWN_CHARACTERS = 60
"""Most characters of a failing input that a message shows: those up to the failing one."""
Place: TypeAlias = Callable[[int], str]
"""Returns where a step of a row is, counted from 1, and the text up to it."""


def compare(
    network: Network,
    engines: Sequence[Opened],
    cases: Iterable[Case],
    progress: Progress = SILENT,
    *,
    strict: bool = False,
    forward: Forward | None = None,
) -> Report:
    """Run the cases on all engines and compare each result with eager PyTorch.

    Args:
        network: the reference.
        engines: those that opened the exported files; one that fails gets no more cases.
        cases: the batches.
        progress: advanced by each case that an engine, or `PYTORCH`, has finished.
        strict: whether witnesses are targets too.
        forward: that of the module that the network came in as, which then gives the logits.

    Raises:
        ParityError: PyTorch's own numbers are not finite, so there is nothing to compare with.
    """
    reference = MeasuredReference(network, forward)
    rounding = Verdict("PyTorch float64", torch.__version__, "measure")
    verdicts = [begin(engine.kind, strict=strict) for engine in engines]
    with one_thread(), ThreadPoolExecutor(len(engines) + 1) as pool:
        try:
            list(pool.map(check_declaration, engines, verdicts))
            for case in cases:
                # The engines run beside PyTorch, most of them in processes of their own.
                run = partial(run_engine, network.config, case, progress)
                results = pool.map(run, engines, verdicts)
                expected = reference.run(case)
                if case.characters <= LARGE:  # float64 is slow too
                    exact = reference.run_float64(case)
                    compare_case(rounding, network.config, case, expected, exact)
                progress.advance(PYTORCH, case.characters)
                for verdict, rows in zip(verdicts, results, strict=True):
                    if rows is not None:
                        compare_case(verdict, network.config, case, expected, rows)
        except BaseException:  # Ctrl-C too: a thread of the pool may wait for a hanging engine
            for engine in engines:
                engine.close()
            raise
    return make_report(rounding, verdicts)


def begin(engine: type[Engine], *, strict: bool) -> Verdict:
    """Return the verdict on an engine before it is compared; `strict` makes each a target."""
    role = "target" if strict else engine.role
    return Verdict(engine.name, engine.installed_version() or "-", role, engine.activation_error)


def check_declaration(engine: Opened, verdict: Verdict) -> None:
    """Have an engine check what its file declares; a failure goes into the verdict."""
    try:
        engine.check_declaration()
    except ParityError as error:
        verdict.failure = str(error)


def run_engine(
    config: ModelConfig, case: Case, progress: Progress, engine: Opened, verdict: Verdict
) -> list[Row] | None:
    """Return an engine's outputs for each row of a case.

    None if it fails or has failed, or the case is too large for it.
    """
    kind = engine.kind
    try:
        if verdict.failure or case.characters > kind.largest_case:
            return None
        found = engine.run(case)
        check_shapes(kind.name, config, case, found)
        refuses = config.task == "rewrite" and config.unknown == "error"
        if refuses and not kind.copies_refused:
            # What a graph says of such characters is nobody's: its runtime lets none through, or
            # copies them itself.
            found = with_copies(found, case.codepoints, ascending_codepoints(config.input_alphabet))
    except ParityError as error:
        verdict.failure = str(error)
    except Exception as error:  # each engine raises classes of its own
        verdict.failure = f"{kind.name} fails on {case}: {first_line(error)}"
    else:
        return rows_of(case, found)
    finally:
        progress.advance(kind.name, case.characters)
    return None


def check_shapes(engine: str, config: ModelConfig, case: Case, found: Outputs) -> None:
    """Raise a ParityError unless each output has the type and shape of the signature."""
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
    """Return an engine's outputs for each row, without padding.

    A padded row has no `state_out`: its padding has gone into it.
    """
    rows: list[Row] = []
    if "label" in found:  # of the whole line, which is a single step
        return [
            {name: array[index : index + 1] for name, array in found.items()}
            for index in range(len(case.lengths))
        ]
    for index, length in enumerate(case.lengths.tolist()):
        row = {name: array[index, :length] for name, array in found.items() if name != "state_out"}
        if "state_out" in found and length == case.codepoints.shape[1]:
            row["state_out"] = found["state_out"][:, index]
        rows.append(row)
    return rows


def compare_case(
    verdict: Verdict, config: ModelConfig, case: Case, expected: list[Expected], found: list[Row]
) -> None:
    """Add the differences of a case's rows to an engine's verdict."""
    verdict.cases += 1
    verdict.characters += case.characters
    verdict.choice = "label" if config.task == "classify" else "decoded"
    verdict.choices += len(case.rows) if config.task == "classify" else case.characters
    for index, (text, wanted, row) in enumerate(zip(case.rows, expected, found, strict=True)):
        place = place_in(config, case, index, text)
        for tensor, difference in differences(wanted, row, place):
            verdict.add(tensor, difference)
        if "decoded" in row:
            verdict.mismatches += mismatches(config, text, wanted, row["decoded"], place)
        if "label" in row:
            verdict.mismatches += other_class(wanted, row["label"], place)


def differences(expected: Expected, found: Row, place: Place) -> Iterator[tuple[str, Difference]]:
    """Yield those differences of a row that can change a verdict, for each tensor.

    They are at the steps with the largest difference, the largest share of the condition, the
    largest such share beyond `TOLERANCE` (smaller differences pass whatever their share, and must
    not hide it), and the largest condition.
    """
    steps, state = expected.condition
    with np.errstate(invalid="ignore"):  # NaN becomes infinity below
        for tensor in found.keys() & set(NUMBERS):
            sizes = np.abs(found[tensor] - expected.row[tensor])
            sizes[~np.isfinite(sizes)] = np.inf
            if tensor == "state_out":
                yield tensor, Difference(float(sizes.max()), state, place(len(steps)))
            else:
                by_step = sizes.reshape(len(steps), -1).max(1)
                share = by_step / steps
                beyond = np.where(by_step > TOLERANCE, share, 0)
                for step in {int(values.argmax()) for values in (by_step, share, beyond, steps)}:
                    size, condition = float(by_step[step]), float(steps[step])
                    yield tensor, Difference(size, condition, place(step + 1))


def mismatches(
    config: ModelConfig,
    text: list[int],
    expected: Expected,
    decoded: Array,
    place: Place,
) -> list[Difference]:
    """Return one difference for each character of a row that was decoded otherwise."""
    differs = decoded != expected.row["decoded"]
    steps = np.flatnonzero(differs.reshape(len(text), -1).any(1)).tolist()
    first = place(steps[0] + 1) if steps else ""
    found = []
    for step in steps:
        labels = labels_that_write(config, text[step], np.ravel(decoded[step]).tolist())
        margin = float("inf")
        copied = config.copies_unknown and chr(text[step]) not in config.input_alphabet
        if labels and not copied:
            logits: Array = expected.row["logits"][step]
            margin = float(logits.max() - logits[labels].max())
        found.append(Difference(margin, float(expected.condition.steps[step]), first))
    return found


def other_class(expected: Expected, label: Array, place: Place) -> list[Difference]:
    """Return one difference if a line, [1], got another class; none otherwise."""
    if label[0] == expected.row["label"][0]:
        return []
    logits: Array = expected.row["logits"][0]
    is_class = 0 <= label[0] < len(logits)
    margin = float(logits.max() - logits[label[0]]) if is_class else float("inf")
    return [Difference(margin, float(expected.condition.steps[0]), place(1))]


def labels_that_write(config: ModelConfig, codepoint: int, written: list[int]) -> list[int]:
    """Return the labels that write this for a code point; it has NOTHING behind shorter edits."""
    nothing = [NOTHING] * len(written)
    return [
        label
        for label, edit in enumerate(config.output_labels)
        if written
        == [codepoint if char is KEEP else ord(char) for char in edit] + nothing[len(edit) :]
    ]


def place_in(config: ModelConfig, case: Case, index: int, text: list[int]) -> Place:
    """Return what names the places of a row, which reads `text`.

    The single step of a classifier is at the end of the line.
    """

    def place(step: int) -> str:
        length = len(text) if config.task == "classify" else step
        shown = "".join(map(chr, text[max(0, length - SHOWN_CHARACTERS) : length]))
        cut = "..." if length > SHOWN_CHARACTERS else ""
        return f"{cut}{shown!r} ({case}, row {index + 1}, character {length})"

    return place
