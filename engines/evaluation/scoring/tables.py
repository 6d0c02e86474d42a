"""The authors' ordered phrases, kept as data beside the rules that read them."""

import tomllib
from pathlib import Path


def table(name: str, key: str) -> list[str]:
    """One list of `name`.toml, in order: an array, or the lines of a text."""
    held = tomllib.loads((Path(__file__).parent / f"{name}.toml").read_text(encoding="utf-8"))[key]
    lines = held.split("\n") if isinstance(held, str) else held
    return [line for line in lines if line]
