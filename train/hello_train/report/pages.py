"""The report of a run: what happened while the network learned, as a page for people.

There is one for lines of text, one for the post's network, and one that puts several of the latter
side by side. `page` writes HTML and `pictures` draws; what the reader is told is here.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from hello_runtime.errors import reason
from hello_runtime.text.files import write_whole
from hello_runtime.text.pairs import Pair
from hello_runtime.text.score import Score

from hello_train.errors import ReportError
from hello_train.fit.history import Evaluation, History, Saying
from hello_train.fit.score import Context, Mistake
from hello_train.network.cells import CELLS
from hello_train.network.checkpoint import Training
from hello_train.network.config import ModelConfig
from hello_train.network.model import Network
from hello_train.report.gates import certainty, gates
from hello_train.report.html import (
    Html,
    character,
    element,
    facts,
    join,
    page,
    paragraph,
    section,
    table,
    text,
)
from hello_train.report.plots import (
    SHOWN_UNITS,
    accuracy_curve,
    heat_map,
    loss_curve,
    losses_by_epoch,
    spark,
)
from hello_train.report.slowest import LEARNED, OFTEN, slowest

SHOWN_SAYINGS = 30
"""Rows of what was said, at most: those of the start and the end."""
TOOLS = ("hello-rnn", "torch", "matplotlib")
"""Whose versions are told."""
LOSS = "the mean of \u2212ln p, p being the probability that the right character gets; in nats"
NOTHING = Html("")


@dataclass(frozen=True)
class TextRun:
    """What is told of a run on lines of text."""

    network: Network
    training: Training
    history: History
    """Its evaluations."""
    scores: dict[str, Score]
    """The rows of `score.compare`; empty where no line was held out."""
    mistakes: list[Mistake]
    """The most frequent first."""


@dataclass(frozen=True)
class HelloRun:
    """What is told of a run of the post's network."""

    network: Network
    training: Training
    history: History
    """Its losses and sayings, of this start."""
    pair: Pair
    starts: int = 1
    """How many were made; this is the last one."""

    @property
    def name(self) -> str:
        """The cell, as people write it."""
        return CELLS[self.network.config.cell].title

    @property
    def said(self) -> str:
        """What it says now."""
        return self.network.rewrite(self.pair.input)

    @property
    def first_right(self) -> int | None:
        """The epoch in which it first said the target, counted from 1; None if it never did."""
        sayings = self.history.sayings
        return next((s.first for s in sayings if s.text == self.pair.target), None)


def text_page(run: TextRun) -> str:
    """Return the page of a run on lines of text."""
    example = run.training.example
    return page(
        f"What a network learned from {run.training.data}",
        verdict(run.scores),
        facts({"it reads": example, "it writes": run.network.rewrite(example)}),
        section("How well it does", score_table(run.scores)) if run.scores else NOTHING,
        section("While it learned", learning(run)),
        section("What it gets wrong", mistake_table(run.mistakes)) if run.scores else NOTHING,
        section("Slow to learn", slow_table(run.history.evaluations)),
        section("The run", run_facts(run.network, run.training)),
    )


def hello_page(run: HelloRun) -> str:
    """Return the page of a run of the post's network."""
    is_lost = run.said != run.pair.target
    return page(
        f"{run.name}: {run.pair.input} \u2192 {run.said}" + f", not {run.pair.target}" * is_lost,
        f"A lost start: of {run.starts} none learned {run.pair.target}, and this is the last one."
        if is_lost
        else "What one network said while it learned its answer, and how it finds it now.",
        section(
            "While it learned",
            lost_words(run) if is_lost else NOTHING,
            grid(told_first(run), loss_picture(run, []), sayings_table(run)),
        ),
        section("How sure it is", grid(certainty_table(run), floor_words([run.network.config]))),
        section("What it computes", reading_gates([run]), grid(*gate_pictures(run))),
        section("The run", run_facts(run.network, run.training)),
    )


def compare_page(runs: Sequence[HelloRun]) -> str:
    """Return the page of several runs of the post's network, at least one, side by side."""

    def columns(title: str, part: Callable[[HelloRun], Html], words: Html = NOTHING) -> Html:
        """Return a section with a column for each run, so that all begin on one line."""
        parts = [element("div", element("h3", text(run.name)), part(run)) for run in runs]
        return section(title, words, grid(*parts))

    pair = runs[0].pair
    return page(
        f"{', '.join(run.name for run in runs)}: {pair.input} \u2192 {pair.target}",
        "One answer, learned by different cells: what each said on its way to it, and how it finds "
        "it now.",
        columns("How long it took", told_first),
        columns(
            "While they learned",
            lambda run: loss_picture(run, [other for other in runs if other is not run]),
            paragraph("The axes are shared; the pale curves are the others."),
        ),
        columns("What they said", sayings_table),
        columns(
            "How sure they are", certainty_table, floor_words([run.network.config for run in runs])
        ),
        columns(
            "What they compute",
            lambda run: element("div", *gate_pictures(run), class_="stack"),
            reading_gates(runs),
        ),
        columns("The runs", lambda run: run_facts(run.network, run.training)),
    )


def verdict(scores: dict[str, Score]) -> str:
    """Return in a sentence how well a model does."""
    if not scores:
        return "No line was held out, so nothing tells how it does on lines that it did not learn."
    model = scores["model"]
    return (
        f"Of {model.character_count:,} held-out characters it writes "
        f"{model.characters:.2%} right, and {model.lines:.2%} of the lines from end to end."
    )


def score_table(scores: dict[str, Score]) -> Html:
    """Return the rows of `score.compare`, and what they are shares of."""
    count = next(iter(scores.values()))
    rows = [
        (name, f"{row.characters:.2%}", share_of_words(row.words), f"{row.lines:.2%}")
        for name, row in scores.items()
    ]
    counts = (count.character_count, count.word_count, count.line_count)
    cells = [[text(cell) for cell in row] for row in rows]
    cells.append([text("of how many"), *(text(f"{number:,}") for number in counts)])
    return table(
        "The share that is right of the held-out characters, words and lines; the last row counts "
        "these. Words are those with a character that is not always written as it is "
        "read; the most frequent target gives each word what it became most often in the lines "
        "learned.",
        {"": "row", "characters": "number", "words": "number", "exact lines": "number"},
        cells,
    )


def learning(run: TextRun) -> Html:
    """Return the curves of accuracy and loss."""
    evaluations = run.history.evaluations
    if not evaluations:
        return paragraph("It was not judged while it learned.")
    accuracy, loss = accuracy_curve(evaluations, run.scores), loss_curve(evaluations)
    return join(
        grid(
            figure(
                "accuracy", "on held-out lines; a line up is ten times fewer mistakes", accuracy
            ),
            figure("loss", f"on the lines that it learns: {LOSS}", loss),
            class_="grid wide",
        ),
        floor_words([run.network.config]),
    )


def mistake_table(mistakes: Sequence[Mistake]) -> Html:
    """Return the most frequent mistakes with what stood around them."""
    if not mistakes:
        return paragraph("Nothing, on the held-out lines.")
    return table(
        "The most frequent mistakes on held-out lines. The text around them is as it should be, "
        "and the character that came out otherwise is marked.",
        {"read": "words", "right": "words", "said": "words", "times": "number", "where": "words"},
        [
            [
                character(mistake.input),
                character(mistake.target),
                character(mistake.output),
                text(f"{mistake.count:,}"),
                join(*(marked(context, mistake.target) for context in mistake.contexts)),
            ]
            for mistake in mistakes
        ],
        class_="stacked",
    )


def marked(context: Context, target: str) -> Html:
    """Return what stood around a mistake, and the target marked in the midst of it."""
    return element(
        "bdi",
        text(context.before),
        element("mark", text(target)),
        text(context.after),
        class_="context",
    )


def slow_table(evaluations: Sequence[Evaluation]) -> Html:
    """Return the characters that were learned last."""
    slow = slowest(evaluations)
    if not slow:
        return paragraph(
            f"No character of at least {OFTEN} places was still to be learned at the first "
            "evaluation."
        )
    return table(
        f"A character is learned when {LEARNED:.0%} of it is right, from then to the end. Only "
        f"characters of at least {OFTEN} places in the held-out lines are here; the dashed line of "
        f"the pictures is at {LEARNED:.0%}.",
        {
            "character": "row",
            "places": "number",
            "batches until learned": "number",
            "over time": "words",
            "right now": "number",
        },
        [
            [
                character(one.char),
                text(f"{one.places:,}"),
                text(f"{one.learned.step:,}" if one.learned else "not yet"),
                spark(one.char, one.shares),
                text(f"{one.shares[-1]:.1%}"),
            ]
            for one in slow
        ],
    )


def told_first(run: HelloRun) -> Html:
    """Return when a network was first right, and whether it stayed so."""
    if run.first_right is None:
        return paragraph(f"It never said {run.pair.target}.")
    last = run.history.sayings[-1]
    if last.text != run.pair.target:
        then = f"At the end it said {last.text}."
    elif last.first == run.first_right:
        then = "It kept to it."
    else:
        then = f"It kept to it from epoch {last.first:,} on."
    return element(
        "div",
        element("p", text(f"{run.first_right:,} epochs"), class_="big"),
        paragraph(f"until it first said {run.pair.target}. {then}"),
    )


def loss_picture(run: HelloRun, others: Sequence[HelloRun]) -> Html:
    """Return the loss of a run by epoch, before those of others."""
    if not run.history.losses:
        return paragraph("Its losses were not kept.")
    picture = losses_by_epoch(
        run.name,
        run.history.losses,
        [other.history.losses for other in others],
        CELLS[run.network.config.cell].colour,
        run.first_right,
        loss_floor(run.network.config),
    )
    marks = ""
    if run.first_right is not None:
        marks += f"; the dot is where it first said {run.pair.target}"
    if loss_floor(run.network.config) is not None:
        marks += "; the line of dashes is the lowest that it can be"
    return figure("loss", LOSS + marks, picture)


def lost_words(run: HelloRun) -> Html:
    """Return what can be said of a start that did not learn its answer."""
    losses, wrong = run.history.losses, sum(map(str.__ne__, run.said, run.pair.target))
    words = [f"It says {run.said}, where {wrong} of {len(run.said)} letters are wrong."]
    if losses:
        before = losses[-1 - max(1, len(losses) // 10) :][0]
        words.append(
            f"In the last tenth of its {len(losses):,} epochs the loss went from {before:.3f} to "
            f"{losses[-1]:.3f}. Where it still falls, more --epochs may do; where it does not, the "
            f"network stays with its answer, and another --seed may do."
        )
    return join(*map(paragraph, words))


def certainty_table(run: HelloRun) -> Html:
    """Return how sure a network is of each letter that it should say."""
    pair, probabilities = run.pair, certainty(run.network, run.pair)
    losses = [-math.log(max(probability, math.ulp(0.0))) for probability in probabilities]
    rows = [
        [text(read), text(right), text(said), text(f"{probability:.1%}"), text(f"{loss:.2f}")]
        for read, right, said, probability, loss in zip(
            pair.input, pair.target, run.said, probabilities, losses, strict=True
        )
    ]
    mean = sum(losses) / len(losses)
    return table(
        "p is the probability that the right letter gets; the mean of \u2212ln p is the loss, in "
        "nats",
        {"read": "words", "right": "words", "said": "words", "p": "number", "\u2212ln p": "number"},
        [*rows, [text("mean"), text(""), text(""), text(""), text(f"{mean:.2f}")]],
    )


def loss_floor(config: ModelConfig) -> float | None:
    """Return what the loss of a network cannot fall below, in nats; None where nothing bounds it.

    Without a projection the hidden values are the logits. Those of an RNN with tanh, of a GRU and
    of an LSTM lie between -1 and 1: the first is a tanh, the second a mean of one and the state
    before, the third one times a gate. So of n labels the right one has a logit of at most 1, the
    others of at least -1, and its probability is at most e / (e + (n - 1) / e). A guard changes n
    from character to character.
    """
    if config.projection or config.nonlinearity == "relu" or config.guard is not None:
        return None
    return math.log1p((config.labels - 1) * math.exp(-2))


def floor_words(configs: Sequence[ModelConfig]) -> Html:
    """Return why the loss of networks stops where it does, if something bounds it for all alike."""
    floor = loss_floor(configs[0])
    if floor is None or any(loss_floor(config) != floor for config in configs):
        return NOTHING
    others = configs[0].labels - 1
    return paragraph(
        f"The loss cannot fall below {floor:.2f}. The hidden values are the logits, the scores of "
        f"which softmax makes probabilities: e to the power of each, divided by the sum of all. "
        f"They lie between \u22121 and 1, so the right character gets at most "
        f"e / (e + {others}/e) = {math.exp(-floor):.1%}, and \u2212ln of that is "
        f"ln(1 + {others} e\u207b\u00b2) = {floor:.4f}. With --projection nothing bounds the "
        f"logits."
    )


def sayings_table(run: HelloRun) -> Html:
    """Return what a network said from epoch to epoch."""
    sayings = run.history.sayings
    left_out = len(sayings) - SHOWN_SAYINGS
    rows = [saying_row(saying, run.pair.target) for saying in sayings]
    if left_out > 0:
        half = SHOWN_SAYINGS // 2
        rows[half:-half] = [[text("\u2026"), text(f"{left_out:,} more"), text("")]]
    return table(
        f"To {run.pair.input}, by epoch; what is right is underlined",
        {"epochs": "number", "said": "words", "right": "number"},
        rows,
    )


def saying_row(saying: Saying, target: str) -> list[Html]:
    """Return the cells of what was said in some epochs."""
    epochs = f"{saying.first:,}"
    if saying.last > saying.first:
        epochs += f"\u2013{saying.last:,}"
    right = [said == wanted for said, wanted in zip(saying.text, target, strict=True)]
    letters = [
        element("b", text(char)) if is_right else text(char)
        for char, is_right in zip(saying.text, right, strict=True)
    ]
    return [
        text(epochs),
        element("span", *letters, class_="said"),
        text(f"{sum(right)} of {len(target)}"),
    ]


def reading_gates(runs: Sequence[HelloRun]) -> Html:
    """Return how the pictures of `gate_pictures` are read."""
    configs = [run.network.config for run in runs]
    words = [
        "A column is a character that is read and what is said to it, a row is a hidden unit. "
        "Gates are shares, from 0 in white to 1 in blue; states and candidates are orange below "
        "zero and violet above."
    ]
    if all(map(units_are_labels, configs)):
        words.append(
            "The hidden units are the logits, a score for each letter: each is named after its "
            "letter, and the largest, in a frame, is what is said."
        )
    if any(config.layers > 1 or config.bidirectional for config in configs):
        words.append("Of several layers or directions this is the first.")
    if any(config.hidden_size > SHOWN_UNITS for config in configs):
        words.append(f"Of more units than {SHOWN_UNITS} these are the first.")
    return join(*map(paragraph, words))


def gate_pictures(run: HelloRun) -> list[Html]:
    """Return a picture of each gate and state of a network while it reads the example."""
    config, said = run.network.config, run.network.rewrite(run.pair.input)
    cell = CELLS[config.cell]
    columns = [f"{read} \u2192 {out}" for read, out in zip(run.pair.input, said, strict=True)]
    rows = [str(unit) for unit in range(1, config.hidden_size + 1)]
    chosen: list[int] = []
    if units_are_labels(config):
        rows = list(config.output_alphabet)
        chosen = [config.output_alphabet.index(char) for char in said]
    values = gates(run.network, run.pair.input)
    return [
        figure(
            name,
            meaning.replace("tanh", config.nonlinearity),
            heat_map(
                f"{run.name}, {name} over {run.pair.input}",
                values[name],
                columns,
                rows[:SHOWN_UNITS],
                is_share=name in cell.between_zero_and_one,
                chosen=chosen if name == "hidden" else [],
            ),
        )
        for name, meaning in cell.meanings.items()
    ]


def units_are_labels(config: ModelConfig) -> bool:
    """Tell whether the hidden units of a network are themselves the logits of its labels."""
    return not (config.projection or config.bidirectional or config.layers > 1)


def run_facts(network: Network, training: Training) -> Html:
    """Return what made a run what it is; nothing that differs between equal runs."""
    config = network.config
    weights = sum(parameter.numel() for parameter in network.parameters())
    return facts(
        {
            "learned from": f"{training.data}; {training.characters:,} characters",
            "network": shape(config),
            "weights": f"{weights:,}",
            "alphabet": f"{len(config.input_alphabet):,} characters read, "
            f"{config.labels:,} written",
            "substitutions": "any" if config.guard is None else "those seen while learning",
            "seed": str(training.seed),
            "made with": ", ".join(f"{name} {version(name)}" for name in TOOLS)
            + f", Python {platform.python_version()}",
        }
    )


def shape(config: ModelConfig) -> str:
    """Return the shape of a network in words."""
    layers = "1 layer" if config.layers == 1 else f"{config.layers} layers"
    return ", ".join(
        [
            f"embedding of {config.embedding_dim}",
            f"{layers} of {CELLS[config.cell].title}, {config.hidden_size} hidden units"
            + (" in each of two directions" if config.bidirectional else ""),
            f"a projection to {config.labels} logits"
            if config.projection
            else f"which are the {config.labels} logits",
            "of which softmax makes probabilities",
        ]
    )


def share_of_words(words: float | None) -> str:
    """Return the share of words that are right, a dash where there were none to judge by."""
    return "\u2013" if words is None else f"{words:.2%}"


def grid(*parts: Html, class_: str = "grid") -> Html:
    """Return parts side by side where there is room, else one below the other."""
    return element("div", *parts, class_=class_)


def figure(name: str, meaning: str, picture: Html) -> Html:
    """Return a picture under its name and what it means."""
    caption = element("figcaption", element("b", text(name)), text(f" {meaning}"))
    return element("figure", caption, picture)


def write_report(path: Path, content: str) -> None:
    """Write a page to its file.

    Raises:
        ReportError: it cannot be written; what was there before is there still.
    """
    try:
        write_whole(path, content.encode())
    except OSError as error:
        raise ReportError(f"cannot write {path}: {reason(error)}") from error
