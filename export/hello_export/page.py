"""Writes a page with a model inside: one HTML file that decodes as one types, without a network.

The modules of `runtime/js` are in the page as they are, but for their imports and exports. Minified
they would be 4 kB smaller when compressed, but that takes a tool that pip does not install.
"""

from __future__ import annotations

import base64
import re
from pathlib import Path

from hello_runtime import __version__
from hello_runtime.errors import printable, reason
from hello_runtime.model.load import load_model
from hello_runtime.model.metadata import ModelInfo
from hello_runtime.model.model_file import MAX_SIZE
from hello_runtime.text.files import read_regular, write_whole
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from hello_export.errors import PageError
from hello_export.proof.javascript import modules_folder

MODULES = (
    "tensors.mjs",
    "network.mjs",
    "model_file.mjs",
    "drawing.mjs",
    "hello_rnn.mjs",
)
"""The modules of a page, each after those that it imports."""
IMPORT = re.compile(r"^import [^;]*;\n|^export \{[^}]*\};\n|^/\*\* @import .*\n", re.MULTILINE)
EXPORT = re.compile(r"^export ", re.MULTILINE)
GENERATOR = "hello-rnn"
"""How the name of the program begins that is in each page that we wrote."""
MARK = f'<meta name="generator" content="{GENERATOR} '.encode()
MADE = {
    "rewrite": "Output",
    "classify": "Class of each line, and its probability",
    "next": "Continuation",
}
"""What stands over the output, for each task."""
FATES = {
    "copy": "copied",
    "label": "read as one unknown character",
}
"""What becomes of unknown characters, where the model says anything of each of them."""


def check_replaceable(page: Path) -> None:
    """Raise a PageError unless a path is free, or holds a page that we wrote."""
    if not page.parent.is_dir():
        raise PageError(f"cannot write {page}: there is no folder {page.parent}; make it first")
    try:
        if page.exists() and MARK not in read_regular(page, MAX_SIZE):
            raise PageError(f"cannot write {page}: it is no page of hello-export; name another")
    except OSError as error:
        raise PageError(f"cannot write {page}: {reason(error)}") from error


def write_page(model: Path, page: Path) -> int:
    """Write a page with this model inside, in place of an older one; return its size in bytes.

    Raises:
        ModelFileError: the model is damaged.
        PageError: the page cannot be written, or something else is there.
    """
    check_replaceable(page)
    content, info, *_ = load_model(model)
    rendered = render(content, info).encode()
    write_whole(page, rendered, PageError)
    return len(rendered)


def render(content: bytes, info: ModelInfo) -> str:
    """Return the page of a model, given as the bytes of its file and its metadata."""
    policy = "copy" if info.task == "rewrite" and info.unknown == "error" else info.unknown
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
    )
    return environment.get_template("page.html").render(
        generator=f"{GENERATOR} {__version__}",
        title=title(info),
        lead=lead(info),
        example=str(info.training.get("example", "")),
        model=base64.b64encode(content).decode(),
        modules=Markup(bundled()),
        task=info.task,
        made=MADE[info.task],
        policy=policy,
        fate=FATES.get(policy, ""),
    )


def title(info: ModelInfo) -> str:
    """Return what the model learned, or what it is and the file or module that it came from."""
    data, source = info.training.get("data"), info.training.get("source")
    names = source if isinstance(source, dict) else {}
    origin = names.get("file") or names.get("module") or "hello-rnn"
    return printable(str(data or f"{info.cell.upper()} of {origin}"))


def lead(info: ModelInfo) -> str:
    """Return a sentence on the model."""
    layers = "one layer" if info.layers == 1 else f"{info.layers} layers"
    reads = "left to right" if info.causal else "bidirectional"
    return (
        f"{info.cell.upper()}, {layers} of {info.hidden_size} hidden values, {reads}. "
        "The model is in this page: it works offline, and your text stays here."
    )


def bundled() -> str:
    """Return the modules as one text without imports and exports."""
    sources = [(modules_folder() / name).read_text(encoding="utf-8") for name in MODULES]
    return "\n".join(EXPORT.sub("", IMPORT.sub("", source)).strip() for source in sources)
