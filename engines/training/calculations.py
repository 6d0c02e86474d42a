"""Sums a person may ask for, as tables of facts: operands in words, results in digits."""

from collections.abc import Callable, Iterable

from engines.training.text import say_number

Rows = tuple[dict[str, tuple[str, ...]], ...]


def _table(pairs: Iterable[tuple[int, int]], result: Callable[[int, int], int]) -> Rows:
    return tuple(
        {"a": (say_number(a),), "b": (say_number(b),), "result": (str(result(a, b)),)}
        for a, b in pairs
    )


def _pairs(first: range, second: range) -> Iterable[tuple[int, int]]:
    return ((a, b) for a in first for b in second)


_TENTHS = (1, 5, 10, 20, 25, 50, 75)
_BASES = (10, 20, 40, 50, 60, 80, 100, 120, 150, 200, 300, 400, 500, 600, 800, 1000)

CALCULATIONS: dict[str, Rows] = {
    "sum": _table(_pairs(range(1, 21), range(1, 21)), int.__add__)
    + _table(_pairs(range(10, 100, 5), range(10, 100, 5)), int.__add__),
    "difference": _table(((a, b) for a in range(2, 21) for b in range(1, a)), int.__sub__)
    + _table(((a, b) for a in range(20, 101, 5) for b in range(5, a, 5)), int.__sub__),
    "product": _table(_pairs(range(1, 13), range(1, 13)), int.__mul__),
    "quotient": _table(((a * b, b) for a in range(1, 13) for b in range(2, 13)), int.__floordiv__),
    "half": _table(
        ((a, 2) for a in (*range(2, 41, 2), *range(50, 201, 10), 500, 1000)), int.__floordiv__
    ),
    "double": _table(((a, 2) for a in (*range(1, 31), *range(35, 101, 5), 250, 500)), int.__mul__),
    "percent": _table(
        ((a, b) for a in _TENTHS for b in _BASES if a * b % 100 == 0), lambda a, b: a * b // 100
    ),
    "square": _table(((a, 2) for a in range(1, 21)), int.__pow__),
}
"""Rows with the columns `a`, `b` (words) and `result` (digits), by the name of the calculation."""
