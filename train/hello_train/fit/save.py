"""The files of a run: whether they can be written, and the order in which they are."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hello_runtime.model.kinds import ARTIFACT, PROJECT, kind_of
from hello_runtime.text.baseline import BASELINE_NAME, Baseline, write_baseline
from hello_runtime.text.files import is_utf8
from hello_runtime.text.pairs import AnyPair

from hello_train.errors import CheckpointError
from hello_train.files import CHECKPOINT_NAME, REPORT_NAME
from hello_train.fit.holdout import save_holdout
from hello_train.network.checkpoint import save_checkpoint

if TYPE_CHECKING:
    from hello_train.report.pages import Run


def check_writable(folder: Path, names: Sequence[str]) -> None:
    """Check before a training that its run, with files of these names, can be saved.

    Raises:
        CheckpointError: it cannot be saved.
    """
    if not is_utf8(folder):
        raise CheckpointError(
            f"cannot write {folder}: safetensors opens no name that is not UTF-8; name another "
            f"folder with --output"
        )
    file = folder / CHECKPOINT_NAME
    existing = next(
        parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists()
    )
    if not existing.is_dir():
        raise CheckpointError(f"cannot write {file}: {existing} is not a folder")
    if (kind := kind_of(folder)) in (ARTIFACT, PROJECT):
        raise CheckpointError(
            f"cannot write {file}: {folder} is {kind}; name another folder with --output"
        )
    if not os.access(existing, os.W_OK | os.X_OK):
        raise CheckpointError(f"cannot write {file}: no permission in {existing}")
    for name in names:
        if (folder / name).is_dir():
            raise CheckpointError(f"cannot write {folder / name}: it is a folder; move it away")


def save_run(
    folder: Path,
    run: Run,
    page: str,
    holdout: Sequence[AnyPair] = (),
    baseline: Baseline | None = None,
) -> None:
    """Write all files of a run, the checkpoint last: a folder that has it is complete.

    Args:
        folder: it may have the files of an earlier run, which are replaced or removed.
        run: its network and training go into the checkpoint.
        page: its report.
        holdout: the held-out lines.
        baseline: the most frequent targets, of a run that rewrites lines.

    Raises:
        OutputError: the held-out lines or the baseline cannot be written.
        ReportError: the report cannot be written.
        CheckpointError: the checkpoint cannot be written.
    """
    from hello_train.report.pages import write_report

    save_holdout(folder, holdout, run.config.task)
    if baseline is None:
        (folder / BASELINE_NAME).unlink(missing_ok=True)
    else:
        write_baseline(folder / BASELINE_NAME, baseline)
    write_report(folder / REPORT_NAME, page)
    save_checkpoint(folder, run.network, run.training)
