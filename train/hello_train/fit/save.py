"""The files of a finished run, in the order in which they are written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hello_runtime.text.baseline import BASELINE_NAME, Baseline, write_baseline
from hello_runtime.text.pairs import AnyPair

from hello_train.files import REPORT_NAME
from hello_train.fit.holdout import save_holdout
from hello_train.network.checkpoint import save_checkpoint

if TYPE_CHECKING:
    from hello_train.report.pages import Run


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
