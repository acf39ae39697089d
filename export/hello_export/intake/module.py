"""Exports a module: its own forward is the truth that the files must agree with."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import click
import torch
from hello_runtime.errors import printable
from hello_runtime.model.model_file import UNKNOWN_POLICIES, Unknown
from hello_runtime.model.tasks import TASKS, Task
from hello_runtime.text.normal_forms import NORMAL_FORMS, NormalForm
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from hello_export.artifact import Export, write_artifact
from hello_export.errors import IntakeError
from hello_export.graph.storage import STORAGES, Storage
from hello_export.intake.agreement import MOST_CHARACTERS, check_forward
from hello_export.intake.alphabets import Entries, Given, GivenLabels
from hello_export.intake.faults import Faults
from hello_export.intake.forward import Call, ModuleForward
from hello_export.intake.network import drawn_logits, find_rows
from hello_export.intake.outside import Outside, Vocabulary, assemble
from hello_export.intake.recognise import Choices, Parts, recognise
from hello_export.intake.submodules import EMBEDDING, Found, find_parts, unchanged
from hello_export.intake.weights import value_faults
from hello_export.job import ExportJob
from hello_export.progress import SILENT, Display, Progress
from hello_export.proof.cases import readable_cases
from hello_export.proof.table import warnings

OPTION = re.compile(r"--([a-z]+(?:-[a-z]+)*)")
"""An option of the command, in an error or account of the modules that the command uses too."""
COMPARING = "comparing the module's forward with its parts"


def export(
    module: nn.Module,
    folder: Path | str,
    *,
    alphabet: Given,
    labels: GivenLabels | None = None,
    task: Task = "rewrite",
    call: Call | None = None,
    normalization: NormalForm = "none",
    unknown: Unknown | None = None,
    unknown_token: str | None = None,
    weights: Storage = "float32",
    strict: bool = False,
    cell: str | None = None,
    nonlinearity: str | None = None,
    embedding: str | None = None,
    linear: str | None = None,
    ignore: str | Sequence[str] = (),
    quiet: bool = False,
) -> Export:
    """Export a module of PyTorch, if the files agree with its own forward.

    The module has one embedding, one recurrence (`nn.RNN`, `nn.GRU`, `nn.LSTM` or a loop of their
    cells) and one linear layer or none. They are found by their classes. The module is left as it
    is: its mode, weights and gradients, and the random generators.

    Args:
        module: the module, in the mode in which it is to be used; mostly after `.eval()`. Half
            precision is compared as a copy of the module in float32.
        folder: where the artifact goes.
        alphabet: the entry of each row of the embedding: a text with one character for each, a
            `.txt` or `.json` file, or a list or mapping.
        labels: the entry of each logit likewise, of which each may also write more characters or
            none; None for the alphabet.
        task: `rewrite`, a label for each character; `next`, the character that comes next; or
            `classify`, the class of the line, of which `labels` has the names.
        call: gets the module and ids, int64 [batch, time], in the embedding's own numbering and on
            the module's device, and returns logits [batch, time, labels], of a classifier [batch,
            labels]. None for `module(ids)`. Of the last two tasks the logarithms of probabilities
            will do.
        normalization: the normal form of Unicode of the text that the module learned, into which
            the model brings what it reads: `nfc`, `nfd` or `none`.
        unknown: what is written for characters that are not in the alphabet: `error`, `copy` or
            `label`. None for `label` if the embedding has a row for them, else for `error`.
        unknown_token: the entry whose row is read for such characters. If the embedding has one
            row more than the alphabet, it is the last row.
        weights: how `model.onnx` stores the weights. If smaller than float32, the files must agree
            with the rounded weights, and the module's forward with those before.
        strict: whether an engine that happens to be installed refuses the export too, if it
            differs. Otherwise that is a line on stderr.
        cell: the recurrence to take, `rnn`, `gru` or `lstm`, if forward calls several.
        nonlinearity: `tanh` or `relu`, if the module does not say it.
        embedding: the name of the embedding's tensor, if classes do not tell.
        linear: the name of the linear layer's weights, or `none`, if classes do not tell.
        ignore: name or names of submodules to leave out, such as a head of another task.
        quiet: whether nothing is written to stderr.

    Returns:
        The proof, which `print` shows as a table, and what smaller weights cost.

    Raises:
        IntakeError: the module has other parts, or its alphabet does not fit.
        ForwardError: the forward does not give what the parts give.
        ParityError: a file does not give what the module gives; nothing was written.
        ArtifactError: the folder cannot be written, or holds something else.

    Example:
        >>> import tempfile, torch, hello_export
        >>> class Tagger(torch.nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.embedding = torch.nn.Embedding(4, 10)
        ...         self.gru = torch.nn.GRU(10, 4, batch_first=True)
        ...     def forward(self, ids):
        ...         return self.gru(self.embedding(ids))[0]
        >>> folder = tempfile.mkdtemp() + "/tagger"
        >>> made = hello_export.export(Tagger().eval(), folder, alphabet="ehlo", quiet=True)
        >>> made.report.check()
    """
    name = type(module).__name__
    check_arguments(module, task, weights, unknown, normalization)
    ignored = (ignore,) if isinstance(ignore, str) else tuple(ignore)
    choices = Choices(cell, nonlinearity, embedding, linear, ignored)
    vocabulary = Vocabulary(alphabet, labels, task, normalization, unknown, unknown_token)
    with unchanged(module), named_errors(name):
        with showing(f"reading {name}", quiet):
            forward, taken = take(module, call, choices, vocabulary)
        tell(taken.account, quiet)
        with showing(COMPARING, quiet) as progress:
            progress.phase(COMPARING)
            proved = weights == "float32"  # the proof of rounded weights knows no forward
            check_forward(
                module,
                forward,
                taken.network,
                readable_cases(taken.network.config),
                most=MOST_CHARACTERS if proved else None,
            )
            job = ExportJob(
                taken.network,
                taken.training,
                Path(folder),
                weights,
                strict=strict,
                forward=forward if proved else None,
            )
            made = write_artifact(job, progress)
        tell(warnings(made.report), quiet)
    return made


def take(
    module: nn.Module, call: Call | None, choices: Choices, vocabulary: Vocabulary
) -> tuple[ModuleForward, Outside]:
    """Return a module's forward, and the network that its parts make.

    Raises:
        IntakeError: the text has all that is wrong.
    """
    faults = Faults()
    entries, labels = vocabulary.read(faults)
    task = vocabulary.task
    with faults.collecting():
        forward = ModuleForward(module, call, by_line=task == "classify")
        found, parts = recognise_module(forward, choices, entries)
        faults.texts += value_faults({name: found.tensors[name] for name in parts.roles})
    faults.check()
    assert entries
    kind = type(module)
    source = {"module": printable(f"{kind.__module__}.{kind.__qualname__}")}
    taken = assemble(kind.__name__, source, parts, found.everything, vocabulary, entries, labels)
    rows = find_rows(parts, entries, vocabulary.unknown_token)
    drawn = drawn_logits(entries, parts.labels, len(parts.embedding)) if task == "next" else None
    forward.read(rows, parts.labels, drawn)
    return forward, taken


def recognise_module(
    forward: ModuleForward, choices: Choices, entries: Entries | None
) -> tuple[Found, Parts]:
    """Return the submodules and what they were recognised as.

    Raises:
        IntakeError: the module has other parts.
    """
    rows = [
        part.num_embeddings for part in forward.module.modules() if isinstance(part, nn.Embedding)
    ]
    readable = [*entries.characters.values()] if entries else []
    known = [id_ for id_ in readable if id_ < min(rows, default=1)] or [0]
    logits: list[Tensor] = []
    found = find_parts(forward.module, lambda: logits.append(forward.probe(known)))
    by_class = Choices(
        choices.cell,
        choices.nonlinearity or found.nonlinearity,
        choices.embedding or found.only(EMBEDDING),
        choices.linear or found.linear(logits[0].shape[-1]),
        choices.ignored,
    )
    parts = recognise(found.tensors, by_class, source="")
    return found, replace(
        parts, ignored=parts.ignored | found.ignored, padding=found.padding(parts.roles)
    )


def check_arguments(
    module: object, task: str, weights: str, unknown: str | None, normalization: str
) -> None:
    """Raise an IntakeError unless arguments that name one of a few things do so."""
    faults = [
        f"{name}={value!r} must be one of {', '.join(map(repr, possible))}"
        for name, value, possible in (
            ("task", task, TASKS),
            ("weights", weights, STORAGES),
            ("unknown", unknown, (None, *UNKNOWN_POLICIES)),
            ("normalization", normalization, NORMAL_FORMS),
        )
        if value not in possible
    ]
    if not isinstance(module, nn.Module):
        faults.append(
            f"a {type(module).__name__} is no nn.Module; a file of weights is exported by the "
            f"command hello-export WEIGHTS --alphabet ALPHABET"
        )
    elif isinstance(module, torch.jit.ScriptModule):
        faults.append(
            "a program of TorchScript does not show the classes of its parts: export the module "
            "that it was made of, or its file by the command hello-export"
        )
    elif any(isinstance(tensor, UninitializedParameter) for tensor in module.parameters()):
        faults.append("it has parameters without values: run its forward once")
    if faults:
        raise IntakeError("; ".join(faults))


@contextmanager
def named_errors(name: str) -> Iterator[None]:
    """Begin the errors of this context with a module's name, and speak of Python's arguments."""
    try:
        yield
    except IntakeError as error:
        raise type(error)(f"{name}: {in_python(str(error))}") from error


def in_python(text: str) -> str:
    """Return a text that names options of the command with the arguments of `export`.

    >>> in_python("name its entry with --unknown-token")
    'name its entry with unknown_token='
    """
    return OPTION.sub(lambda found: f"{found[1].replace('-', '_')}=", text)


def tell(lines: Sequence[str], quiet: bool) -> None:
    """Write lines to stderr, unless nothing is to be written."""
    for line in [] if quiet else lines:
        click.echo(in_python(line), err=True)


def showing(first: str, quiet: bool) -> AbstractContextManager[Progress]:
    """Return what shows the progress on stderr, or nothing."""
    return nullcontext(SILENT) if quiet else Display(first)
