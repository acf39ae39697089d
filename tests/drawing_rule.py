"""The drawing rule written again in plain Python, for any engine.

It shares no code with the runtime: it has the rule of `hello_runtime.drawing` in Python's own
numbers, and calls an engine one character at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

Step = Callable[[int, Any], tuple[list[float], Any]]
"""Reads a code point in a state; returns the logits and the next state."""
MASK = (1 << 64) - 1


def split_mix(seed: int, count: int) -> list[int]:
    """Return the first numbers of SplitMix64, each of 64 bits."""
    found, state = [], seed
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        found.append(z ^ (z >> 31))
    return found


def choose(logits: Sequence[float], u: float, temperature: float, top: int | None) -> int:
    """Return the label that the rule draws."""
    order = sorted(range(len(logits)), key=lambda label: (-logits[label], label))
    if temperature == 0:
        return order[0]
    kept = set(order[:top])
    largest = max(logits)
    weights = [
        math.exp(logit / temperature - largest / temperature) if label in kept else 0.0
        for label, logit in enumerate(logits)
    ]
    bound, total = u * math.fsum(weights), 0.0
    for label, weight in enumerate(weights):
        total += weight
        if total > bound:
            return label
    raise AssertionError


def draw_text(
    step: Step,
    state: Any,
    alphabet: str,
    prompt: str,
    count: int,
    *,
    temperature: float = 1.0,
    top: int | None = None,
    seed: int = 0,
) -> str:
    """Return what is drawn after a prompt."""
    for char in prompt:
        logits, state = step(ord(char), state)
    text = ""
    for number in split_mix(seed, count):
        text += alphabet[choose(logits, (number >> 11) / 2**53, temperature, top)]
        logits, state = step(ord(text[-1]), state)
    return text
