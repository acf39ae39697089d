"""Writes the end of the graph: from logits to what is written, and how sure that is.

A label is an edit, a row of the table `label_elements`, int32 [labels, width]: code points, -2 for
the character that was read, and -1 behind a shorter edit. So `decoded` is the row of the best
label, with -2 replaced by the code point. Where every label is one element, table and `decoded`
have no axis for the width. Where every label is one character, as files of format 1 hold them, the
table is `label_codepoints`, and nothing is replaced.

The label of a classifier is taken from the table `class_numbers`, int32 [classes]: ONNX's `ArgMax`
gives int64, and the runtime sees that no other number can come out.

In format 1 the guard is a table of ids and labels, otherwise one of classes and labels, with the
class of each id beside it.
"""

from __future__ import annotations

import numpy as np
from hello_runtime.text.edits import KEEP, KEPT, NOTHING, edit_table
from hello_train.network.config import FORBIDDEN_LOGIT, ModelConfig
from hello_train.network.model import allowed_labels, label_classes

from hello_export.graph.builder import Graph

NEGLIGIBLE = 80.0
"""A logit this far below the highest has a probability of at most e^-80: negligible in float32, and
still a normal number."""


def write_guarded_logits(graph: Graph, config: ModelConfig, hidden: str, ids: str) -> None:
    """Write `logits`, (t, b, labels) -> (b, t, labels); forbidden ones are FORBIDDEN_LOGIT."""
    if config.guard is None:
        graph.node("Transpose", [hidden], "logits", perm=[1, 0, 2])
        return
    free = graph.node("Transpose", [hidden], "unguarded_logits", perm=[1, 0, 2])
    if config.graph_format == 1:
        table, rows = allowed_labels(config).numpy(), ids
    else:
        classes, table = label_classes(config)
        class_of_id = graph.constant("class_of_id", classes.astype(np.int32))
        rows = graph.node("Gather", [class_of_id, ids], "class", axis=0)
    allowed = graph.constant("allowed_labels", table)
    allowed = graph.node("Gather", [allowed, rows], "allowed", axis=0)
    forbidden = graph.constant("forbidden_logit", np.array(FORBIDDEN_LOGIT, np.float32))
    graph.node("Where", [allowed, free, forbidden], "logits")


def write_choice(graph: Graph, config: ModelConfig, ids: str) -> None:
    """Write `decoded`, (b, t) or (b, t, width), and `confidence`, (b, t), from `logits`.

    Unknown characters are copied if their policy is `copy`, with a confidence of 1. If it is
    `error`, the runtime refuses them before, or copies them afterwards.
    """
    known = ""
    if config.unknown == "copy":
        unknown_id = graph.constant("unknown_id", np.array(config.unknown_id, np.int32))
        known = graph.node("Less", [ids, unknown_id], "known")
    if config.graph_format == 1:
        write_characters(graph, config, known)
    else:
        write_edits(graph, config, known)
    write_confidence(graph, config, known)


def write_characters(graph: Graph, config: ModelConfig, known: str) -> None:
    """Write `decoded` where every label is one character; unknown ones are copied if `known`."""
    characters = edit_table(config.output_labels)[:, 0]
    label_codepoints = graph.constant("label_codepoints", characters)
    label = graph.node("ArgMax", ["logits"], "label", axis=2, keepdims=0)
    rewritten = "rewritten" if known else "decoded"
    graph.node("Gather", [label_codepoints, label], rewritten, axis=0)
    if known:
        graph.node("Where", [known, rewritten, "codepoints"], "decoded")


def write_edits(graph: Graph, config: ModelConfig, known: str) -> None:
    """Write `decoded` where labels are any edits, and unknown characters are copied if `known`."""
    table, copied, read = edit_table(config.output_labels), np.array([KEPT], np.int32), "codepoints"
    keeps = bool(known) or any(KEEP in label for label in config.output_labels)
    if config.width is None:
        table, copied = table[:, 0], copied[0]
    elif keeps:
        copied = np.pad(copied, (0, config.width - 1), constant_values=NOTHING)
        read = graph.node("Unsqueeze", [read], "read", axes=[2])
    label_elements = graph.constant("label_elements", table)
    label = graph.node("ArgMax", ["logits"], "label", axis=2, keepdims=0)
    edit = "edit" if keeps else "decoded"
    graph.node("Gather", [label_elements, label], edit, axis=0)
    if known:
        if config.width is not None:
            known = graph.node("Unsqueeze", [known], "known_row", axes=[2])
        given = [known, edit, graph.constant("copied_edit", copied)]
        edit = graph.node("Where", given, "edit_or_copy")
    if keeps:
        nothing = graph.constant("nothing", np.array(NOTHING, np.int32))
        kept = graph.node("Less", [edit, nothing], "kept")  # KEPT is the only number below
        graph.node("Where", [kept, read, edit], "decoded")


def write_confidence(graph: Graph, config: ModelConfig, known: str) -> None:
    """Write `confidence`: the highest probability, or 1 where a character is not `known`."""
    certain = graph.constant("certain", np.array(1, np.float32)) if known else ""
    near = "logits" if config.guard is None else write_raised_logits(graph)
    probabilities = graph.node("Softmax", [near], "probabilities", axis=2)
    highest = "highest_probability" if known else "confidence"
    graph.node("ReduceMax", [probabilities], highest, axes=[2], keepdims=0)
    if known:
        graph.node("Where", [known, highest, certain], "confidence")


def write_raised_logits(graph: Graph) -> str:
    """Write the logits, (b, t, labels), raised to at least the highest minus NEGLIGIBLE.

    Otherwise forbidden labels would get subnormal probabilities, and a Softmax full of those took
    ten times as long in onnxruntime.
    """
    highest = graph.node("ReduceMax", ["logits"], "highest_logit", axes=[2], keepdims=1)
    negligible = graph.constant("negligible", np.array(NEGLIGIBLE, np.float32))
    lowest = graph.node("Sub", [highest, negligible], "lowest_logit")
    return graph.node("Max", ["logits", lowest], "raised_logits")


def write_class(graph: Graph, classes: int) -> None:
    """Write `label` and `confidence`, (b) each, from `logits`, (b, classes)."""
    numbers = graph.constant("class_numbers", np.arange(classes, dtype=np.int32))
    best = graph.node("ArgMax", ["logits"], "best_class", axis=1, keepdims=0)
    graph.node("Gather", [numbers, best], "label", axis=0)
    probabilities = graph.node("Softmax", ["logits"], "probabilities", axis=1)
    graph.node("ReduceMax", [probabilities], "confidence", axes=[1], keepdims=0)
