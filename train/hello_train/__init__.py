"""The training stage: from aligned text to a checkpoint.

Read the files in the order of the work: `config` says what a network is and `model` builds it;
`text_files` and `data` read lines, `corruption` makes their inputs, `alphabets` counts what is in
them; `options` says what can be asked for, and what is done unasked; `batches` makes tensors of
lines, `fit` learns them, in one process or in the several of `parallel`, and `unfinished` keeps
what a killed training needs to go on; `score` judges, `checkpoint` keeps the result, and `run` does
all that in order, as `hello` does for the post's example; `cli` is the command, `progress` its bar.

What happened is kept in a `history` and told by a `report`: `gates` and `slowest` work out what it
shows, `pictures` draws, and `page` writes HTML. Importing this package imports neither torch nor
matplotlib.
"""

from hello_runtime import __version__

__all__ = ["__version__"]
