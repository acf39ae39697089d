"""Writes an artifact folder: the exported files, the checkpoint and the proof, or nothing at all.

`model.onnx` and `model.pt` are the exported files. `checkpoint.safetensors` is the network that
they must agree with, so that anyone can compare them again. `manifest.json` says how the files were
made and what the comparison found. `baseline.json` is the run's, for `hello-infer --score`; a run
without one, such as hello, exports none.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import onnx
from hello_runtime.errors import reason
from hello_runtime.model.model_file import MODEL_NAME
from hello_runtime.text.baseline import BASELINE_NAME, read_baseline
from hello_runtime.text.files import folder_beside
from hello_train.network.checkpoint import save_checkpoint
from hello_train.network.model import Network

from hello_export.errors import ArtifactError
from hello_export.folders import check_replaceable, put_in_place
from hello_export.graph.onnx_graph import build_model
from hello_export.graph.rounding import round_weights
from hello_export.graph.torchscript import PROGRAM_NAME, save_program
from hello_export.job import ExportJob
from hello_export.manifest import write_manifest
from hello_export.progress import SILENT, Progress
from hello_export.proof.cases import count_characters, grid_cases, module_cases
from hello_export.proof.prove import prove
from hello_export.proof.table import proof_table
from hello_export.proof.verdict import Report
from hello_export.rounding_cost import RoundingCost, rounding_cost


@dataclass(frozen=True)
class Export:
    """What an export found out."""

    report: Report
    """The proof."""
    cost: RoundingCost | None
    """What smaller weights save and cost; None for float32."""

    def __str__(self) -> str:
        cost = f"\nsmaller weights: {self.cost}" if self.cost else ""
        return f"{proof_table(self.report)}{cost}"


def write_artifact(job: ExportJob, progress: Progress = SILENT) -> Export:
    """Export a network, prove the files by parity, and put the folder in place.

    Raises:
        BaselineError: the baseline is damaged.
        ParityError: a file does not give what PyTorch gives; nothing was written.
        ArtifactError: the folder cannot be written, or holds something else.
        ExportError: the weights cannot be rounded so.
    """
    baseline = job.baseline
    folder = Path(os.path.realpath(job.folder))
    check_replaceable(folder)
    if baseline:
        if not baseline.is_file():  # reading from a pipe would wait
            raise ArtifactError(f"{baseline}: it is no file; remove it, or train the run again")
        read_baseline(baseline)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder_beside(folder) as beside:
            unfinished = beside / folder.name
            unfinished.mkdir()
            if baseline:
                shutil.copyfile(baseline, unfinished / BASELINE_NAME)
            export = write_files(job, unfinished, progress)
            put_in_place(unfinished, folder)
    except OSError as error:
        raise ArtifactError(f"cannot write {folder}: {reason(error)}") from error
    return export


def write_files(job: ExportJob, folder: Path, progress: Progress) -> Export:
    """Write an artifact's files, and the manifest once the others have passed the proof."""
    network, training, storage = job.network, job.training, job.storage
    progress.phase(f"writing {MODEL_NAME} and {PROGRAM_NAME}")
    rounded = round_weights(network, storage)
    onnx.save(build_model(rounded, training, storage), folder / MODEL_NAME)
    save_program(rounded, folder / PROGRAM_NAME)
    save_checkpoint(folder, network, training)
    report = prove(
        rounded,
        folder,
        module_cases(network.config) if job.forward else grid_cases(network.config),
        strict=job.strict,
        characters=count_characters(network.config),
        progress=progress,
        forward=job.forward,
        processes=job.processes,
    )
    report.check()
    cost = cost_of(job, rounded, folder / MODEL_NAME, progress)
    entries = {
        "config": network.config.to_json(),
        "training": training.record(),
        "weights": storage,
        "rounding_cost": cost.to_json() if cost else None,
        "parity": report.to_json(),
    }
    write_manifest(folder, network.config.format_version, entries)
    return Export(report, cost)


def cost_of(
    job: ExportJob, rounded: Network, model: Path, progress: Progress
) -> RoundingCost | None:
    """Return what the rounded weights in a model file save and cost; None for float32."""
    if job.storage == "float32":
        return None
    progress.phase(f"measuring what {job.storage} costs, on text")
    return rounding_cost(
        job.network,
        rounded,
        job.held_out,
        size=model.stat().st_size,
        float32_size=build_model(job.network, job.training).ByteSize(),
    )
