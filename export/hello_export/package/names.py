"""Which names a package may have: the name is that of its distribution, module and command."""

from __future__ import annotations

import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution, entry_points
from importlib.util import find_spec
from keyword import iskeyword
from pathlib import Path

from hello_runtime.model.model_file import MODEL_NAME

from hello_export.errors import PackageError

NAME = re.compile(r"[a-z]([a-z0-9_]*[a-z0-9])?", re.ASCII | re.IGNORECASE)
"""What is a Python identifier and, by PEP 508, the name of a distribution as well."""
RULE = (
    "it must be ASCII letters, digits and underscores, begin with a letter, and end with a letter "
    "or digit, so that Python can import it and pip install it"
)
RESERVED = ("hello_export", "hello_rnn", "hello_runtime", "hello_train")
"""Names of this distribution and its packages."""
DEVICES = re.compile(r"con|prn|aux|nul|(com|lpt)[0-9]", re.IGNORECASE)
"""Names that on Windows no file or folder can have; they stand for devices."""
PROGRAMS = re.compile(r"pythonw?[0-9]*|pip[0-9]*|activate|deactivate", re.IGNORECASE)
"""Files of a virtual environment, in whose place the command of the package would be installed."""
REQUIREMENT = re.compile(r"hello[-_.]rnn\b", re.IGNORECASE)
"""How a requirement of this distribution begins."""


def check_name(name: str) -> None:
    """Check that a package may have a name.

    >>> check_name("polish_marks")

    Raises:
        PackageError: it may not; the text has the rule.
    """
    if fault := fault_of(name):
        raise PackageError(f"no package can be called {name!r:.60}: {fault}; take another name")


def fault_of(name: str) -> str | None:
    """Return what is wrong with the name of a package, or None.

    >>> fault_of("class")
    'it is a keyword of Python'
    """
    if not NAME.fullmatch(name):
        return RULE
    if iskeyword(name):
        return "it is a keyword of Python"
    if name.lower() in {module.lower() for module in sys.stdlib_module_names} | {"test", "tests"}:
        return "a module of Python's standard library has this name, or its tests"
    if DEVICES.fullmatch(name):
        return "on Windows this is the name of a device, and no folder can have it"
    if PROGRAMS.fullmatch(name):
        return "its command would replace the one of a virtual environment"
    if name.lower() in RESERVED:
        return "hello-rnn itself has this name"
    return installed_as(name)


def installed_as(name: str) -> str | None:
    """Return what is installed here under a name, unless it is a package that we wrote.

    >>> installed_as("numpy").partition(" ")[0]
    'numpy'
    """
    try:
        found = distribution(name)
    except PackageNotFoundError:
        found = None
    if found and not needs_hello_rnn(found):
        return f"{found.name} {found.version} is installed here"
    for command in entry_points(group="console_scripts", name=name):
        if command.dist and not needs_hello_rnn(command.dist):
            return f"{command.dist.name} {command.dist.version}, installed here, has this command"
    spec = find_spec(name)
    # A folder without code, such as that of the project itself, is no module of this name.
    if spec and spec.origin and not Path(spec.origin).with_name(MODEL_NAME).exists():
        return f"{spec.origin} is a module of this name"
    return None


def needs_hello_rnn(found: Distribution) -> bool:
    """Tell whether a distribution needs hello-rnn, as those that we wrote do."""
    return any(map(REQUIREMENT.match, found.requires or ()))
