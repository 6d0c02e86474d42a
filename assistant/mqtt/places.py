"""Where this device has ever published: a site that is renamed leaves retained values behind."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import structlog

_MOST = 64
_LONGEST = 400

_log = structlog.get_logger(__name__)


class Place(NamedTuple):
    """The topics of one site at one time."""

    root: str
    """Everything of the site is below it."""
    config: str
    """Where Home Assistant was told of the device."""


def note(folder: Path, place: Place) -> None:
    """Remember a place in the state folder; a disk that fails costs the memory of it, and one line.

    Of too many, the oldest are forgotten.
    """
    found = known(folder)
    if place in found:
        return
    keep(folder, [*found, place])


def known(folder: Path) -> list[Place]:
    """Give the places that are remembered, the oldest first; none of a file that makes no sense."""
    try:
        told = json.loads(_file(folder).read_text(encoding="utf-8"))
        places = [Place(str(root), str(config)) for root, config in told]
    except (OSError, ValueError, TypeError, RecursionError):
        return []
    return [place for place in places[-_MOST:] if all(_is_topic(topic) for topic in place)]


def keep(folder: Path, places: Iterable[Place]) -> None:
    """Remember these places and no others."""
    path = _file(folder)
    unfinished = path.with_suffix(".new")
    try:
        unfinished.write_text(json.dumps([*places][-_MOST:]), encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        _log.warning("what is retained may not be found again", path=str(path), why=str(error))


def _file(folder: Path) -> Path:
    return folder / "places.json"


def _is_topic(topic: str) -> bool:
    return 0 < len(topic) <= _LONGEST and not set(topic) & set("+#\0") and topic[0] not in "$/"
