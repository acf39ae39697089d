"""`python -m hello_export` is `hello-export`."""

from hello_runtime.process import forget_current_folder, run_command


def main() -> None:
    """Run `hello-export`."""
    run_command("hello_export.cli", "hello-export")


if __name__ == "__main__":
    forget_current_folder()
    main()
