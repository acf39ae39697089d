"""One C99 file by emx-onnx-cgen as an engine of the proof, compiled and run on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from weakref import finalize

import numpy as np
from hello_runtime.model.model_file import MODEL_NAME
from hello_train.network.config import ModelConfig

from hello_export.graph.signature import TensorSpec, inputs, outputs
from hello_export.proof.cases import Case
from hello_export.proof.engines import Array, Engine, Outputs
from hello_export.proof.isolation import PATIENCE, describe_exit

COMPILERS = ("cc", "gcc", "clang")
"""The C compilers that are looked for, in this order; the variable CC names another."""
OPTIONS = ("-std=c99", "-O2")
SECONDS = PATIENCE // 2
"""Most seconds that the compiler, or the program, gets for a case: they end before their parent."""
C_TYPES = {"float32": "float", "int32": "int32_t"}
"""C's name of a type, by numpy's name."""

MAIN = """\
#include <stdio.h>
#include <stdlib.h>
#include "model.c"

{arrays}

/* Reads rows of as many code points as its argument says, and writes each step's outputs. */
int main(int count, char **arguments) {{
    long time = count > 1 ? atol(arguments[1]) : 0;
    FILE *input = fopen("input", "rb"), *output = fopen("output", "wb");
    if (time < 1 || !input || !output || !model_load("model.bin")) return 1;
    for (long step = 0; fread(codepoints, sizeof codepoints, 1, input) == 1; step++) {{
        if (step % time == 0) memset(state, 0, sizeof state);
        model({parameters});
{writes}
        memcpy(state, state_out, sizeof state);
    }}
    return fclose(output) != 0;
}}
"""


class CSource(Engine):
    """The C file, which reads one character of one row at a time."""

    name = "emx-onnx-cgen"
    role = "witness"
    distribution = "emx-onnx-cgen"
    library = "emx_onnx_cgen"
    largest_case = 1100
    """Its loops are plain, and a wide network a hundred times as slow as with onnxruntime."""
    writes_files = True

    @classmethod
    def missing(cls) -> str | None:
        """Return what is not installed, or None."""
        if said := super().missing():
            return said
        tried = " or ".join(command[0] for command in c_compilers())
        return None if c_compiler() else f"it needs a C compiler, which is not installed ({tried})"

    @classmethod
    def limit(cls, config: ModelConfig) -> str | None:
        """Return what it lacks, or None."""
        return None if config.has_state else "it reads one character at a time, not whole lines"

    def __init__(self, config: ModelConfig, folder: Path) -> None:
        """Generate the C file, and compile it with a program that calls it.

        Raises:
            RuntimeError: the compiler fails; the text is its first error.
        """
        self._outputs = outputs(config)
        self._folder = Path(mkdtemp())
        self._delete = finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        source, weights = generate(folder / MODEL_NAME)
        (self._folder / "model.c").write_text(source, encoding="utf-8")
        (self._folder / "model.bin").write_bytes(weights)
        (self._folder / "main.c").write_text(main_program(config), encoding="utf-8")
        self._program = self._folder / "main.exe"  # Windows asks for that ending
        command = c_compiler() or c_compilers()[0]
        self._call(
            "the C compiler", [*command, *OPTIONS, "main.c", "-o", self._program.name, "-lm"]
        )

    def run(self, case: Case) -> Outputs:
        """Return the outputs of a case: row by row, and each row character by character.

        A row's padding is read too, because `state_out` is the state after it.
        """
        batch, time = case.codepoints.shape
        (self._folder / "input").write_bytes(case.codepoints.astype(np.int32).tobytes())
        self._call("the C program", [str(self._program), str(time)])
        steps = np.fromfile(self._folder / "output", record(self._outputs)).reshape(batch, time)
        found: dict[str, Array] = {name: steps[name] for name in steps.dtype.names or ()}
        return {**found, "state_out": np.moveaxis(found["state_out"][:, -1], 0, 1)}

    def close(self) -> None:
        """Delete its files; that also happens when nothing refers to this engine any more."""
        self._delete()

    def _call(self, who: str, command: Sequence[str]) -> None:
        """Run a command in the folder of the files.

        Raises:
            RuntimeError: it fails, or has not ended in time.
        """
        try:
            ended = subprocess.run(
                command, cwd=self._folder, stdin=subprocess.DEVNULL, capture_output=True,
                timeout=SECONDS, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"{who} has not ended in {SECONDS} seconds") from None
        if ended.returncode:
            said = ended.stderr.decode(errors="replace").splitlines()
            error = next((f": {line}" for line in said if "error" in line), "")
            raise RuntimeError(f"{who} failed ({describe_exit(ended.returncode)}){error}")


def c_compilers() -> list[list[str]]:
    """Return the commands that may be the C compiler, the first one first."""
    named = os.environ.get("CC", "").split()
    return [named] if named else [[name] for name in COMPILERS]


def c_compiler() -> list[str] | None:
    """Return the command of the C compiler, or None where there is none."""
    return next((command for command in c_compilers() if shutil.which(command[0])), None)


class OnDemand:
    """A template of jinja2 that is read when it is first used."""

    def __init__(self, read: Callable[[], Any]) -> None:
        self._template = cache(read)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._template(), name)


@contextmanager
def templates_on_demand() -> Iterator[None]:
    """Have jinja2 read a template when it is used, and not when it is asked for, in this context.

    emx-onnx-cgen asks for all its templates, 190 of them, and reading them takes a second; a graph
    of ours needs eight.
    """
    from jinja2 import Environment

    read = Environment.get_template
    Environment.get_template = lambda *given: OnDemand(partial(read, *given))  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        Environment.get_template = read  # type: ignore[method-assign]


def generate(model_file: Path) -> tuple[str, bytes]:
    """Return a model's C file, for one row and one character, and the file of its weights.

    Weights beyond 100 kB go into that second file, because compiling them takes long.

    The metadata is left out: emx-onnx-cgen writes it into a comment, and a text in it that ends the
    comment would make code of the rest.
    """
    import onnx
    from emx_onnx_cgen import Compiler

    model = onnx.load(model_file)
    model.ClearField("metadata_props")
    for tensor in (*model.graph.input, *model.graph.output):
        for axis in tensor.type.tensor_type.shape.dim:
            if axis.dim_param:
                axis.dim_value = 1
    with templates_on_demand():
        source, weights = Compiler().compile_with_weight_data(model)
    return source, weights or b""


def main_program(config: ModelConfig) -> str:
    """Return the program that calls the C file of such a network."""
    results = [tensor.name for tensor in outputs(config)]
    arrays = [declare(tensor) for tensor in (*inputs(config), *outputs(config))]
    writes = [f"        fwrite({name}, sizeof {name}, 1, output);" for name in results]
    return MAIN.format(
        arrays="\n".join(arrays),
        parameters=", ".join(["codepoints", "state", *results]),
        writes="\n".join(writes),
    )


def declare(tensor: TensorSpec) -> str:
    """Return an array of a single row and step as C declares it."""
    sizes = "".join("[1]" if isinstance(axis, str) else f"[{axis}]" for axis in tensor.axes)
    return f"static {C_TYPES[tensor.dtype]} {tensor.name}{sizes};"


def record(tensors: Sequence[TensorSpec]) -> np.dtype[Any]:
    """Return the type of one step's outputs, each without its axes of length 1."""
    return np.dtype(
        [
            (tensor.name, tensor.dtype, tuple(a for a in tensor.axes if not isinstance(a, str)))
            for tensor in tensors
        ]
    )
