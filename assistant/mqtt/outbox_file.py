"""The file of the outbox: held by one process alone, and kept short."""

import fcntl
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

import structlog

from assistant.errors import UserError

_LONGEST_LOG_BYTES = 4 << 20
"""A log that is written without a pause never begins anew by itself; from here on it is made to."""

_SUFFIXES = ("", "-wal", "-shm")

_log = structlog.get_logger(__name__)


def hold(folder: Path) -> BinaryIO:
    """Hold `folder` for this process alone, for as long as the returned file is open.

    Raises `UserError` when it cannot be written or is held already.
    """
    path = folder / "outbox.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = path.open("ab")
    except OSError as error:
        raise UserError(
            f"cannot write the state folder {folder}: {error}; set state_folder to one you own"
        ) from error
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        held.close()
        raise UserError(
            f"another assistant uses the state folder {folder}: give each its own (state_folder)"
        ) from error
    return held


def move_aside(path: Path, error: Exception) -> None:
    """Keep a corrupt file for whoever wants to look at it, and make room for a new one."""
    aside = path.with_name(path.name + ".broken")
    for suffix in _SUFFIXES:
        broken = Path(f"{path}{suffix}")
        if broken.exists():
            broken.replace(f"{aside}{suffix}")
    _log.warning(
        "the outbox was corrupt and is started anew", moved_to=str(aside), error=str(error)
    )


def tidy(path: Path) -> None:
    """Move the write-ahead log into the file, in whatever time the disk takes."""
    try:
        with closing(sqlite3.connect(path, timeout=1)) as db:
            db.execute("PRAGMA wal_checkpoint(PASSIVE)")
            if Path(f"{path}-wal").stat().st_size > _LONGEST_LOG_BYTES:
                # after the one before there is little left to copy, so the lock is short
                db.execute("PRAGMA busy_timeout = 0")
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except (sqlite3.Error, OSError) as error:
        _log.warning("the outbox was not tidied", path=str(path), error=str(error))
