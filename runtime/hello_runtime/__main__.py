"""`python -m hello_runtime` is `hello-infer`."""

from hello_runtime.process import forget_current_folder, run_command


def main() -> None:
    """Run `hello-infer`."""
    run_command("hello_runtime.cli", "hello-infer")


if __name__ == "__main__":
    forget_current_folder()
    main()
