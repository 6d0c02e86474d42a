"""Tables of a report."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bar:
    """A figure in percent, to be seen at a glance."""

    percent: float
    chance: bool = False
    """It says more of the dice than of the model."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of texts; all columns but the first are figures."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    bars: tuple["Bar | None", ...] = ()
    """What a page draws behind the figure of this run, one for each row; none at all for most."""
    folded: bool = False
    """Details that a page shows on demand."""
