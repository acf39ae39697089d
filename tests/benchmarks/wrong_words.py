"""Counts the wrong words of a model by what the text that it learned from says of them.

    python tests/benchmarks/wrong_words.py PAIRS --model ARTIFACT --learned TEXT

PAIRS are lines of input, TAB, target without diacritics and with them; TEXT is what the model
learned, with them, and --learned may be given again. A word counts if the model's guard lets one of
its characters change. Beside the model stands ogonki, where it is installed.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import click
from hello_runtime import Decoder
from hello_runtime.text.pairs import read_pairs
from hello_train.data.corruption import find_corruption
from measuring import show

WORD = re.compile(r"\w+")
KINDS = (
    "read in one spelling",
    "in several, this the most frequent",
    "in several, another more frequent",
    "in other spellings only",
    "never read",
)

Spellings = dict[str, Counter[str]]
"""How often each word was read in each spelling, by its input; all in lower case."""


def spellings(texts: Iterable[Path]) -> Spellings:
    """Count the words of files."""
    strip = find_corruption("strip-diacritics")
    found: Spellings = defaultdict(Counter)
    for text in texts:
        for line in text.read_text(encoding="utf-8").lower().split("\n"):
            for word, read in zip(WORD.findall(line), WORD.findall(str(strip(line))), strict=True):
                found[read][word] += 1
    return found


def kind_of(read: str, target: str, known: Spellings) -> str:
    """Return which of `KINDS` a word is."""
    counts = known.get(read.lower())
    if not counts:
        return KINDS[4]
    if target.lower() not in counts:
        return KINDS[3]
    if len(counts) == 1:
        return KINDS[0]
    return KINDS[1] if counts.most_common(1)[0][0] == target.lower() else KINDS[2]


def rewritten(decoder: Decoder, texts: Sequence[str]) -> dict[str, list[str]]:
    """Return what the model, and ogonki where it is installed, make of lines."""
    outputs = {"model": decoder.decode_batch(texts)}
    try:
        import ogonki
    except ImportError:
        return outputs
    return {**outputs, "ogonki": ogonki.restore("\n".join(texts)).split("\n")}


@click.command()
@click.argument("pairs", type=click.Path(exists=True, path_type=Path))
@click.option("--model", required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--learned", required=True, multiple=True, type=click.Path(exists=True, path_type=Path)
)
@click.option("--json", "as_json", is_flag=True)
def main(pairs: Path, model: Path, learned: tuple[Path, ...], as_json: bool) -> None:
    """Print a row for each kind of word: how many there are, and how many of all are wrong."""
    decoder = Decoder.open(model, unknown="copy")
    free = decoder.info.changeable or frozenset()
    known = spellings(learned)
    lines = list(dict.fromkeys(pair for _, pair in read_pairs(pairs)))
    outputs = rewritten(decoder, [line.input for line in lines])
    words: Counter[str] = Counter()
    wrong = {name: Counter[str]() for name in outputs}
    for number, line in enumerate(lines):
        for place in map(re.Match.span, WORD.finditer(line.input)):
            read, target = line.input[slice(*place)], line.target[slice(*place)]
            if free.isdisjoint(read):
                continue
            kind = kind_of(read, target, known)
            words[kind] += 1
            for name, texts in outputs.items():
                wrong[name][kind] += texts[number][slice(*place)] != target
    total = words.total()
    rows = [
        {"word": kind, "words": words[kind]}
        | {f"wrong, {name}, %": 100 * counts[kind] / total for name, counts in wrong.items()}
        for kind in KINDS
    ]
    rows.append(
        {"word": "all", "words": total}
        | {f"wrong, {name}, %": 100 * counts.total() / total for name, counts in wrong.items()}
    )
    show(rows, as_json=as_json, title=f"{pairs.name}, by {model}", packages=["ogonki"])


if __name__ == "__main__":
    main()
