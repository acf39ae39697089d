"""Print lines `input TAB target` made of the lines of a text, to score a model on.

    python train/recipes/text_to_pairs.py TEXT strip-diacritics > pairs.tsv

Each line once; the few that have a tab are left out.
"""

from __future__ import annotations

import sys
from pathlib import Path

from hello_runtime.errors import HelloRuntimeError
from hello_runtime.text.lines import read_lines
from hello_runtime.text.pairs import Pair, is_writable
from hello_train.data.corruption import corrupt, find_corruption
from hello_train.errors import TrainError


def main() -> None:
    """Write the pairs of the text named on the command line."""
    if len(sys.argv) != 3:
        sys.exit("usage: text_to_pairs.py TEXT CORRUPTION  (as hello-train --corrupt takes it)")
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    try:
        corruption = find_corruption(sys.argv[2])
        for line in dict.fromkeys(line for _, line in read_lines(Path(sys.argv[1]))):
            pair = Pair(*corrupt(line, corruption))
            if is_writable(pair):
                print(pair.input, pair.target, sep="\t")
    except (HelloRuntimeError, TrainError) as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
