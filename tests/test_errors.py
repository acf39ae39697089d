"""Errors cross processes: each class pickles, and comes back with all that it carries."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from importlib import import_module
from multiprocessing import get_context
from pkgutil import walk_packages

import hello_export
import hello_runtime
import hello_train
import numpy as np
import pytest
from hello_runtime import DecodeColumn, TaskError, UnknownCharacterError

PACKAGES = (hello_runtime, hello_train, hello_export)


def classes() -> list[type[BaseException]]:
    """Return every class of error that one of the packages defines."""
    for package in PACKAGES:
        for module in walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                import_module(module.name)
    names = tuple(package.__name__ for package in PACKAGES)
    found = {kind for kind in below(BaseException) if kind.__module__.startswith(names)}
    return sorted(found, key=lambda kind: (kind.__module__, kind.__qualname__))


def below(kind: type[BaseException]) -> Iterator[type[BaseException]]:
    for child in kind.__subclasses__():
        yield child
        yield from below(child)


EXAMPLES: dict[type[BaseException], BaseException] = {
    UnknownCharacterError: UnknownCharacterError("é", 7, "ehlo" * 20, 3),
    TaskError: TaskError("model.onnx", "next", ("rewrite", "classify")),
}
"""Of each class that takes something else than a text."""


def test_an_error_comes_back_whole() -> None:
    kinds = classes()
    for kind in kinds:
        error = EXAMPLES[kind] if kind in EXAMPLES else kind("a text")
        error.__dict__["seen"] = 1
        for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
            assert type(again) is kind
            assert str(again) == str(error)
            assert vars(again) == vars(error)
            assert again.args == error.args
    names = {kind.__module__.partition(".")[0] for kind in kinds}
    assert names == {"hello_runtime", "hello_train", "hello_export"}
    assert len(kinds) > 15


def test_what_an_unknown_character_says() -> None:
    error = pickle.loads(pickle.dumps(EXAMPLES[UnknownCharacterError]))
    assert (error.character, error.position, error.index) == ("é", 7, 3)
    assert "'é' (U+00E9), character 8" in str(error)
    assert f"'{'ehlo' * 10}…'" in str(error)
    assert "--unknown copy (in Python: unknown='copy') leaves such characters" in str(error)


def test_a_pool_raises_it_in_the_parent() -> None:
    with get_context("spawn").Pool(1) as pool:
        good, bad = ({"text": np.array([text], object)} for text in ("hello", "héllo"))
        decode = DecodeColumn()
        (result,) = pool.map_async(decode, [good]).get(timeout=120)
        assert result["decoded"].tolist() == ["ohlol"]
        with pytest.raises(UnknownCharacterError, match=r"U\+00E9") as caught:
            pool.map_async(decode, [good, bad]).get(timeout=120)
    assert (caught.value.position, caught.value.index) == (1, 0)
