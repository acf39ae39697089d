"""The training loop: the post's, for five characters or for a gigabyte."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace

import torch
from hello_runtime.text.pairs import Pair
from torch import Tensor, nn

from hello_train.data.augmentation import IGNORED
from hello_train.data.batches import Batch, Batches, Segments
from hello_train.errors import FitError
from hello_train.fit.evaluation import Counts, Evaluator, accuracy
from hello_train.fit.history import Evaluation, History
from hello_train.fit.options import EVALUATIONS, TrainOptions
from hello_train.fit.parallel import ALONE, Team
from hello_train.fit.threads import ThreadTuner, is_tunable
from hello_train.network.config import ModelConfig
from hello_train.network.model import Network

STARTS = 20
"""Seeds that `fit_exactly` tries, at most."""
SAVE_SECONDS = 30.0
"""An unfinished training is saved so often, and after each evaluation."""
EVALUATION_SHARE = 0.2
"""Share of a training's time that its evaluations may take, where it ends by the clock."""
PATIENT_EPOCHS = 2
"""Epochs in which an evaluation without a gain does not count, until the network is better than no
change at all."""
NO_MEMORY = (
    "DefaultCPUAllocator: can't allocate memory: you tried to allocate",
    "DefaultCPUAllocator: not enough memory: you tried to allocate",
    "MPS backend out of memory",
)
"""What PyTorch's allocators say that have no error of their own: c10/core/impl/alloc_cpu.cpp, on
Windows the second, and aten/src/ATen/mps/MPSAllocator.mm."""


@dataclass(frozen=True)
class Progress:
    """Where the training stands after a step."""

    epoch: int
    """Counted from 1."""
    done: float
    """Share of the training that lies behind, 0 to 1."""
    loss: float
    """Mean cross-entropy of a character in the batch, in nats."""
    characters: int = 0
    """Learned until now, by all processes, as if they all had the batches of this one."""
    seconds: float = 0.0
    """Until now."""
    accuracy: float | None = None
    """Share of the held-out characters that were right at the last evaluation, 0 to 1."""


@dataclass(frozen=True)
class Ending:
    """How far a training came."""

    done: float
    """Share of its epochs or minutes, 0 to 1; less than 1 where its patience ended."""
    epochs: float
    """Epochs that were learned, the last one in part."""


class Watcher:
    """Is told what happens while training; this one keeps it to itself."""

    def begin(self, description: str) -> None:
        """Take note that a training begins, or goes on; the description says which."""

    def end(self) -> None:
        """Take note that no step follows, whether it came to its end or was interrupted."""

    def step(self, progress: Progress, network: Network) -> None:
        """Take note that a batch was learned."""

    def restart(self, lost_seed: int, next_seed: int) -> None:
        """Take note that a start did not learn, and that the next one begins."""


@dataclass
class Place:
    """Where a training is; with the weights and Adam's averages, all that it needs to go on."""

    epoch: int = 1
    batch: int = 0
    """The next batch of the epoch, counted from 0."""
    step: int = 0
    """Steps that were made."""
    characters: int = 0
    """That were learned."""
    seconds: float = 0.0
    """That were spent."""
    losses: float = 0.0
    """Sum of the steps' losses since the last evaluation."""
    evaluated_step: int = 0
    """The step of the last evaluation."""
    evaluations: int = 0
    """That were due until now."""
    without_gain: int = 0
    """Evaluations since the best one."""
    sample: int = 0
    """Characters of an evaluation, at most; 0 before the first."""
    evaluating: float = 0.0
    """Seconds that all evaluations took."""
    last_evaluating: float = 0.0
    """Seconds that the last one took."""


@dataclass
class State:
    """A training while it goes on."""

    network: Network
    optimizer: torch.optim.Adam
    place: Place = field(default_factory=Place)
    history: History = field(default_factory=History)
    best: dict[str, Tensor] = field(default_factory=dict)
    """The weights of the best evaluation; none before the first."""

    @property
    def accuracy(self) -> float | None:
        """What the last evaluation said."""
        evaluations = self.history.evaluations
        return evaluations[-1].accuracy if evaluations else None


class Keeper:
    """Keeps the state of a training where it is safe; this one has no such place."""

    def save(self, state: State) -> None:
        """Keep the state."""


def fit(
    config: ModelConfig, pairs: Sequence[Pair], options: TrainOptions, watcher: Watcher
) -> Network:
    """Train a new network on these lines, to the end, without an evaluation.

    Raises:
        FitError: the loss is no longer a number.
    """
    state = new_state(config, options, ALONE)
    Fitting(state, pairs, options, watcher).run()
    return state.network.cpu().eval()


class Fitting:
    """Trains a network with Adam (Kingma and Ba 2015, arXiv:1412.6980)."""

    def __init__(
        self,
        state: State,
        pairs: Sequence[Pair],
        options: TrainOptions,
        watcher: Watcher,
        evaluator: Evaluator | None = None,
        keeper: Keeper | None = None,
        team: Team = ALONE,
    ) -> None:
        """Prepare a training.

        Args:
            state: a new one, or one to go on with.
            pairs: the lines to learn.
            options: how.
            watcher: is told of each step.
            evaluator: evaluates the network now and then; None for none of it.
            keeper: is given the state, now and then.
            team: the processes that train together, each with the same arguments.
        """
        self._state = state
        self._options = options
        self._watcher = watcher
        self._evaluator = evaluator or Evaluator([])
        self._keeper = keeper or Keeper()
        self._team = team
        self._batches = Batches(state.network.config, pairs, options)
        self._model = team.join(state.network)
        self._started = time.monotonic() - state.place.seconds
        self._saved = time.monotonic()
        self._done = 0.0
        # Where the clock has a say already: the number of threads may change the last bits.
        tunes = options.minutes is not None and is_tunable(team.device)
        self._tuner = ThreadTuner() if tunes else None
        if state.place.sample:
            self._evaluator.choose_sample(state.place.sample)

    def run(self) -> Ending:
        """Train to the end, and leave the best weights in the network, if it was evaluated.

        Raises:
            FitError: the loss is no longer a number.
        """
        try:
            return self._run()
        finally:
            self._watcher.end()

    def _run(self) -> Ending:
        place = self._state.place
        epochs = 0.0
        with ThreadPoolExecutor(1) as loader:
            while not self._ends:
                order = self._batches.order(place.epoch)
                self._done = self._share_done(len(order))
                for batch in self._loaded(order, loader):
                    if self._ends:
                        break
                    place.batch += self._team.size
                    with memory_named("--batch-characters, --hidden-size or --layers"):
                        self._learn(batch, len(order))
                epochs = place.epoch - 1 + min(place.batch / len(order), 1)
                place.epoch, place.batch = place.epoch + 1, 0
        if place.evaluated_step == place.step and self._state.best:
            self._state.network.load_state_dict(self._state.best)
        return Ending(self._done, epochs)

    def _loaded(self, order: Sequence[Segments], loader: Executor) -> Iterator[Batch]:
        """Yield what is left of an epoch, the next batch being loaded while one is learned."""
        place, team = self._state.place, self._team
        coming: deque[Future[Batch]] = deque()
        for batch in range(place.batch, len(order), team.size):
            number = (batch + team.rank) % len(order)
            load = self._batches.load
            coming.append(loader.submit(load, order[number], place.epoch, number))
            if len(coming) > 1:
                yield coming.popleft().result()
        if coming:
            yield coming.popleft().result()

    @property
    def _ends(self) -> bool:
        patience = self._options.patience
        return self._done == 1.0 or (
            patience is not None and self._state.place.without_gain >= patience
        )

    def _learn(self, batch: Batch, batches: int) -> None:
        """Make a step; tell of it, evaluate and save where it is time to."""
        state, place = self._state, self._state.place
        with self._tuner.step(*batch.ids.shape) if self._tuner else nullcontext():
            loss = self._step(batch)
        place.step += 1
        place.losses += loss
        place.characters += batch.ids.numel() * self._team.size
        place.seconds = time.monotonic() - self._started
        self._done = self._share_done(batches)
        if self._is_evaluation_due():
            self._evaluate()
        elif time.monotonic() - self._saved > SAVE_SECONDS:
            self._save()
        self._watcher.step(
            Progress(
                place.epoch, self._done, loss, place.characters, place.seconds, state.accuracy
            ),
            state.network,
        )

    def _step(self, batch: Batch) -> float:
        """Learn a batch; return its mean loss.

        Raises:
            FitError: it is not a number.
        """
        options, optimizer = self._options, self._state.optimizer
        rate = options.learning_rate * (cosine(self._done) if options.decay else 1)
        optimizer.param_groups[0]["lr"] = rate
        self._state.network.train()
        device = self._team.device
        loss = mean_loss(self._model(batch.ids.to(device)), batch.labels.to(device))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if options.max_gradient_norm is not None:
            nn.utils.clip_grad_norm_(self._state.network.parameters(), options.max_gradient_norm)
        optimizer.step()
        value = loss.item()
        if not math.isfinite(value):
            raise FitError(
                f"the loss became {value} in step {self._state.place.step + 1} (epoch "
                f"{self._state.place.epoch}) at a learning rate of {rate:g}; use a lower "
                f"--learning-rate than {options.learning_rate:g}"
            )
        return value

    def _share_done(self, batches: int) -> float:
        """Return the share of the training that lies behind, by its batches or by the clock."""
        options, place = self._options, self._state.place
        if options.epochs is not None:
            epochs = place.epoch - 1 + min(place.batch / batches, 1)
            return min(1.0, epochs / options.epochs)
        assert options.minutes is not None
        return min(1.0, self._team.agree(place.seconds / (60 * options.minutes)))

    def _is_evaluation_due(self) -> bool:
        """Tell whether to evaluate now.

        A training by the clock leaves an evaluation out that would not fit into its share of the
        time, together with the one at the end. One by epochs has them all: how long they take may
        not decide which weights are kept.
        """
        place = self._state.place
        if self._done * EVALUATIONS < place.evaluations + 1:
            return False
        if self._options.epochs is not None:
            return True
        further = 1 if self._done == 1.0 else 2
        needed = place.evaluating + further * place.last_evaluating
        return bool(self._team.agree(needed <= EVALUATION_SHARE * place.seconds))

    def _evaluate(self) -> None:
        """Evaluate the network, keep the best weights, and save all."""
        state, place = self._state, self._state.place
        started = time.monotonic()
        # One step of a short training may pass several evaluations.
        place.evaluations = int(self._done * EVALUATIONS)
        if not place.sample:
            # Reading takes less time than learning: less than half of what came before, then.
            place.sample = max(1, place.characters // 2)
            self._evaluator.choose_sample(place.sample)
        if self._team.leads:
            self._note(self._evaluator.evaluate(state.network.eval()))
        place.without_gain = int(self._team.agree(place.without_gain))
        place.losses, place.evaluated_step = 0.0, place.step
        place.last_evaluating = time.monotonic() - started
        place.evaluating += place.last_evaluating
        self._save()

    def _note(self, counts: Counts) -> None:
        """Add an evaluation to the history, and keep the weights if they are the best."""
        if not counts:
            return
        state, place = self._state, self._state.place
        found = accuracy(counts)
        best = max((row.accuracy for row in state.history.evaluations), default=-1.0)
        loss = place.losses / (place.step - place.evaluated_step)
        state.history.evaluations.append(
            Evaluation(place.step, place.epoch, place.seconds, loss, found, counts)
        )
        if found > best:
            state.best = {name: t.clone() for name, t in state.network.state_dict().items()}
            place.without_gain = 0
        elif best > self._evaluator.unchanged or place.epoch > PATIENT_EPOCHS:
            place.without_gain += 1

    def _save(self) -> None:
        if self._team.leads:
            self._keeper.save(self._state)
        self._saved = time.monotonic()


def new_state(config: ModelConfig, options: TrainOptions, team: Team) -> State:
    """Return a training that has not begun.

    Raises:
        FitError: the network does not fit into memory.
    """
    network = new_network(config, options.seed, team.device)
    return State(network, torch.optim.Adam(network.parameters(), lr=options.learning_rate))


def new_network(config: ModelConfig, seed: int, device: torch.device = ALONE.device) -> Network:
    """Return a network with the weights of a seed.

    Raises:
        FitError: it does not fit into memory.
    """
    with torch.random.fork_rng(devices=[]), memory_named("--hidden-size or --layers"):
        torch.manual_seed(seed)
        return Network(config).to(device)


@contextmanager
def memory_named(options: str) -> Iterator[None]:
    """Give a context in which a lack of memory is an error that names the options to lower.

    Raises:
        FitError: there was too little.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_lack_of_memory(error):
            raise
        raise FitError(
            f"the network and a batch do not fit into memory; use a smaller {options}"
        ) from error


def is_lack_of_memory(error: Exception) -> bool:
    """Tell whether an allocation failed."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(
        text in str(error) for text in NO_MEMORY
    )


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


def cosine(done: float) -> float:
    """Return the share of the full learning rate, from 1 at the start to 0 at the end."""
    return (1 + math.cos(math.pi * done)) / 2


def fit_exactly(
    config: ModelConfig, pair: Pair, options: TrainOptions, watcher: Watcher
) -> tuple[Network, int]:
    """Train until the network says `pair.target`, from the next seed whenever a start fails.

    A start of the post's network can stay in a wrong answer for ever; which ones do is a matter of
    the seed alone.

    Returns:
        The network, and the seed that it was started from; the last of `STARTS` where none of them
        learned the pair.

    Raises:
        FitError: the loss is no longer a number.
    """
    for seed in range(options.seed, options.seed + STARTS):
        if seed > options.seed:
            watcher.restart(lost_seed=seed - 1, next_seed=seed)
        network = fit(config, [pair], replace(options, seed=seed), watcher)
        if network.rewrite(pair.input) == pair.target:
            break
    return network, seed
