"""The project's own runtime as an engine of the proof."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hello_runtime import Annotation, Decoder, ModelInfo
from hello_runtime.engine.rows import Parts
from hello_runtime.generation import read_through
from hello_runtime.model.model_file import Unknown
from hello_runtime.text.codepoints import to_codepoints
from hello_runtime.text.edits import NOTHING
from hello_train.network.config import ModelConfig

from hello_export.errors import ParityError
from hello_export.proof.cases import Case
from hello_export.proof.engines import Array, Engine, OnnxRuntime, Outputs


class Runtime(Engine):
    """The project's own runtime, from text to text; it gives logits of the task `next` alone."""

    name = "hello-infer"
    distribution = "hello-rnn"
    activation_error = OnnxRuntime.activation_error
    copies_refused = True

    def __init__(self, config: ModelConfig, folder: Path) -> None:
        self._config = config
        # The cases have unknown characters; asked so, a model that refuses them copies them, or
        # reads zeros.
        instead: Unknown = "copy" if config.task == "rewrite" else "label"
        unknown: Unknown | None = instead if config.unknown == "error" else None
        self._decoder = Decoder.open(folder, unknown=unknown, threads=1)

    def check_declaration(self) -> None:
        """Raise a ParityError unless the model file has the metadata of the network."""
        found = self._decoder.info._replace(weights="", training={}, graph_copies=False)
        expected = ModelInfo(
            cell=self._config.cell,
            causal=not self._config.bidirectional,
            layers=self._config.layers,
            hidden_size=self._config.hidden_size,
            input_alphabet=self._config.input_alphabet,
            output_labels=self._config.output_labels,
            unknown=self._config.unknown,
            guard=self._config.guard,
            nonlinearity=self._config.nonlinearity,
            weights="",
            training={},
            normalization=self._config.normalization,
            task=self._config.task,
            classes=self._config.classes,
        )
        if found != expected:
            raise ParityError(f"the metadata of the model says {found}, not {expected}")

    def run(self, case: Case) -> Outputs:
        """Return what each character, or line, became, and the confidences."""
        texts = ["".join(map(chr, row)) for row in case.rows]
        if self._config.task == "next":
            return self._continue(texts, case)
        if self._config.task == "classify":
            return self._classify(texts)
        if case.chunk:
            annotations = [self._stream(text, case.chunk) for text in texts]
        else:
            annotations = self._decoder.annotate_batch(texts)
        return {
            "decoded": padded([self._decoded(annotation) for annotation in annotations], case),
            "confidence": padded([annotation.confidence for annotation in annotations], case),
        }

    def _classify(self, texts: list[str]) -> Outputs:
        found = self._decoder.classify_batch(texts)
        label = [self._config.classes.index(row.label) for row in found]
        confidence = [row.confidence for row in found]
        return {"label": np.array(label, np.int32), "confidence": np.array(confidence, np.float32)}

    def _continue(self, texts: list[str], case: Case) -> Outputs:
        """Return the logits behind each character, as generation and scores take them."""
        chunk = case.chunk or case.codepoints.shape[1]
        pieces = [logits for logits, _ in read_through(self._decoder, texts, chunk)]
        return {"logits": padded([*np.concatenate(pieces, axis=1)], case)}

    def _stream(self, text: str, chunk: int) -> Annotation:
        stream = self._decoder.stream()
        pieces = [text[start : start + chunk] for start in range(0, len(text), chunk)]
        parts = [stream.annotate(piece) for piece in pieces]
        return Parts([*parts, stream.annotate(final=True)]).joined()

    def _decoded(self, annotation: Annotation) -> Array:
        """Return the code points that each character became, [time] or [time, width]."""
        codepoints, width = to_codepoints(annotation.text), self._config.width
        if width is None:
            return codepoints
        decoded = np.full((len(annotation.lengths), width), NOTHING, np.int32)
        decoded[np.arange(width) < annotation.lengths[:, None]] = codepoints
        return decoded


def padded(rows: list[Array], case: Case) -> Array:
    """Return the rows of a case as one array, padded with zeros at the end."""
    shape = (*case.codepoints.shape, *rows[0].shape[1:])
    batch = np.zeros(shape, rows[0].dtype)
    for target, row in zip(batch, rows, strict=True):
        target[: len(row)] = row
    return batch
