"""The artifact folder: what was exported, its truth and its proof, written whole or not at all.

`model.onnx` and `model.pt` are what was exported, `checkpoint.safetensors` the network that they
must agree with, so that anyone can hold them against it again, and `manifest.json` says how the
files were made, what their digests are and what the comparison found. `baseline.json` is that of
the run, for `hello-infer --score`; a run that has none, such as hello, exports none.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from importlib.metadata import version
from itertools import accumulate
from pathlib import Path
from typing import Any

import onnx
from hello_runtime.errors import reason
from hello_runtime.model.model_file import FORMAT_VERSION, MODEL_NAME
from hello_runtime.text.files import copy_permissions, folder_beside, is_utf8
from hello_runtime.text.score import BASELINE_NAME, read_baseline
from hello_train.files import CHECKPOINT_NAME
from hello_train.network.checkpoint import Training, save_checkpoint
from hello_train.network.model import Network

from hello_export.errors import ArtifactError
from hello_export.files import LARGEST_MANIFEST, read_plain
from hello_export.graph.onnx_graph import build_model
from hello_export.graph.rounding import agreement, round_weights
from hello_export.graph.storage import STORAGES, Storage
from hello_export.graph.torchscript import PROGRAM_NAME, save_program
from hello_export.progress import SILENT, Progress
from hello_export.proof.cases import RandomText, count_characters, grid_cases
from hello_export.proof.engines import OnnxRuntime
from hello_export.proof.parity import Report
from hello_export.proof.prove import prove

MANIFEST_NAME = "manifest.json"
CONTENT = (MODEL_NAME, PROGRAM_NAME, CHECKPOINT_NAME)
"""The files that the manifest has the digests of, and of `BASELINE_NAME` where it is there."""
OURS = frozenset({*CONTENT, BASELINE_NAME, MANIFEST_NAME})
LEFT_BY_OTHERS = (
    ".DS_Store", "._*", "Thumbs.db", "desktop.ini", ".directory",
    "*~", "#*#", ".*.sw[a-p]", ".~lock.*#",
)  # fmt: skip
"""Names of what desktops, and editors at work or after it, leave beside the files of a folder."""
MOST_CHARACTERS = 1_000_000
"""Of held-out text that smaller weights are judged by; the first ones."""
TOOLS = ("hello-rnn", "torch", "onnx", "numpy")


@dataclass(frozen=True)
class RoundingCost:
    """What smaller weights save, and what they cost."""

    bytes: int
    """Of the model file."""
    float32_bytes: int
    """Of the same with its weights in float32."""
    agreement: float
    """Share of the characters that are written as with float32, 0 to 1."""
    characters: int
    text: str
    """Which characters, in words."""

    def __str__(self) -> str:
        return (
            f"{MODEL_NAME} has {self.bytes / 1000:.1f} kB, and {self.float32_bytes / 1000:.1f} kB "
            f"in float32; of {self.characters} characters that leave a choice, {self.text}, "
            f"{self.agreement:.4%} are written as with float32"
        )


@dataclass(frozen=True)
class Export:
    """What was exported, and how well."""

    report: Report
    """The proof."""
    cost: RoundingCost | None
    """None where the weights are those of the network."""


def write_artifact(
    network: Network,
    training: Training,
    folder: Path,
    storage: Storage = "float32",
    lines: Sequence[str] = (),
    baseline: Path | None = None,
    progress: Progress = SILENT,
) -> Export:
    """Export a network, prove the files by parity, and put the folder into its place.

    Args:
        network: what to export.
        training: what the files say of its training.
        folder: where to.
        storage: how `model.onnx` keeps the weights.
        lines: held-out text to judge smaller weights by; without any it is drawn at random.
        baseline: the run's file of most frequent targets, to carry along.
        progress: is told what is done and how far it is.

    Raises:
        BaselineError: the baseline is damaged.
        ParityError: a file does not say what PyTorch says; nothing was written.
        ArtifactError: the folder cannot be written, or holds something else.
        ExportError: the weights cannot be rounded so.
    """
    folder = Path(os.path.realpath(folder))
    check_replaceable(folder)
    if baseline:
        if not baseline.is_file():  # a pipe would be waited for
            raise ArtifactError(f"{baseline}: it is no file; remove it, or train the run again")
        read_baseline(baseline)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder_beside(folder) as beside:
            unfinished = beside / folder.name
            unfinished.mkdir()
            if baseline:
                shutil.copyfile(baseline, unfinished / BASELINE_NAME)
            export = write_files(network, training, unfinished, storage, lines, progress)
            keep_what_others_left(folder, unfinished)
            put_in_place(unfinished, folder)
    except OSError as error:
        raise ArtifactError(f"cannot write {folder}: {reason(error)}") from error
    return export


def write_files(
    network: Network,
    training: Training,
    folder: Path,
    storage: Storage,
    lines: Sequence[str],
    progress: Progress,
) -> Export:
    """Write the files of an artifact; the manifest only after parity has passed on the others."""
    progress.phase(f"writing {MODEL_NAME} and {PROGRAM_NAME}")
    rounded = round_weights(network, storage)
    onnx.save(build_model(rounded, training, storage), folder / MODEL_NAME)
    save_program(rounded, folder / PROGRAM_NAME)
    save_checkpoint(folder, network, training)
    report = prove(
        rounded,
        folder,
        grid_cases(network.config),
        characters=count_characters(network.config),
        progress=progress,
    )
    report.check()
    cost = None
    if storage != "float32":
        progress.phase(f"measuring what {storage} costs, on text")
        cost = rounding_cost(network, rounded, training, folder / MODEL_NAME, lines)
    export = Export(report, cost)
    text = json.dumps(
        manifest(network, training, folder, storage, export), ensure_ascii=False, indent=2
    )
    (folder / MANIFEST_NAME).write_text(f"{text}\n", encoding="utf-8")
    return export


def manifest(
    network: Network, training: Training, folder: Path, storage: Storage, export: Export
) -> dict[str, Any]:
    """Return what an artifact says of itself, beside the files in its folder."""
    carried = [BASELINE_NAME] if (folder / BASELINE_NAME).exists() else []
    return {
        "format_version": FORMAT_VERSION,
        "sha256": {name: digest(folder / name) for name in (*CONTENT, *carried)},
        "config": asdict(network.config),
        "training": asdict(training),
        "weights": storage,
        "rounding_cost": asdict(export.cost) if export.cost else None,
        "parity": export.report.to_json(),
        "tools": {
            **{tool: version(tool) for tool in TOOLS},
            "onnxruntime": OnnxRuntime.installed_version(),
        },
    }


def rounding_cost(
    network: Network, rounded: Network, training: Training, file: Path, lines: Sequence[str]
) -> RoundingCost:
    """Measure what rounded weights save in a file, and what they cost on lines of text."""
    text = "of the held-out lines"
    share, characters = agreement(network, rounded, first_characters(lines, MOST_CHARACTERS))
    if not characters:
        text = "drawn from the alphabet, for the run has none held out"
        drawn = RandomText(network.config, seed=0).case(batch=400, time=250)
        drawn_lines = ["".join(map(chr, row)) for row in drawn.rows]
        share, characters = agreement(network, rounded, drawn_lines)
    return RoundingCost(
        bytes=file.stat().st_size,
        float32_bytes=build_model(network, training).ByteSize(),
        agreement=share,
        characters=characters,
        text=text,
    )


def first_characters(lines: Sequence[str], characters: int) -> Sequence[str]:
    """Return the first of the lines, the last one cut, with this many characters at most."""
    starts = accumulate(map(len, lines), initial=0)
    return [
        line[: characters - start]
        for line, start in zip(lines, starts, strict=False)
        if start < characters
    ]


def digest(file: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def check_replaceable(folder: Path) -> None:
    """Refuse to put an artifact in the place of anything but an artifact.

    Raises:
        ArtifactError: something else is there.
    """
    if not is_utf8(folder):
        raise ArtifactError(
            f"cannot write {folder}: onnxruntime and PyTorch open no name that is not UTF-8; name "
            f"another folder with --output"
        )
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ArtifactError(f"cannot write {folder}: it is a file, not a folder")
    held = [path for path in folder.iterdir() if not is_left_by_others(path)]
    others = {path.name for path in held if path.name not in OURS or not path.is_file()}
    if not is_artifact(folder):  # a run has a checkpoint too
        others |= {path.name for path in held}
    if others:
        raise ArtifactError(
            f"cannot write {folder}: it holds {min(others)!r} and is no artifact; name another "
            f"folder with --output"
        )


def is_left_by_others(path: Path) -> bool:
    """Tell whether a file is what a desktop or an editor leaves in a folder."""
    matches = any(fnmatch(path.name, pattern) for pattern in LEFT_BY_OTHERS)
    return matches and path.is_file() and not path.is_symlink()


def keep_what_others_left(folder: Path, unfinished: Path) -> None:
    """Copy what desktops and editors left in a folder to the one that takes its place."""
    if folder.exists():
        for path in filter(is_left_by_others, folder.iterdir()):
            shutil.copy2(path, unfinished / path.name)


def is_artifact(folder: Path) -> bool:
    """Tell whether a folder has the manifest of an artifact."""
    return stored_weights(folder) is not None


def stored_weights(folder: Path) -> Storage | None:
    """Return how the artifact in a folder keeps its weights, or None where there is no artifact."""
    try:
        content = json.loads(read_plain(folder / MANIFEST_NAME, LARGEST_MANIFEST))
    except (ArtifactError, RecursionError, ValueError):
        return None
    if not (isinstance(content, dict) and {"format_version", "sha256", "parity"} <= content.keys()):
        return None
    weights = content.get("weights")
    return next((storage for storage in STORAGES if storage == weights), "float32")


def put_in_place(unfinished: Path, folder: Path) -> None:
    """Rename a finished folder to its place; what was there before ends where it came from.

    Folder and files keep the permissions of those that they replace.
    """
    for path in (*unfinished.iterdir(), unfinished):
        copy_permissions(folder / path.relative_to(unfinished), path)
    if not folder.exists():
        unfinished.rename(folder)
    elif not exchange(unfinished, folder):
        old = unfinished.with_name("old")
        folder.rename(old)
        try:
            unfinished.rename(folder)
        except OSError:
            old.rename(folder)
            raise


def exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in a single step, where the system can; tell whether it did.

    Linux's renameat2(2) with RENAME_EXCHANGE: a reader finds the one or the other, never neither.
    """
    current_directory, rename_exchange = -100, 2
    try:
        renameat2 = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    done: int = renameat2(
        current_directory,
        os.fsencode(one.absolute()),
        current_directory,
        os.fsencode(other.absolute()),
        rename_exchange,
    )
    return done == 0
