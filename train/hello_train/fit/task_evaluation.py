"""How good networks of the tasks `classify` and `next` are, beside models that count."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from hello_runtime.drawing import draw, sample_seeds, uniforms
from hello_runtime.text.measures import MODEL, MOST_FREQUENT, Measures
from hello_runtime.text.pairs import AnyPair, in_blocks
from torch import Tensor, nn

from hello_train.data.augmentation import IGNORED
from hello_train.data.lines import Split
from hello_train.fit.counting import ContextModel, EndingModel
from hello_train.fit.evaluation import Counts, Evaluator, Outcome
from hello_train.network.encoding import encode
from hello_train.network.model import Network

LAST_CHARACTERS = "last three characters"
ORDERS = {0: "order-0 counts", 5: "order-5 counts"}
"""The count models of running text, by the characters of their contexts."""
MOST_PASSAGES = 1000
"""Held-out passages that are measured at the end, at most: a million characters."""
BLOCK = 1 << 14
"""Characters that are evaluated at a time."""
SAMPLE, SAMPLE_SEED, SAMPLE_START = 300, 1, "\n"
"""The text that is drawn at each evaluation: its length, its seed, and what it begins with."""
SHOWN_CLASSES = 20
"""Classes of the confusion matrix, at most: the most frequent ones."""


class ClassEvaluator(Evaluator):
    """Evaluates classifiers on held-out lines: how many of each class are right."""

    def _measure_unchanged(self) -> float:
        classes = Counter(pair.target for pair in self._sample)
        return max(classes.values(), default=0) / max(1, classes.total())

    def evaluate(self, network: Network) -> Counts:
        """Return for each class how many lines a network gets right; empty without lines."""
        pairs = list(zip(self._sample, classified(network, self._inputs), strict=True))
        count = Counter(pair.target for pair, _ in pairs)
        right = Counter(pair.target for pair, found in pairs if pair.target == found)
        return {name: (right[name], count[name]) for name in sorted(count)}


class NextEvaluator(Evaluator):
    """Evaluates networks of `next`: their bits per character, and a sample of what they draw."""

    def _measure_unchanged(self) -> float:
        return 0.0

    def outcome(self, network: Network) -> Outcome:
        """Return what a network predicts; its quality is 2 to the power of minus the bits."""
        bits, counts = predicted(network, self._sample)
        return Outcome(
            counts, 2**-bits if counts else 0.0, generate(network, SAMPLE, SAMPLE_SEED)[0]
        )


def classified(network: Network, texts: Sequence[str]) -> list[str]:
    """Return the class of each text."""
    if not texts:
        return []
    return [network.config.classes[label] for label in network.classify_lines(texts).argmax(1)]


@torch.inference_mode()
def predicted(network: Network, pairs: Sequence[AnyPair]) -> tuple[float, Counts]:
    """Return the bits per character of passages, and how often each character was guessed.

    Characters that the network does not know do not count.
    """
    config, device = network.config, network.embedding.weight.device
    right, count = np.zeros((2, config.labels), np.int64)
    nats = 0.0
    for block in in_blocks(pairs, lambda pair: len(pair.input), BLOCK):
        ids = nn.utils.rnn.pad_sequence([row(pair.input, network) for pair in block], True)
        labels = nn.utils.rnn.pad_sequence(
            [row(pair.target, network) for pair in block], True, config.labels
        )
        logits = network(ids.to(device)).cpu()  # (b, t, labels)
        known = labels != config.labels
        targets = torch.where(known, labels, IGNORED)
        nats += float(
            nn.functional.cross_entropy(
                logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="sum"
            )
        )
        found = labels[known]
        count += np.bincount(found, minlength=config.labels)
        best = logits.argmax(-1)[known]
        right += np.bincount(found[best == found], minlength=config.labels)
    by_character = {
        char: (int(right[label]), int(count[label]))
        for label, char in enumerate(config.input_alphabet)
        if count[label]
    }
    return nats / math.log(2) / max(1, int(count.sum())), by_character


def row(text: str, network: Network) -> Tensor:
    """Return the ids of a text, int64 [characters]."""
    return torch.from_numpy(encode([text], network.config.input_alphabet))


@torch.inference_mode()
def generate(network: Network, characters: int, seed: int, samples: int = 1) -> list[str]:
    """Return samples that a network draws from the start of a line.

    They are those of `hello_runtime.drawing`, side by side.
    """
    device, numbers = network.embedding.weight.device, uniforms(sample_seeds(seed, samples))
    ids, state = row(SAMPLE_START, network).repeat(samples, 1).to(device), None
    drawn = np.zeros((samples, characters), np.int64)
    for number in range(characters):
        hidden, state = network.recurrence(network.embed(ids), state)
        logits = network.projection(hidden[:, -1]).cpu().numpy()
        drawn[:, number] = draw(logits, next(numbers), 1.0, None)
        ids = torch.from_numpy(drawn[:, number : number + 1]).to(device)
    alphabet = network.config.input_alphabet
    return ["".join(alphabet[label] for label in labels) for labels in drawn.tolist()]


def accuracies(lines: Split, found: Sequence[str]) -> dict[str, Measures]:
    """Return the share of held-out lines that get their class, by the rows of the table."""
    counted = EndingModel(lines.train)
    texts = [pair.input for pair in lines.holdout]
    rows = {
        MOST_FREQUENT: [counted.most_frequent] * len(texts),
        LAST_CHARACTERS: [*map(counted.classify, texts)],
        MODEL: found,
    }
    targets = [pair.target for pair in lines.holdout]
    count = len(targets)
    return {
        name: {"accuracy": sum(map(str.__eq__, targets, said)) / count, "line_count": count}
        for name, said in rows.items()
    }


def bits_of(network: Network, lines: Split) -> dict[str, Measures]:
    """Return the bits per held-out character of the network and of count models."""
    held_out = [*lines.holdout[:MOST_PASSAGES]]
    bits, counts = predicted(network, held_out)
    count = sum(places for _, places in counts.values())
    measures: dict[str, Measures] = {}
    for order, name in ORDERS.items():
        model = ContextModel(order, network.config.input_alphabet)
        model.learn(lines.train)
        measures[name] = {"bits": model.bits(held_out), "character_count": count}
    measures[MODEL] = {"bits": bits, "character_count": count}
    return measures


def confusions(
    pairs: Sequence[AnyPair], found: Sequence[str]
) -> tuple[tuple[str, ...], list[list[int]]]:
    """Return the most frequent classes, and how often lines of each got each of them."""
    counts = Counter((pair.target, said) for pair, said in zip(pairs, found, strict=True))
    frequent = Counter(pair.target for pair in pairs).most_common(SHOWN_CLASSES)
    names = tuple(sorted(name for name, _ in frequent))
    return names, [[counts[target, said] for said in names] for target in names]


def count_models_ahead(measures: dict[str, Measures]) -> list[str]:
    """Return the names of the count models that are better than the network."""
    if not measures:
        return []
    model = measures[MODEL]
    sign = 1 if "accuracy" in model else -1
    name = "accuracy" if "accuracy" in model else "bits"
    return [row for row, found in measures.items() if sign * found[name] > sign * model[name]]
