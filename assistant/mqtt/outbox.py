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
from assistant.settings import MqttSettings

_log = structlog.get_logger(__name__)

_SCHEMA_VERSION = 2
_SCHEMA = """
CREATE TABLE IF NOT EXISTS parcel (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    topic TEXT NOT NULL,
    payload BLOB NOT NULL,
    posted_at REAL NOT NULL,
    expires_at REAL NOT NULL DEFAULT 1e18,
    envelope TEXT NOT NULL DEFAULT ''
)"""
_FROM_VERSION_1 = (
    "ALTER TABLE parcel ADD COLUMN expires_at REAL NOT NULL DEFAULT 1e18",
    "ALTER TABLE parcel ADD COLUMN envelope TEXT NOT NULL DEFAULT ''",
)
_INDEX = "CREATE INDEX IF NOT EXISTS parcel_expiry ON parcel (expires_at)"
_INSERT = (
    "INSERT INTO parcel (topic, payload, posted_at, expires_at, envelope)"
    " VALUES (?, ?, ?, ?, ?) RETURNING id"
)
_SUFFIXES = ("", "-wal", "-shm")
_LONGEST_LOG_BYTES = 4 << 20
"""A log that is written without a pause never begins anew by itself; from here on it is made to."""
_CHECKPOINT_EVERY = 256
"""Statements between two checkpoints: about one megabyte of log."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message that waits."""

    id: int
    """Grows with every message and is never used again."""
    topic: str
    payload: bytes
    envelope: str = ""
    """As it was given to `append`."""
    left_s: float = 0.0
    """How long it is still worth something."""


class Outbox:
    """A first-in, first-out queue on disk, bounded by count, by size and by age.

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
        max_bytes: int = 16 << 20,
        wall_time: Callable[[], float] = time.time,
    ) -> None:
        """Open or make `outbox.sqlite` in `folder`.

        `wall_time` gives seconds since 1970: ages must survive a restart. Raises `UserError` when
        the folder cannot be written or another process has the outbox open. A corrupt file is
        moved aside, with one line in the log.
        """
        self.dropped = 0
        """Messages lost to `max_count`, to `max_bytes` or to a disk that failed."""
        self.expired = 0
        """Messages lost to `max_age_s` or to a shorter life of their own."""
        self._path = folder / "outbox.sqlite"
        self._max_count = max_count
        self._max_age_s = max_age_s
        self._max_bytes = max_bytes
        self._wall_time = wall_time
        self._failing = False
        self._statements = 0
        self._lock = _lock(folder)
        self._depth = self._bytes = 0
        try:
            self._db = self._open()
        except UserError:
            self._lock.close()
            raise

    @classmethod
    def open(cls, folder: Path, settings: MqttSettings) -> Self:
        """Open it with the bounds of the settings; raises as the constructor does."""
        return cls(
            folder,
            max_count=settings.outbox_count,
            max_age_s=settings.outbox_age_s,
            max_bytes=settings.outbox_kib << 10,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def depth(self) -> int:
        """How many messages wait."""
        return self._depth

    @property
    def size_bytes(self) -> int:
        """How large the payloads that wait are together."""
        return self._bytes

    @property
    def checkpoint_due(self) -> bool:
        """The write-ahead log has grown enough for a `checkpoint`."""
        return self._statements >= _CHECKPOINT_EVERY

    def append(
        self, topic: str, payload: bytes, envelope: str = "", *, lifetime_s: float | None = None
    ) -> None:
        """Put a message at the end; when the outbox is full the oldest are dropped.

        It is dropped, too, when it still waits after `lifetime_s`.
        """
        now, size = self._wall_time(), len(payload)
        life_s = min(self._max_age_s, self._max_age_s if lifetime_s is None else lifetime_s)
        row = (topic, payload, now, now + life_s, envelope)
        if size > self._max_bytes or not self._execute(_INSERT, *row):
            self.dropped += 1
            return
        self._depth += 1
        self._bytes += size
        while self._depth > self._max_count or self._bytes > self._max_bytes:
            gone = self._remove("id = (SELECT min(id) FROM parcel)")
            self.dropped += gone
            if not gone:
                return

    def after(self, last: int, limit: int) -> list[Parcel]:
        """Give the `limit` oldest messages with an id above `last`, once the expired are gone."""
        now = self._wall_time()
        self._forget_expired(now)
        query = (
            "SELECT id, topic, payload, envelope, min(expires_at, posted_at + ?) - ?"
            " FROM parcel WHERE id > ? ORDER BY id LIMIT ?"
        )
        return [Parcel(*row) for row in self._execute(query, self._max_age_s, now, last, limit)]

    def _forget_expired(self, now: float) -> None:
        """Look before removing, which would write: most of the time nothing has expired."""
        too_old = now - self._max_age_s
        oldest = self._execute("SELECT posted_at FROM parcel ORDER BY id LIMIT 1")
        soonest = self._execute("SELECT min(expires_at) FROM parcel")
        if oldest and (oldest[0][0] < too_old or soonest[0][0] < now):
            self.expired += self._remove("posted_at < ? OR expires_at < ?", too_old, now)

    def delete(self, first: int, last: int | None = None) -> None:
        """Forget a message, or all from one to another; those gone already are no error."""
        self._remove("id BETWEEN ? AND ?", first, first if last is None else last)

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
            if version not in range(_SCHEMA_VERSION + 1):
                raise sqlite3.DatabaseError(f"its format {version} is unknown")
            verdict = db.execute("PRAGMA quick_check(1)").fetchone()[0]
            if verdict != "ok":
                raise sqlite3.DatabaseError(verdict)
            for step in _FROM_VERSION_1 if version == 1 else (_SCHEMA,):
                db.execute(step)
            db.execute(_INDEX)
            db.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
            counted = "SELECT count(*), coalesce(sum(length(payload)), 0) FROM parcel"
            self._depth, self._bytes = db.execute(counted).fetchone()
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
        delete = f"DELETE FROM parcel WHERE {which} RETURNING length(payload)"  # noqa: S608 - only literals from this file
        sizes = [row[0] for row in self._execute(delete, *values)]
        self._depth -= len(sizes)
        self._bytes -= sum(sizes)
        return len(sizes)

    def _checkpoint(self) -> None:
        try:
            with closing(sqlite3.connect(self._path, timeout=1)) as db:
                db.execute("PRAGMA wal_checkpoint(PASSIVE)")
                if Path(f"{self._path}-wal").stat().st_size > _LONGEST_LOG_BYTES:
                    # after the one before there is little left to copy, so the lock is short
                    db.execute("PRAGMA busy_timeout = 0")
                    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except (sqlite3.Error, OSError) as error:
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
