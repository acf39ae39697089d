"""`python -m hello_train` is `hello-train`, for torchrun, which starts modules."""

from hello_runtime.process import forget_current_folder, run_command


def main() -> None:
    """Run `hello-train`."""
    run_command("hello_train.cli", "hello-train")


if __name__ == "__main__":
    forget_current_folder()
    main()
