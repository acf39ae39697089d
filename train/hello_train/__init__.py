"""The training stage: from aligned text to a checkpoint.

The folders in the order of the work:

- `network`: the cells, the configuration, the model, and its checkpoint;
- `data`: `sources` of lines, corruptions, alphabets, and batches of tensors;
- `report`: the HTML page of a run, and the `history` and `mistakes` that it shows;
- `fit`: the options, and the training. `run` trains on lines and `hello` on the example; both use
  the loop in `loop`, which makes the steps of `optimizer` on the state of `state`. `task_run`
  trains classifiers and networks of the next character, with `task_options`, and
  `task_evaluation` measures them beside the models of `counting`. `job` is what `run` and
  `task_run` take, and how both fit a network; `save` writes the files of a run, and `holdout` what
  was held out.

`cli` is the command `hello-train`, `usage` what it refuses, `start` how a training is started,
`results` what it prints, and `files` names the files of a run.
Importing this package imports neither torch nor matplotlib.
"""

from hello_runtime import __version__

__all__ = ["__version__"]
