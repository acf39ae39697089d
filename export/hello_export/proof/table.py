"""The proof as a table, a row for each engine."""

from __future__ import annotations

from hello_export.proof.verdict import Report, Verdict

HEADER = (
    "engine", "version", "role", "cases", "characters",
    "max |Δ logits|", "allowed", "text differences",
)  # fmt: skip


def proof_table(report: Report) -> str:
    """Return a report as a table, with every failure below it."""
    rows = [HEADER, *map(table_row, (report.rounding, *report.verdicts))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    lines.append("against eager PyTorch in float32")
    for verdict in report.verdicts:
        if verdict.not_compared:
            lines.append(f"{verdict.engine} was not compared: {verdict.not_compared}")
        if verdict.failure:
            lines.append(f"{verdict.engine} did not go through: {verdict.failure}")
    return "\n".join(lines)


def warnings(report: Report) -> list[str]:
    """Return a line for each witness that has a fault."""
    return [f"{fault}: do not run this model there" for fault in report.faults("witness")]


def table_row(verdict: Verdict) -> tuple[str, ...]:
    """Return an engine's row."""
    logits, allowed, texts = "-", "-", "-"
    if verdict.cases:
        largest = verdict.max_difference.get("logits")
        logits = "not shown" if largest is None else f"{largest:.1e}"
        allowed = "-" if largest is None else f"{verdict.tolerance['logits']:.1e}"
        texts = str(verdict.text_differences)
        texts += f" + {verdict.ties} ties" if verdict.ties else ""
    counts = (str(verdict.cases), str(verdict.characters))
    return (verdict.engine, verdict.version, verdict.role, *counts, logits, allowed, texts)
