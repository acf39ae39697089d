"""The training loop: steps, evaluations, callbacks, and the resume file.

`optimizer` has the optimizer's step, `state` what the loop changes, `evaluation` when and how a
network is evaluated, `resume` the file that a killed training continues from.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass

from hello_runtime.text.pairs import AnyPair

from hello_train.data.batches import Batch, Batches, PaddedBatch, Segments
from hello_train.data.task_batches import ClassBatches, NextBatches
from hello_train.fit.callbacks import Callback, Progress
from hello_train.fit.evaluation import Evaluator, is_due, record
from hello_train.fit.memory import memory_named
from hello_train.fit.optimizer import optimizer_step
from hello_train.fit.options import EVALUATIONS, TrainOptions
from hello_train.fit.parallel import ALONE, Team
from hello_train.fit.resume import ResumeFile
from hello_train.fit.state import TrainingState
from hello_train.fit.threads import ThreadTuner, is_tunable
from hello_train.network.config import ModelConfig

SAVE_SECONDS = 30.0
"""Seconds between two writes of the resume file; it is also written after each evaluation."""


def batches_of(
    config: ModelConfig, pairs: Sequence[AnyPair], options: TrainOptions
) -> Batches | ClassBatches:
    """Return the batches of a training, as its task needs them."""
    characters, case_rate, seed = options.batch_characters, options.case_rate, options.seed
    if config.task == "classify":
        return ClassBatches(config, pairs, characters=characters, seed=seed)
    kind = NextBatches if config.task == "next" else Batches
    return kind(config, pairs, characters=characters, case_rate=case_rate, seed=seed)


@dataclass(frozen=True)
class Ending:
    """How far a training came."""

    done: float
    """Share of its epochs or minutes, 0 to 1; less than 1 where its patience ended it."""
    epochs: float
    """Epochs learned, the last one in part."""
    minutes: float
    """Minutes that it took."""


class Trainer:
    """Trains a network to its end."""

    def __init__(
        self,
        state: TrainingState,
        pairs: Sequence[AnyPair],
        options: TrainOptions,
        callbacks: Sequence[Callback] = (),
        evaluator: Evaluator | None = None,
        resume_file: ResumeFile | None = None,
        team: Team = ALONE,
    ) -> None:
        """Prepare a training; each process of a team has the same arguments.

        Without an evaluator nothing is evaluated, and without a resume file nothing is saved.
        """
        self._state = state
        self._options = options
        self._callbacks = callbacks
        self._evaluator = evaluator or Evaluator([])
        self._resume_file = resume_file
        self._team = team
        self._data = batches_of(state.network.config, pairs, options)
        self._forward = team.join(state.network)
        self._started = time.monotonic() - state.position.seconds
        self._saved = time.monotonic()
        self._batches_per_epoch = 1
        self._done = self._epochs = 0.0
        self._tuner = ThreadTuner() if is_tunable(team, options) else None
        if state.position.sample:
            self._evaluator.choose_sample(state.position.sample)

    def run(self) -> Ending:
        """Train to the end; the network then has the weights of the best evaluation.

        If the last step was not evaluated, it has the weights of the last step.

        Raises:
            FitError: the loss is not finite, or memory is lacking.
        """
        state, position = self._state, self._state.position
        try:
            with ThreadPoolExecutor(1) as loader:
                for batch in self._batches(loader):
                    with memory_named("--batch-characters, --hidden-size or --layers"):
                        with self._tuner.step(*batch.ids.shape) if self._tuner else nullcontext():
                            loss = optimizer_step(
                                state, self._forward, batch, self._options, self._done
                            )
                        self._finish_step(batch, loss)
        finally:
            for callback in self._callbacks:
                callback.on_end()
        if position.evaluated_step == position.step and state.best:
            state.network.load_state_dict(state.best)
        return Ending(self._done, self._epochs, position.seconds / 60)

    def _batches(self, loader: Executor) -> Iterator[Batch | PaddedBatch]:
        """Yield the batches of all epochs that are left."""
        position = self._state.position
        order = self._begin_epoch()
        while not self._ends:
            for batch in self._batches_of_epoch(order, loader):
                if self._ends:
                    break
                position.batch += self._team.size
                yield batch
            self._epochs = position.epochs(len(order))
            position.epoch, position.batch = position.epoch + 1, 0
            if not self._ends:
                order = self._begin_epoch()

    def _begin_epoch(self) -> list[Segments]:
        """Return the segments of each batch of the epoch, and find out how much is done."""
        order = self._data.order(self._state.position.epoch)
        self._batches_per_epoch = len(order)
        self._done = self._share_done()
        self._epochs = self._state.position.epochs(len(order))
        return order

    def _batches_of_epoch(
        self, order: Sequence[Segments], loader: Executor
    ) -> Iterator[Batch | PaddedBatch]:
        """Yield the batches that are left of an epoch; the loader prepares one in advance."""
        position, team, load = self._state.position, self._team, self._data.load
        if len(order) == 1:  # to hand one over takes as long as a step on hello
            yield load(order[0], position.epoch, 0)
            return
        coming: deque[Future[Batch | PaddedBatch]] = deque()
        for batch in range(position.batch, len(order), team.size):
            number = (batch + team.rank) % len(order)
            coming.append(loader.submit(load, order[number], position.epoch, number))
            if len(coming) > 1:
                yield coming.popleft().result()
        if coming:
            yield coming.popleft().result()

    @property
    def _ends(self) -> bool:
        patience = self._options.patience
        return self._done == 1.0 or (
            patience is not None and self._state.position.without_gain >= patience
        )

    def _share_done(self) -> float:
        """Return the share of the training that is done, by its epochs or by the clock."""
        options, position = self._options, self._state.position
        if options.epochs is not None:
            return min(1.0, position.epochs(self._batches_per_epoch) / options.epochs)
        assert options.minutes is not None
        return min(1.0, self._team.agree(position.seconds / (60 * options.minutes)))

    def _finish_step(self, batch: Batch | PaddedBatch, loss: float) -> None:
        """Count a step; evaluate or save if it is time to; call the callbacks."""
        state, position = self._state, self._state.position
        position.step += 1
        position.losses += loss
        position.characters += batch.ids.numel() * self._team.size
        position.seconds = time.monotonic() - self._started
        self._done = self._share_done()
        if is_due(state, self._options, self._team, self._done):
            self._evaluate()
            self._save()
        elif time.monotonic() - self._saved > SAVE_SECONDS:
            self._save()
        progress = Progress(
            epoch=position.epoch,
            done=self._done,
            loss=loss,
            characters=position.characters,
            seconds=position.seconds,
            accuracy=state.accuracy,
            threads=self._tuner.outcome if self._tuner else "",
        )
        for callback in self._callbacks:
            callback.on_step(progress, state.network)

    def _evaluate(self) -> None:
        """Evaluate the network, and keep its weights if they are the best."""
        state, position = self._state, self._state.position
        started = time.monotonic()
        # One step of a short training may pass several evaluations.
        position.evaluations = int(self._done * EVALUATIONS)
        if not position.sample:
            # To evaluate a character takes less time than to learn it, so the evaluation takes less
            # than half of the time until now.
            position.sample = max(1, position.characters // 2)
            self._evaluator.choose_sample(position.sample)
        if self._team.leads:
            outcome = self._evaluator.outcome(state.network.eval())
            record(state, outcome, self._evaluator.unchanged)
        position.without_gain = int(self._team.agree(position.without_gain))
        position.losses, position.evaluated_step = 0.0, position.step
        position.last_evaluating = time.monotonic() - started
        position.evaluating += position.last_evaluating

    def _save(self) -> None:
        if self._resume_file and self._team.leads:
            self._resume_file.save(self._state)
        self._saved = time.monotonic()
