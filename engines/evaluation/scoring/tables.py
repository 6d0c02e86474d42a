"""The authors' ordered phrases, kept as data beside the rules that read them."""

import tomllib
from pathlib import Path


def table(name: str, key: str) -> list[str]:
    """The lines of one list of `name`.toml, in order, without the empty ones."""
    held = tomllib.loads((Path(__file__).parent / f"{name}.toml").read_text(encoding="utf-8"))
    return [line for line in str(held[key]).split("\n") if line]
