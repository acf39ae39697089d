"""The examples in docstrings are run, and the public API has one in each method."""

from __future__ import annotations

import doctest
import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any

import hello_runtime
import pytest
from test_house import PACKAGES, files_of


def modules_with_examples() -> list[str]:
    """Return the modules of the three packages that have an example."""
    found = []
    for package, folder in PACKAGES.items():
        for file in files_of(package):
            if ">>> " in file.read_text(encoding="utf-8"):
                parts = file.relative_to(folder.parent).with_suffix("").parts
                found.append(".".join(part for part in parts if part != "__init__"))
    return found


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_give_what_they_show(name: str) -> None:
    failed, tried = doctest.testmod(import_module(name), raise_on_error=False)
    assert tried > 0
    assert failed == 0


def public_functions() -> dict[str, Callable[..., Any]]:
    """Return the public methods of the classes that decode."""
    classes = [getattr(hello_runtime, name) for name in ("Decoder", "Stream", "DecodeColumn")]
    return {
        f"{one.__name__}.{name}": function
        for one in classes
        for name, function in inspect.getmembers(one, callable)
        if name == "__call__" or not name.startswith("_")
        if name in vars(one)
    }


def test_each_method_of_the_public_api_has_an_example() -> None:
    functions = public_functions()
    assert {"Decoder.open", "Decoder.decode", "Stream.feed", "DecodeColumn.__call__"} <= {
        *functions
    }
    for name, function in functions.items():
        assert ">>> " in (inspect.getdoc(function) or ""), name
