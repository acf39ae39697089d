"""The process in which `trial.py` tries an engine: `PYTHON worker.py ADAPTER FILE.onnx...`."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])  # the folder of the package `engines`

from engines.trial import main  # noqa: E402

if __name__ == "__main__":
    main(*sys.argv[1:])
