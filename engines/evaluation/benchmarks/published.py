"""What others scored: `published.toml`, looked up by benchmark and row."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class System:
    """A published system and its figures on one benchmark."""

    name: str
    source: str
    figures: dict[str, float]
    """By subset or group; a group's name is lower case, and may be the beginning of it."""
    about: frozenset[str]
    """Figures that are read off a chart."""

    def figure(self, name: str) -> float | None:
        """The figure of a subset or a group."""
        key = self._key(name)
        return None if key is None else self.figures[key]

    def shown(self, name: str) -> str:
        """The figure as text, as many digits as its neighbours; a dash where none was published."""
        key = self._key(name)
        if key is None:
            return "–"
        if key in self.about:
            return f"≈ {self.figures[key]:g}"
        read = (value for name, value in self.figures.items() if name not in self.about)
        digits = max(len(f"{value:g}".partition(".")[2]) for value in read)
        return f"{self.figures[key]:.{digits}f}"

    def _key(self, name: str) -> str | None:
        lowered = name.lower()
        if lowered in self.figures:
            return lowered
        stems = (key for key in self.figures if " / " in key and lowered.startswith(key))
        return next(stems, None)


@cache
def systems(benchmark: str) -> tuple[System, ...]:
    """The systems with figures on a benchmark."""
    table = tomllib.loads(Path(__file__).with_name("published.toml").read_text(encoding="utf-8"))
    return tuple(_system(each, benchmark) for each in table["system"] if benchmark in each)


def _system(table: dict[str, Any], benchmark: str) -> System:
    return System(
        table["name"], table["source"], table[benchmark], frozenset(table.get("about", ()))
    )
