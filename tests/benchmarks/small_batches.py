"""Measures what `decode_batches` costs beside `decode` on many batches of one line.

    python tests/benchmarks/small_batches.py [--batches 20000] [--rounds 3] [--json]

The cost of a batch must not grow with what is remembered of those before.
"""

from __future__ import annotations

from itertools import islice, product
from typing import Any

import click
from hello_runtime import Decoder
from measuring import medians, show


@click.command()
@click.option("--batches", "count", default=20_000, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(count: int, rounds: int, as_json: bool) -> None:
    """Print a row for a quarter of the batches, and one for all of them."""
    decoder = Decoder.open(threads=1)
    rows = []
    for number in (count // 4, count):
        batches = [["".join(letters)] for letters in islice(product("ehlo", repeat=8), number)]
        found = medians(
            {
                "decode": lambda: [decoder.decode(line) for (line,) in batches],  # noqa: B023
                "decode_batch": lambda: [decoder.decode_batch(batch) for batch in batches],  # noqa: B023
                "decode_batches": lambda: list(decoder.decode_batches(batches)),  # noqa: B023
            },
            rounds,
        )
        row: dict[str, Any] = {"batches of one line": number}
        row |= {f"{name}, µs a batch": time / number * 1e6 for name, time in found.items()}
        row["decode_batches to decode"] = found["decode_batches"] / found["decode"]
        rows.append(row)
    show(rows, as_json=as_json, title="Many small batches", packages=["onnxruntime"])


if __name__ == "__main__":
    main()
