"""Replies and events on their way to the broker, kept on disk until it has acknowledged them."""

import asyncio
import shutil
import sqlite3
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import structlog

from assistant.errors import UserError
from assistant.mqtt.outbox_file import hold, move_aside, tidy
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
    "INSERT INTO parcel (id, topic, payload, posted_at, expires_at, envelope)"
    " VALUES (?, ?, ?, ?, ?, ?) RETURNING length(payload)"
)
_DELETE = "DELETE FROM parcel WHERE id BETWEEN ? AND ? RETURNING length(payload)"
_LEAST_FREE_BYTES = 1 << 18
"""With less no outbox can be begun."""
_BUSY_S = 0.1
"""How long a write waits for a file that is locked: nothing else is done meanwhile."""
_MAX_POSTPONED = 1024
"""Writes that wait in memory for a file that stays locked."""
_CORRUPT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_PRIMARY = 0xFF
"""What of SQLite's code names the error; the rest is detail."""
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


def steady_wall_time() -> Callable[[], float]:
    """Make a clock of seconds since 1970 that goes on evenly when somebody sets the machine's.

    A small computer begins with an old time and learns the right one as soon as its network is
    there, just when what waits can be sent: it must not look years old then.
    """
    begin = time.time() - _uptime()
    return lambda: begin + _uptime()


def _uptime() -> float:
    """Seconds since the start of the machine, asleep or not where the system counts both."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


class Outbox:
    """A first-in, first-out queue on disk, bounded by count, by size and by age.

    A message is on disk when `append` returns, so a crash of the process loses nothing. No method
    fails because the disk does: that is logged once and the message is counted as dropped. While
    the file is locked, what is written waits in memory. All of it belongs to one thread; only
    `checkpoint`, which alone waits for the disk, works elsewhere.
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
        self._failing = self._busy = False
        self._statements = 0
        self._postponed: deque[tuple[str, tuple[object, ...]]] = deque()
        """Writes that met a locked file, in order: done before anything else is."""
        self._unwritten = 0
        """Messages among them."""
        self._lock = hold(folder)
        self._depth = self._bytes = self._last_id = 0
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
            wall_time=steady_wall_time(),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def depth(self) -> int:
        """How many messages wait."""
        return self._depth + self._unwritten

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
        self._last_id += 1
        row = (self._last_id, topic, payload, now, now + life_s, envelope)
        if size > self._max_bytes or not self._write(_INSERT, *row):
            self.dropped += 1
            return
        while self.depth > self._max_count or self._bytes > self._max_bytes:
            gone = self._remove("id = (SELECT min(id) FROM parcel)")
            self.dropped += gone
            if not gone:
                return

    def after(self, last: int, limit: int) -> list[Parcel]:
        """Give the `limit` oldest messages with an id above `last`, once the expired are gone."""
        now = self._wall_time()
        self._catch_up()
        self._forget_expired(now)
        query = (
            "SELECT id, topic, payload, envelope, min(expires_at - ?2, posted_at + ?1 - ?2, ?1)"
            " FROM parcel WHERE id > ?3 ORDER BY id LIMIT ?4"
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
        self._write(_DELETE, first, first if last is None else last)

    async def checkpoint(self) -> None:
        """Move the write-ahead log into the file, in a thread of its own."""
        self._statements = 0
        await asyncio.to_thread(tidy, self._path)

    def close(self) -> None:
        """Close the file; what waits is kept for the next time."""
        self._catch_up()
        if self._postponed:
            _log.error("the outbox stayed locked", path=str(self._path), lost=self._unwritten)
        self._db.close()
        self._lock.close()

    def _open(self) -> sqlite3.Connection:
        try:
            return self._connect()
        except sqlite3.OperationalError as error:
            remedy = "check who owns it (state_folder)"
            if shutil.disk_usage(self._path.parent).free < _LEAST_FREE_BYTES:
                remedy = "the disk is full: make room, or set state_folder to a folder elsewhere"
            raise UserError(f"cannot open the outbox {self._path}: {error}; {remedy}") from error
        except sqlite3.DatabaseError as error:
            move_aside(self._path, error)
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None)
        # one damaged letter, which no check looks for, must not hold up all that is behind it
        db.text_factory = lambda raw: raw.decode(errors="replace")
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
            used = db.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence").fetchone()[0]
            self._last_id = max(self._last_id, used)
        except sqlite3.Error:
            db.close()
            raise
        return db

    def _start_anew(self, error: sqlite3.Error) -> None:
        """Lose all that waits, but neither the file nor the numbers that were given out."""
        self.dropped += self._depth
        self._depth = self._bytes = 0
        self._db.close()
        try:
            move_aside(self._path, error)
            self._db = self._open()
        except (OSError, sqlite3.Error, UserError) as failure:
            _log.error("the outbox stays closed", path=str(self._path), error=str(failure))

    def _execute(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Give the rows of one statement; none when the disk or the file failed."""
        self._statements += 1
        try:
            rows = self._db.execute(sql, values).fetchall()
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY  # a closed file has none
            self._busy = code == sqlite3.SQLITE_BUSY
            if code in _CORRUPT:
                self._start_anew(error)
            elif not (self._failing or self._busy):
                _log.error("the outbox cannot be used", path=str(self._path), error=str(error))
            self._failing = not self._busy and code not in _CORRUPT
            return []
        self._failing = self._busy = False
        return rows

    def _remove(self, which: str, *values: object) -> int:
        """Remove what is out of bounds; while the file is locked it stays, and is due again."""
        delete = f"DELETE FROM parcel WHERE {which} RETURNING length(payload)"  # noqa: S608 - only literals from this file
        return self._count(-1, self._execute(delete, *values))

    def _write(self, sql: str, *values: object) -> bool:
        """Insert or delete, later if the file is locked; whether a row is, or will be, there."""
        self._catch_up()
        rows = [] if self._postponed else self._execute(sql, *values)
        if not self._postponed and not self._busy:
            return self._count(1 if sql is _INSERT else -1, rows) > 0
        if len(self._postponed) >= _MAX_POSTPONED:
            return False
        self._postponed.append((sql, values))
        self._unwritten += sql is _INSERT
        return True

    def _catch_up(self) -> None:
        """Do what was postponed, as far as the file lets us."""
        while self._postponed:
            sql, values = self._postponed[0]
            rows = self._execute(sql, *values)
            if self._busy:
                return
            self._postponed.popleft()
            is_new = sql is _INSERT
            self._unwritten -= is_new
            self.dropped += is_new and not self._count(1, rows)
            if not is_new:
                self._count(-1, rows)

    def _count(self, sign: int, rows: list[tuple[Any, ...]]) -> int:
        """Count rows that came or went, whose sizes these are."""
        self._depth += sign * len(rows)
        self._bytes += sign * sum(size for (size,) in rows)
        return len(rows)
