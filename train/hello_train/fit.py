"""The training loop: the post's, for five characters or for millions."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from hello_train.config import ModelConfig
from hello_train.data import Pair
from hello_train.errors import FitError
from hello_train.model import Network, encode
from hello_train.options import TrainOptions

WINDOW = 256
"""Longer lines are learned in pieces of this many characters."""
STARTS = 20
"""Seeds that `fit_exactly` tries before it gives up."""
UNKNOWN_RATE = 0.01
"""Share of the characters hidden behind the unknown id, so that its embedding is learned."""
IGNORED = -100
"""The label of a character that does not count."""


@dataclass(frozen=True)
class Progress:
    """Where the training stands after a step."""

    epoch: int
    """Counted from 1."""
    done: float
    """Share of the training that lies behind, 0 to 1."""
    loss: float
    """Mean cross-entropy of a character in the batch, in nats."""


class Watcher:
    """Is told what happens while training; this one keeps it to itself."""

    def step(self, progress: Progress, network: Network) -> None:
        """Take note that a batch was learned."""

    def restart(self, lost_seed: int, next_seed: int) -> None:
        """Take note that a start did not learn, and that the next one begins."""


def fit(
    config: ModelConfig, pairs: Sequence[Pair], options: TrainOptions, watcher: Watcher
) -> Network:
    """Train a new network on these lines with Adam (Kingma and Ba 2015, arXiv:1412.6980).

    Raises:
        FitError: the loss is no longer a number.
    """
    network = new_network(config, options.seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=options.learning_rate)
    batches = Batches(config, pairs, options.batch_size, options.seed)
    clock = Clock(options, len(batches))
    network.train()
    done = 0.0
    while done < 1.0:
        for ids, labels in batches:
            if options.decay:
                optimizer.param_groups[0]["lr"] = options.learning_rate * cosine(done)
            loss = mean_loss(network(ids), labels)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            if options.max_gradient_norm is not None:
                nn.utils.clip_grad_norm_(network.parameters(), options.max_gradient_norm)
            optimizer.step()
            clock.steps += 1
            done = clock.done
            progress = Progress(clock.epoch, done, loss.item())
            if not math.isfinite(progress.loss):
                raise FitError(
                    f"the loss became {progress.loss} in step {clock.steps} (epoch "
                    f"{clock.epoch}); use a lower --learning-rate than {options.learning_rate:g}"
                )
            watcher.step(progress, network)
            if done == 1.0:
                break
    return network.eval()


def new_network(config: ModelConfig, seed: int) -> Network:
    """Return a network with the weights of a seed.

    Raises:
        FitError: it does not fit into memory.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            return Network(config)
        except (MemoryError, RuntimeError) as error:
            raise FitError(
                "the network does not fit into memory; use a smaller --hidden-size, "
                "--embedding-dim or --layers"
            ) from error


def mean_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy of the characters that count, 0 if none does.

    Args:
        logits: float32 [batch, time, labels]
        labels: int64 [batch, time], some of them `IGNORED`.
    """
    total = nn.functional.cross_entropy(
        logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="sum"
    )
    return total / (labels != IGNORED).sum().clamp(min=1)


def fit_exactly(
    config: ModelConfig, pair: Pair, options: TrainOptions, watcher: Watcher
) -> tuple[Network, int]:
    """Train until the network says `pair.target`, from the next seed whenever a start fails.

    A start of the post's network can stay in a wrong answer for ever; which ones do is a matter of
    the seed alone.

    Returns:
        The network, and the seed that it was started from.

    Raises:
        FitError: none of `STARTS` seeds learned the pair.
    """
    for seed in range(options.seed, options.seed + STARTS):
        if seed > options.seed:
            watcher.restart(lost_seed=seed - 1, next_seed=seed)
        network = fit(config, [pair], replace(options, seed=seed), watcher)
        if network.rewrite(pair.input) == pair.target:
            return network, seed
    raise FitError(
        f"{STARTS} starts did not learn {pair.input!r} -> {pair.target!r}; "
        f"use more --epochs or --minutes, or another --learning-rate"
    )


class Clock:
    """Tells how much of the training is done, by steps or by the time of day."""

    def __init__(self, options: TrainOptions, steps_per_epoch: int) -> None:
        self._options = options
        self._steps_per_epoch = steps_per_epoch
        self._start = time.monotonic()
        self.steps = 0

    @property
    def epoch(self) -> int:
        """The epoch of the last step, counted from 1."""
        return 1 + max(0, self.steps - 1) // self._steps_per_epoch

    @property
    def done(self) -> float:
        """Share of the training that lies behind, 0 to 1."""
        if self._options.epochs is not None:
            return min(1.0, self.steps / (self._options.epochs * self._steps_per_epoch))
        assert self._options.minutes is not None
        return min(1.0, (time.monotonic() - self._start) / (60 * self._options.minutes))


def cosine(done: float) -> float:
    """Return the share of the full learning rate, from 1 at the start to 0 at the end."""
    return (1 + math.cos(math.pi * done)) / 2


class Batches:
    """The lines as batches, in a new order each time they are iterated.

    A batch holds lines of one length, so that nothing in it is padding and a line of up to
    `WINDOW` characters is learned just as it will be read.
    """

    def __init__(
        self, config: ModelConfig, pairs: Sequence[Pair], batch_size: int, seed: int
    ) -> None:
        self._batch_size = batch_size
        self._unknown_id = config.unknown_id if config.unknown == "copy" else None
        self._random = np.random.default_rng(seed)
        by_length: defaultdict[int, list[Pair]] = defaultdict(list)
        for pair in pairs:
            for start in range(0, len(pair.input), WINDOW):
                piece = slice(start, start + WINDOW)
                by_length[len(pair.input[piece])].append(
                    Pair(pair.input[piece], pair.target[piece])
                )
        self._groups = [
            (
                np.stack([encode(pair.input, config.input_alphabet) for pair in group]),
                np.stack([encode(pair.target, config.output_alphabet) for pair in group]),
            )
            for group in by_length.values()
        ]

    def __len__(self) -> int:
        return sum(-(-len(ids) // self._batch_size) for ids, _ in self._groups)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield ids and labels, both int64 [batch, time]."""
        chosen = []
        for group, (ids, _) in enumerate(self._groups):
            order = self._random.permutation(len(ids))
            chosen += [
                (group, order[start : start + self._batch_size])
                for start in range(0, len(ids), self._batch_size)
            ]
        self._random.shuffle(chosen)
        for group, rows in chosen:
            ids, labels = (array[rows] for array in self._groups[group])
            if self._unknown_id is not None:
                hidden = self._random.random(ids.shape) < UNKNOWN_RATE
                ids[hidden], labels[hidden] = self._unknown_id, IGNORED
            yield torch.from_numpy(ids), torch.from_numpy(labels)
