"""`python -m hello_train` is `hello-train`, for torchrun, which starts modules."""

from hello_train.cli import main

main(prog_name="hello-train")
