"""The training stage: from aligned text to a checkpoint.

Read the files in the order of the work: `config` says what a network is, `model` builds it, `data`
and `corruption` read the text, `hello` is the post's own example, `fit` trains, `score` judges,
`checkpoint` keeps the result, `cli` is the command. Importing this package does not import torch.
"""
