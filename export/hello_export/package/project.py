"""Writes a project whose wheel has a model inside, and needs hello-rnn's runtime alone.

A project is written whole or not at all, and takes the place of a project that we wrote, as long as
nobody has changed it: `RECORD_NAME` in it has the digest of each file.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hello_runtime import __version__
from hello_runtime.errors import DAMAGE, reason
from hello_runtime.model.model_file import MODEL_NAME
from hello_runtime.text.files import folder_beside
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from hello_export.errors import ArtifactError, PackageError
from hello_export.folders import is_folder, is_stray, put_in_place
from hello_export.manifest import LARGEST_MANIFEST, digest, read_plain
from hello_export.package.names import check_name
from hello_export.progress import SILENT, Progress

if TYPE_CHECKING:
    from hello_train.network.config import ModelConfig

    from hello_export.artifact import Export
    from hello_export.job import ExportJob
    from hello_export.package.goldens import Golden

RECORD_NAME = "hello-export.json"
"""The file that marks a project of ours: the package's name and the digests of the other files."""
TEMPLATES = {
    "pyproject.toml": "pyproject.toml",
    "MANIFEST.in": "MANIFEST.in",
    "README.md": "README.md",
    "src/{}/__init__.py": "init.py",
    "src/{}/__main__.py": "main.py",
    "src/{}/cli.py": "cli.py",
    "tests/test_{}.py": "test.py",
}
"""The template of each file that is written from one, in `templates/package`."""
GOLDEN_NAME = "tests/golden.json"
REMADE = ("__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache")
"""Folders that tools make anew; beside them `build`, at the top, and `*.egg-info`."""
SHOWN = 3
"""Faults of a folder that an error names."""
DOES = {
    "rewrite": "Rewrites text",
    "classify": "Says of which class a line of text is",
    "next": "Generates text",
}
"""What a model of each task does."""


def check_project(folder: Path) -> None:
    """Raise a PackageError unless a path is free, or holds a project as we wrote it alone."""
    if not is_folder(folder, PackageError):
        return
    digests = recorded(folder)
    faults = []
    for path in kept_files(folder):
        name = path.relative_to(folder).as_posix()
        if name == RECORD_NAME and digests:
            continue
        if name not in digests:
            why = f"it holds {name!r}, which is no file of a package that hello-export wrote"
            faults.append(why)
        elif path.is_symlink() or digest(path.read_bytes()) != digests[name]:
            faults.append(f"its {name} has changed since hello-export wrote it")
    if faults:
        listed = ", and ".join(faults[:SHOWN]) + (", and more" if len(faults) > SHOWN else "")
        raise PackageError(f"cannot write {folder}: {listed}; name another folder with --output")


def recorded(folder: Path) -> dict[str, str]:
    """Return the digest of each file of a project; none if the folder is no project of ours."""
    try:
        record = json.loads(read_plain(folder / RECORD_NAME, LARGEST_MANIFEST))
        return {str(name): str(value) for name, value in record["sha256"].items()}
    except (ArtifactError, *DAMAGE):
        return {}


def kept_files(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder, in order, but for stray ones and what tools make anew."""
    is_project = (folder / RECORD_NAME).exists()  # a foreign folder may hold nothing but `build`
    for path in sorted(folder.iterdir()):
        is_built = path.suffix == ".egg-info" or (is_project and path.name == "build")
        if path.name in REMADE or is_built:
            continue
        if path.is_dir() and not path.is_symlink():
            yield from kept_files(path)
        elif not is_stray(path):
            yield path


def write_package(name: str, job: ExportJob, progress: Progress = SILENT) -> Export:
    """Export a network as `write_artifact` does, and put the project `name` with it in place.

    Raises:
        PackageError: the name or the folder is refused, or cannot be written.
        ParityError: a file does not give what PyTorch gives; nothing was written.
        ExportError: see `write_artifact`.
    """
    from hello_export.artifact import write_artifact
    from hello_export.graph.rounding import round_weights
    from hello_export.package.goldens import golden_texts

    check_name(name)
    folder = Path(os.path.realpath(job.folder))
    check_project(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder_beside(folder) as beside:
            artifact = beside / f"{folder.name}.artifact"
            export = write_artifact(replace(job, folder=artifact), progress)
            progress.phase(f"writing the package {name}")
            golden = golden_texts(round_weights(job.network, job.storage), job.training)
            unfinished = beside / folder.name
            content = (artifact / MODEL_NAME).read_bytes()
            write_files(unfinished, files_of(name, job.network.config, golden, content))
            put_in_place(unfinished, folder)
    except OSError as error:
        raise PackageError(f"cannot write {folder}: {reason(error)}") from error
    return export


def files_of(
    name: str, config: ModelConfig, golden: Sequence[Golden], model: bytes
) -> dict[str, bytes]:
    """Return the content of each file of a project, by its path; `model` is the model file's."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parents[1] / "templates" / "package"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    values = values_of(name, config, golden)
    files = {
        path.format(name): environment.get_template(f"{template}.jinja").render(values).encode()
        for path, template in TEMPLATES.items()
    }
    files[f"src/{name}/py.typed"] = b""
    files[f"src/{name}/{MODEL_NAME}"] = model
    files[GOLDEN_NAME] = as_json([row._asdict() for row in golden])
    digests = {path: digest(content) for path, content in sorted(files.items())}
    return files | {RECORD_NAME: as_json({"package": name, "sha256": digests})}


def values_of(name: str, config: ModelConfig, golden: Sequence[Golden]) -> dict[str, Any]:
    """Return what the templates take.

    Texts of the model are in it as literals of Python or words of a shell only, so that they cannot
    become code.
    """
    from hello_export.intake.account import summary

    shown = next((row for row in golden if row.input.isprintable()), golden[0])
    return {
        "name": name,
        "task": config.task,
        "causal": not config.bidirectional,
        "unknown": config.unknown,
        "does": DOES[config.task],
        "description": f"{DOES[config.task]}, with a network of {config.hidden_size} hidden values",
        "network": summary(config),
        "text": literal(shown.input),
        "output": literal(shown.output),
        "word": word_of(shown.input),
        "prompt": f"--prompt={quoted(shown.input)}",
        "hello_rnn": __version__,
        "python": metadata("hello-rnn")["Requires-Python"],
    }


def literal(text: str) -> str:
    """Return a text as a literal of Python."""
    return json.dumps(text, ensure_ascii=False) if text.isprintable() else repr(text)


def word_of(text: str) -> str:
    """Return a text as the argument of a command in a shell, behind `--` if it begins with `-`."""
    return f"-- {quoted(text)}" if text[:1] == "-" else quoted(text)


def quoted(text: str) -> str:
    """Return a text as a word of a shell; TEXT if it cannot be shown."""
    return shlex.quote(text) if text.isprintable() else "TEXT"


def as_json(value: object) -> bytes:
    """Return a value as a file of JSON."""
    return f"{json.dumps(value, ensure_ascii=False, indent=1)}\n".encode()


def write_files(folder: Path, files: dict[str, bytes]) -> None:
    """Write files, by their paths, into a new folder."""
    for path, content in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
