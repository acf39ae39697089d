"""Exports a module: its forward is the truth that the files must agree with."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias, get_args

import torch
from hello_runtime.errors import first_line
from hello_runtime.model.model_file import Unknown
from hello_train.network.checkpoint import Training
from hello_train.network.model import Network
from torch import Tensor, nn

from hello_export.artifact import Export, write_artifact
from hello_export.errors import IntakeError
from hello_export.graph.storage import Storage
from hello_export.intake.agreement import check_forward
from hello_export.intake.alphabets import Entries, Given, read_entries
from hello_export.intake.network import build_network, find_rows
from hello_export.intake.readings import NONE
from hello_export.intake.recognise import Choices, Parts, recognise
from hello_export.intake.submodules import (
    EMBEDDING,
    LINEAR,
    Found,
    class_name,
    find_parts,
    unchanged,
)
from hello_export.intake.weights import value_faults
from hello_export.progress import SILENT, Display, Progress
from hello_export.proof.cases import module_cases
from hello_export.proof.reference import Forward

Call: TypeAlias = Callable[[nn.Module, Tensor], Tensor]
"""Gives a module's logits [batch, time, labels] of ids, int64 [batch, time]."""
HALF = (torch.float16, torch.bfloat16)
TASKS = ("rewrite",)
OPTION = re.compile(r"--([a-z]+)(?:-([a-z]+))?\b")
"""An option of the command, in an error of a room that both doors share."""


def export(
    module: nn.Module,
    folder: Path | str,
    *,
    alphabet: Given,
    labels: Given | None = None,
    task: str = "rewrite",
    call: Call | None = None,
    unknown: Unknown | None = None,
    unknown_token: str | None = None,
    ignore: Sequence[str] = (),
    weights: Storage = "float32",
    quiet: bool = False,
) -> Export:
    """Export a module of PyTorch, if the files agree with its own forward.

    The module has one embedding, one recurrence (`nn.RNN`, `nn.GRU`, `nn.LSTM` or a loop of their
    cells) and at most one linear layer; its forward may order axes and shapes as it likes. It is
    left as it is: its mode, weights and gradients, and the random generators. A module in half
    precision is compared as a copy in float32.

    Args:
        module: the module, in the mode in which it is to be used; mostly after `.eval()`.
        folder: where the artifact goes.
        alphabet: the entry of each row of the embedding: a text with one character for each, a
            `.txt` or `.json` file, or a list or mapping. See `read_entries`.
        labels: the entry of each logit likewise; None for the alphabet.
        task: `rewrite`: a label for each character.
        call: gets the module and ids, int64 [batch, time], in the embedding's own numbering, and
            returns logits, [batch, time, labels]. None for a module that takes and returns just
            that.
        unknown: what is written for characters that are not in the alphabet: `error`, `copy` or
            `label`. None for `label` if the embedding has a row for them, else for `error`.
        unknown_token: the entry whose row is read for such characters. If the embedding has one
            row more than the alphabet, it is the last row.
        ignore: names of submodules to leave out, such as a head of another task.
        weights: how `model.onnx` stores the weights. Unless in float32 the files must agree with
            the module's rounded weights, since its forward has others.
        quiet: whether nothing is written to stderr.

    Returns:
        The proof, and what smaller weights cost.

    Raises:
        IntakeError: the module has other parts, or the alphabet does not fit.
        ForwardError: the forward does more than the module's parts.
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
    check_arguments(module, task, weights)
    name = class_name(module)
    with unchanged(module):
        try:
            entries = read_entries(alphabet)
            labelled = entries if labels is None else read_entries(labels)
            with NULL if quiet else Display(f"reading {name}") as progress:
                ...
        except IntakeError as error:
            raise type(error)(f"{name}: {in_python(str(error))}") from error
