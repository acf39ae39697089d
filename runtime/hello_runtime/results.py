"""What `hello-infer` writes, in pieces of UTF-8, as soon as each is known."""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from hello_runtime.errors import InputError, UnknownCharacterError
from hello_runtime.text.lines import Block, read_pieces, utf8_parts
from hello_runtime.text.long_text import LongText
from hello_runtime.text.normal_forms import normalise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hello_runtime.classification import Classification
    from hello_runtime.decoder import Decoder
    from hello_runtime.engine.rows import Annotation, Parts, Row
    from hello_runtime.text.lines import Bytes
    from hello_runtime.text.long_text import Text

STANDARD_INPUT = "standard input, line"
"""What errors call a line of it, in front of its number."""
NUMBERS = 4096
"""Numbers of a long line that are written at once."""


def generated(
    decoder: Decoder,
    characters: int,
    prompt: str | None,
    temperature: float | None,
    top: int | None,
    seed: int | None,
) -> Generator[Bytes, None, None]:
    """Yield a prompt in the model's normal form, each character that continues it, then LF."""
    drawn = decoder.generate(
        prompt or "",
        characters,
        temperature=1.0 if temperature is None else temperature,
        top=top,
        seed=seed,
    )
    yield normalise(prompt or "", decoder.info.normalization).encode()
    for character in drawn:
        yield character.encode()
    yield b"\n"


def encoded(text: str) -> Generator[Bytes, None, None]:
    """Yield a text in UTF-8."""
    yield text.encode()


def decode_blocks(
    decoder: Decoder, blocks: Iterator[Block], as_json: bool
) -> Generator[Bytes, None, None]:
    """Yield the output of each block; a single text takes the short way, `Decoder.decode`."""
    for block in blocks:
        try:
            if as_json:
                yield from together(json_lines(decoder, block.texts), block.texts)
            elif len(block.texts) == 1 and isinstance(text := block.texts[0], str):
                yield (decoder.decode(text) + block.ends[0]).encode()
            else:
                yield from join_lines(decoder._run_texts(decoder._text_outputs, block.texts), block)
        except UnknownCharacterError as error:
            raise InputError(f"{block.place(error.index)}: {error}") from error


def decode_file(
    decoder: Decoder, blocks: Iterator[Block], path: Path, *, shown: bool
) -> Generator[Bytes, None, None]:
    """Yield the output of a file block by block, while the engine runs the next block."""
    reading: deque[Block] = deque()

    def texts() -> Iterator[list[Text]]:
        for block in blocks:
            reading.append(block)
            yield block.texts

    with (
        progress_bar(path, shown=shown) as advance,
        closing(decoder._run_batches(decoder._text_outputs, texts())) as batches,
    ):
        try:
            for rows in batches:
                size = reading[0].size
                yield from join_lines(rows, reading.popleft())
                rows.clear()  # a long line is not kept while the next one is decoded
                advance(size)
        except UnknownCharacterError as error:
            raise InputError(f"{reading[-1].place(error.index)}: {error}") from error


def join_lines(rows: Sequence[Row], block: Block) -> Iterator[Bytes]:
    """Yield decoded lines in UTF-8, each with its original line end."""
    from hello_runtime.engine.rows import Parts

    parts: list[Bytes] = []
    for row, end in zip(rows, block.ends, strict=True):
        parts += [row.content if isinstance(row, Parts) else row.text.encode(), end.encode()]
    return together(parts, block.texts)


def together(parts: Iterable[Bytes], texts: Iterable[Text]) -> Iterator[Bytes]:
    """Yield what was made of some texts: at once, or in parts if one is long."""
    yield from parts if LongText in map(type, texts) else [b"".join(parts)]


def stream_lines(decoder: Decoder) -> Generator[Bytes, None, None]:
    """Yield the output of the standard input as it arrives; each line is a stream of its own.

    A CR is held back until the next character shows whether it belongs to a line end, CR LF.
    """
    stream = decoder.stream()
    if sys.stdin is None:
        raise click.UsageError("nothing to decode: the standard input is closed.")
    number = 1
    held = ""
    try:
        for piece in read_pieces(cast(BufferedReader, sys.stdin.buffer), STANDARD_INPUT):
            *lines, rest = (held + piece).split("\n")
            for line in lines:
                text = line.removesuffix("\r")
                yield (stream.feed(text, final=True) + line[len(text) :] + "\n").encode()
                stream = decoder.stream()
                number += 1
            text = rest.removesuffix("\r")
            held = rest[len(text) :]
            yield stream.feed(text).encode()
        yield stream.feed(held, final=True).encode()
    except UnknownCharacterError as error:
        raise InputError(f"{STANDARD_INPUT} {number}: {error}") from error


def shows_progress(output_file: Path | None) -> bool:
    """Tell whether to show progress: stderr is a terminal, and the output goes elsewhere."""
    to_terminal = output_file is None and sys.stdout is not None and sys.stdout.isatty()
    return sys.stderr is not None and sys.stderr.isatty() and not to_terminal


@contextmanager
def progress_bar(path: Path, *, shown: bool) -> Iterator[Callable[[int], None]]:
    """Show how much of a file is decoded; yield a function that takes the bytes of a block."""
    if not shown or not path.is_file():
        yield lambda _: None
        return
    with click.progressbar(length=path.stat().st_size, label=path.name, file=sys.stderr) as bar:
        yield bar.update


def json_lines(decoder: Decoder, texts: Sequence[Text]) -> Iterator[bytes]:
    """Yield a line of JSON for each text, a long one in parts."""
    from hello_runtime.classification import classifications
    from hello_runtime.engine.rows import Parts

    decoder._need_task("rewrite", "classify")
    read = decoder._check_batch(texts)
    if decoder.info.task == "classify":
        names = decoder.info.classes
        found = classifications(decoder, decoder._run_texts(["label", "logits"], read))
        for text, shares in zip(read, found, strict=True):
            yield class_to_json(str(text), shares, names).encode()
        return
    for text, row in zip(read, decoder._run_texts(["decoded", "confidence"], read), strict=True):
        numbers: dict[str, NDArray[Any]] = {"confidence": row.confidence}
        if decoder._width is not None:
            numbers["lengths"] = row.lengths
        if isinstance(row, Parts):
            yield from long_json(text, row, numbers)
        else:
            yield to_json(str(text), row, numbers)


def to_json(text: str, row: Annotation, numbers: Mapping[str, NDArray[Any]]) -> bytes:
    """Return a line of JSON: input, output, and numbers for each character of the input."""
    lists = {name: plain(values) for name, values in numbers.items()}
    content = {"input": text, "output": row.text, **lists}
    return json.dumps(content, ensure_ascii=False).encode() + b"\n"


def long_json(text: Text, row: Parts, numbers: Mapping[str, NDArray[Any]]) -> Iterator[bytes]:
    """Yield what `to_json` gives for a long text, in parts."""
    yield b'{"input": "'
    yield from map(json_inside, text)
    yield b'", "output": "'
    yield from map(json_inside, utf8_parts(row.content))
    yield b'"'
    for name, values in numbers.items():
        yield from long_list(name, values)
    yield b"}\n"


def long_list(name: str, values: NDArray[Any]) -> Iterator[bytes]:
    """Yield the entry of an object of JSON that has these numbers, in parts."""
    yield f', "{name}": ['.encode()
    for start in range(0, len(values), NUMBERS):
        yield b", " * bool(start) + json_inside(plain(values[start : start + NUMBERS]))
    yield b"]"


def plain(values: NDArray[Any]) -> list[float]:
    """Return numbers for JSON, shares with four decimals."""
    rounded = values.astype(float).round(4) if values.dtype.kind == "f" else values
    return list(rounded.tolist())


def json_inside(value: str | list[float]) -> bytes:
    """Return a value as JSON, without the quotes or brackets around it."""
    return json.dumps(value, ensure_ascii=False)[1:-1].encode()


def class_to_json(text: str, row: Classification, names: tuple[str, ...]) -> str:
    """Return a line of JSON: input, class, confidence, and the probability of each class.

    An empty line has the class null.
    """
    shares = plain(row.probabilities)
    content = {
        "input": text,
        "class": row.label or None,
        "confidence": round(row.confidence, 4),
        "probabilities": dict(zip(names, shares, strict=True)),
    }
    return json.dumps(content, ensure_ascii=False) + "\n"
