"""Writes the help texts of the three commands into docs/commands.md.

    python tests/write_help.py

They stand in its console blocks, as the output of `COMMAND --help` on a terminal of 80 columns.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "commands.md"
BLOCK = re.compile(r"^```console\n\$ (hello-\w+) --help\n.*?^```$", re.MULTILINE | re.DOTALL)


def block(command: str) -> str:
    """Return the console block of a command's help."""
    result = subprocess.run(
        [Path(sys.executable).with_name(command), "--help"],
        env={**os.environ, "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=True,
    )
    return f"```console\n$ {command} --help\n{result.stdout}```"


def main() -> None:
    """Replace each help text of the page by today's."""
    page = PAGE.read_text(encoding="utf-8")
    written = BLOCK.sub(lambda found: block(found[1]), page)
    PAGE.write_text(written, encoding="utf-8")


if __name__ == "__main__":
    main()
