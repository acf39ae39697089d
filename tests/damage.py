"""Safetensors files with damaged headers, from a seed: what a bad disk, a bad script or somebody's
bad intention leaves of a state file."""

from __future__ import annotations

import json
import random
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hello_train.network.checkpoint import METADATA_KEY

OURS = ("__metadata__", METADATA_KEY)
"""Where our own part of a header is."""
NESTED = "[" * 100_000 + "]" * 100_000
"""JSON that no recursive parser can read."""
NUMBERS = (
    *(0, 1, 2, 3, -1, 0.5, -0.0, 1e308, float("nan"), float("inf"), True, False),
    *(2**31, 2**32, 2**53, 2**63 - 1, 2**63, 2**64, 10**5, 10**6, 10**9, 10**12, 10**400),
)
ODD: tuple[Any, ...] = (
    *NUMBERS,
    *(None, "", "a", "error", "ż\u0301😀", "\ud800", "\0", "x" * 100_000, "nan", "1"),
    *("F64", "F16", "BF16", "I64", "U8", "BOOL", "F8_E4M3", "F8_E8M0", "F4", "C64"),
    *([], [0], [10**6, 10**6], [2**63, 2**63], [[]], {}, {"a": 1}, {"": None}, {"a": {"a": []}}),
)
"""Values of every type and size."""


def split(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the header of a safetensors file, our own part of it parsed too, and the rest."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header["__metadata__"][METADATA_KEY] = json.loads(header["__metadata__"][METADATA_KEY])
    return header, content[8 + size :]


def join(header: Any, data: bytes) -> bytes:
    """Return the file of a header and the rest: `split` the other way round."""
    if isinstance(header, dict) and isinstance(metadata := header.get("__metadata__"), dict):
        ours = metadata.get(METADATA_KEY)
        header = {**header, "__metadata__": {**metadata, METADATA_KEY: dump(ours)}}
    text = dump(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def dump(value: Any) -> str:
    """Return JSON, with the two things that `damaged` cannot say in Python."""
    return json.dumps(value).replace('"NESTED"', NESTED).replace('"AGAIN ', '"')


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where each value in a JSON value is."""
    yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from places(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from places(item, (*path, index))


def changed(value: Any, path: tuple[Any, ...], new: Any, *, how: str) -> Any:
    """Return a JSON value in which one place is another: replaced, removed, or there twice."""
    if not path:
        return new
    first, *rest = path
    copy = value.copy()
    if rest:
        copy[first] = changed(value[first], tuple(rest), new, how=how)
    elif how == "remove":
        del copy[first]
    elif how == "repeat" and isinstance(copy, dict):
        copy[f"AGAIN {first}"] = new
    else:
        copy[first] = new
    return copy


def damaged(content: bytes, seed: int) -> bytes:
    """Return a safetensors file with one to three places of its header changed."""
    source = random.Random(seed)
    header, data = split(content)
    for _ in range(source.choice((1, 1, 1, 2, 3))):
        every = list(places(header))
        ours = [path for path in every if path[:2] == OURS]
        path = source.choice(ours if ours and source.random() < 0.8 else every)
        values = (source.choice(ODD), source.choice(NUMBERS), "NESTED")
        (new,) = source.choices(values, (10, 10, 1))
        (how,) = source.choices(("replace", "remove", "repeat"), (6, 2, 1))
        header = changed(header, path, new, how=how)
    return cut(join(header, data), source) if source.random() < 0.05 else join(header, data)


def cut(content: bytes, source: random.Random) -> bytes:
    """Return a file without some bytes in its midst, or without its end."""
    start = source.randrange(len(content))
    return content[:start] + content[start + source.choice((1, 8, len(content))) :]


@contextmanager
def little_memory(more: int) -> Iterator[None]:
    """Give a context in which the process may take only so many bytes more than it has."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
