"""Numbers in words, for messages."""

from __future__ import annotations

import math


def count(number: int, noun: str) -> str:
    """Return a number with its noun.

    >>> count(1, "line"), count(2, "line")
    ('1 line', '2 lines')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def percent(share: float) -> str:
    """Return a share in whole percent, rounded down.

    >>> percent(0.57), percent(0.999), percent(0.004), percent(1)
    ('57%', '99%', 'less than 1%', '100%')
    """
    whole = int(share * 100 + 1e-9)
    return f"{whole}%" if whole else "less than 1%"


def rounded_up(number: float) -> str:
    """Return a positive number rounded up to two digits.

    >>> rounded_up(0.1234), rounded_up(7), rounded_up(7.21), rounded_up(1234)
    ('0.13', '7', '7.3', '1300')
    """
    places = 1 - math.floor(math.log10(number))
    scaled = math.ceil(round(number * 10.0**places, 6))
    return f"{scaled / 10.0**places:.10g}"
