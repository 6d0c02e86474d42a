"""Replies and events on their way to the broker, kept on disk until it has acknowledged them."""

import asyncio
import fcntl
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

import structlog

from assistant.errors import UserError

_log = structlog.get_logger(__name__)

_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS parcel (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    topic TEXT NOT NULL,
    payload BLOB NOT NULL,
    posted_at REAL NOT NULL
)"""
_SUFFIXES = ("", "-wal", "-shm")
_CHECKPOINT_EVERY = 256
"""Statements between two checkpoints: about one megabyte of log."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message that waits."""

    id: int
    """Grows with every message and is never used again."""
    topic: str
    payload: bytes


class Outbox:
    """A first-in, first-out queue on disk, bounded by count and by age.

    A message is on disk when `append` returns, so a crash of the process loses nothing. No method
    fails because the disk does: that is logged once and the message is counted as dropped. All of
    it belongs to one thread; only `checkpoint`, which alone waits for the disk, works elsewhere.
    """

    def __init__(
        self,
        folder: Path,
        *,
        max_count: int,
        max_age_s: float,
        wall_time: Callable[[], float] = time.time,
    ) -> None:
        """Open or make `outbox.sqlite` in `folder`.

        `wall_time` gives seconds since 1970: ages must survive a restart. Raises `UserError` when
        the folder cannot be written or another process has the outbox open. A corrupt file is
        moved aside, with one line in the log.
        """
        self.dropped = 0
        """Messages lost to `max_count` or to a disk that failed."""
        self.expired = 0
        """Messages lost to `max_age_s`."""
        self._path = folder / "outbox.sqlite"
        self._max_count = max_count
        self._max_age_s = max_age_s
        self._wall_time = wall_time
        self._failing = False
        self._statements = 0
        self._lock = _lock(folder)
        self._depth = 0
        try:
            self._db = self._open()
        except UserError:
            self._lock.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def depth(self) -> int:
        """How many messages wait."""
        return self._depth

    @property
    def checkpoint_due(self) -> bool:
        """The write-ahead log has grown enough for a `checkpoint`."""
        return self._statements >= _CHECKPOINT_EVERY

    def append(self, topic: str, payload: bytes) -> None:
        """Put a message at the end; when the outbox is full the oldest is dropped."""
        row = (topic, payload, self._wall_time())
        insert = "INSERT INTO parcel (topic, payload, posted_at) VALUES (?, ?, ?) RETURNING id"
        if not self._execute(insert, *row):
            self.dropped += 1
            return
        self._depth += 1
        if self._depth > self._max_count:
            self.dropped += self._remove("id = (SELECT min(id) FROM parcel)")

    def after(self, last: int, limit: int) -> list[Parcel]:
        """Give the `limit` oldest messages with an id above `last`, once the expired are gone."""
        too_old = self._wall_time() - self._max_age_s
        oldest = self._execute("SELECT posted_at FROM parcel ORDER BY id LIMIT 1")
        if oldest and oldest[0][0] < too_old:
            self.expired += self._remove("posted_at < ?", too_old)
        query = "SELECT id, topic, payload FROM parcel WHERE id > ? ORDER BY id LIMIT ?"
        return [Parcel(*row) for row in self._execute(query, last, limit)]

    def delete(self, parcel_id: int) -> None:
        """Forget a message; one that is gone already is no error."""
        self._remove("id = ?", parcel_id)

    async def checkpoint(self) -> None:
        """Move the write-ahead log into the file, in a thread of its own."""
        self._statements = 0
        await asyncio.to_thread(self._checkpoint)

    def close(self) -> None:
        """Close the file; what waits is kept for the next time."""
        self._db.close()
        self._lock.close()

    def _open(self) -> sqlite3.Connection:
        try:
            return self._connect()
        except sqlite3.OperationalError as error:
            raise UserError(
                f"cannot open the outbox {self._path}: {error}; check who owns it (state_folder)"
            ) from error
        except sqlite3.DatabaseError as error:
            self._move_aside(error)
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, timeout=1, isolation_level=None)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute("PRAGMA wal_autocheckpoint = 0")
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, _SCHEMA_VERSION):
                raise sqlite3.DatabaseError(f"its format {version} is unknown")
            verdict = db.execute("PRAGMA quick_check(1)").fetchone()[0]
            if verdict != "ok":
                raise sqlite3.DatabaseError(verdict)
            db.execute(_SCHEMA)
            db.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
            self._depth = db.execute("SELECT count(*) FROM parcel").fetchone()[0]
        except sqlite3.Error:
            db.close()
            raise
        return db

    def _move_aside(self, error: sqlite3.Error) -> None:
        aside = self._path.with_name(self._path.name + ".broken")
        for suffix in _SUFFIXES:
            broken = Path(f"{self._path}{suffix}")
            if broken.exists():
                broken.replace(f"{aside}{suffix}")
        _log.warning(
            "the outbox was corrupt and is started anew", moved_to=str(aside), error=str(error)
        )

    def _execute(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Give the rows of one statement; none when the disk or the file failed."""
        self._statements += 1
        try:
            rows = self._db.execute(sql, values).fetchall()
        except sqlite3.OperationalError as error:
            if not self._failing:
                _log.error("the outbox cannot be used", path=str(self._path), error=str(error))
            self._failing = True
            return []
        except sqlite3.DatabaseError as error:
            self._db.close()
            self._move_aside(error)
            self._db = self._open()
            return []
        self._failing = False
        return rows

    def _remove(self, which: str, *values: object) -> int:
        gone = len(self._execute(f"DELETE FROM parcel WHERE {which} RETURNING id", *values))  # noqa: S608 - only literals from this file
        self._depth -= gone
        return gone

    def _checkpoint(self) -> None:
        try:
            with closing(sqlite3.connect(self._path, timeout=1)) as db:
                db.execute("PRAGMA wal_checkpoint(PASSIVE)")
        except sqlite3.Error as error:
            _log.warning("the outbox was not tidied", path=str(self._path), error=str(error))


def _lock(folder: Path) -> BinaryIO:
    """Hold `folder` for this process alone, for as long as the returned file is open."""
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
