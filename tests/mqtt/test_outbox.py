"""The outbox: bounded, durable, and never the reason that something fails."""

import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from assistant.errors import UserError
from assistant.mqtt import outbox as outbox_module
from assistant.mqtt import outbox_file
from assistant.mqtt.outbox import Outbox, Parcel
from assistant.settings import MqttSettings


class WallClock:
    """Seconds since 1970, moved by hand."""

    def __init__(self) -> None:
        self.seconds = 1_000_000.0

    def __call__(self) -> float:
        return self.seconds


def open_outbox(folder: Path, **options: Any) -> Outbox:
    return Outbox(folder, **{"max_count": 100, "max_age_s": 60.0} | options)


def payloads(outbox: Outbox) -> list[bytes]:
    return [parcel.payload for parcel in outbox.after(0, 1000)]


def test_gives_back_in_order_what_is_not_deleted(tmp_path: Path):
    with open_outbox(tmp_path) as outbox:
        for number in range(4):
            outbox.append("t", b"%d" % number)
        first, second = outbox.after(0, 2)
        assert first == Parcel(first.id, "t", b"0", left_s=first.left_s)
        assert 50 < first.left_s <= 60
        assert [parcel.payload for parcel in outbox.after(second.id, 10)] == [b"2", b"3"]
        outbox.delete(first.id)
        outbox.delete(first.id)
        assert payloads(outbox) == [b"1", b"2", b"3"]
        assert outbox.depth == 3


def test_forgets_a_stretch_at_once_and_nothing_around_it(tmp_path: Path):
    with open_outbox(tmp_path) as outbox:
        for number in range(5):
            outbox.append("t", b"%d" % number)
        _, second, _, fourth, _ = outbox.after(0, 5)
        outbox.delete(second.id, fourth.id)
        assert payloads(outbox) == [b"0", b"4"]
        assert (outbox.depth, outbox.size_bytes) == (2, 2)


def test_keeps_everything_over_a_restart_and_never_uses_an_id_again(tmp_path: Path):
    with open_outbox(tmp_path) as outbox:
        outbox.append("t", b"delivered")
        outbox.append("t", b"waiting")
        delivered, waiting = outbox.after(0, 2)
        outbox.delete(delivered.id)
    with open_outbox(tmp_path) as outbox:
        assert [parcel.id for parcel in outbox.after(0, 2)] == [waiting.id]
        outbox.delete(waiting.id)
        outbox.append("t", b"new")
        assert outbox.after(0, 2)[0].id > waiting.id


_CRASH = """
import sys, os, signal
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from assistant.mqtt.outbox import Outbox
outbox = Outbox(Path(sys.argv[1]), max_count=100, max_age_s=60)
for number in range(10):
    outbox.append("t", b"%d" % number)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_survives_a_crash(tmp_path: Path):
    crashed = subprocess.run([sys.executable, "-c", _CRASH, tmp_path], check=False, timeout=30)
    assert crashed.returncode == -signal.SIGKILL
    with open_outbox(tmp_path) as outbox:
        assert payloads(outbox) == [b"%d" % number for number in range(10)]


def test_drops_the_oldest_when_full_and_counts_it(tmp_path: Path):
    with open_outbox(tmp_path, max_count=3) as outbox:
        for number in range(5):
            outbox.append("t", b"%d" % number)
        assert payloads(outbox) == [b"2", b"3", b"4"]
        assert (outbox.dropped, outbox.depth) == (2, 3)


def test_drops_the_expired_and_counts_them(tmp_path: Path):
    wall = WallClock()
    with open_outbox(tmp_path, wall_time=wall) as outbox:
        outbox.append("t", b"old")
        outbox.append("t", b"old too")
        wall.seconds += 59
        outbox.append("t", b"new")
        assert len(payloads(outbox)) == 3
    wall.seconds += 2
    with open_outbox(tmp_path, wall_time=wall) as outbox:
        assert payloads(outbox) == [b"new"]
        assert (outbox.expired, outbox.depth) == (2, 1)


@pytest.mark.parametrize("step_s", [8_640_000.0, -8_640_000.0])
def test_what_waits_grows_no_older_when_the_clock_of_the_machine_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step_s: float
):
    settings = MqttSettings(outbox_age_s=60.0)
    with Outbox.open(tmp_path, settings) as outbox:
        outbox.append("t", b"old")
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + step_s)
        outbox.append("t", b"new")
        assert [round(parcel.left_s) for parcel in outbox.after(0, 9)] == [60, 60]
        assert outbox.expired == 0


def test_a_message_of_the_future_is_worth_no_more_than_a_new_one(tmp_path: Path):
    wall = WallClock()
    with open_outbox(tmp_path, wall_time=wall) as outbox:
        outbox.append("t", b"posted before the clock was set back")
        wall.seconds -= 1e6
        assert [parcel.left_s for parcel in outbox.after(0, 9)] == [60.0]


def test_drops_the_oldest_when_it_grows_too_large(tmp_path: Path):
    with open_outbox(tmp_path, max_bytes=10) as outbox:
        for payload in (b"aaaa", b"bbbb", b"cc", b"ddddd"):
            outbox.append("t", payload)
        assert payloads(outbox) == [b"cc", b"ddddd"]
        outbox.append("t", b"x" * 11)
        assert payloads(outbox) == [b"cc", b"ddddd"]
        assert (outbox.dropped, outbox.depth, outbox.size_bytes) == (3, 2, 7)
    with open_outbox(tmp_path, max_bytes=10) as outbox:
        assert (outbox.depth, outbox.size_bytes) == (2, 7)


def test_a_message_with_a_short_life_expires_before_older_ones(tmp_path: Path):
    wall = WallClock()
    with open_outbox(tmp_path, wall_time=wall) as outbox:
        outbox.append("t", b"long")
        outbox.append("t", b"short", lifetime_s=5.0)
        outbox.append("t", b"longer than is allowed", lifetime_s=1e9)
        wall.seconds += 6
        assert payloads(outbox) == [b"long", b"longer than is allowed"]
        assert [parcel.left_s for parcel in outbox.after(0, 9)] == [54.0, 54.0]
        wall.seconds += 55
        assert payloads(outbox) == []
        assert (outbox.expired, outbox.depth, outbox.size_bytes) == (3, 0, 0)


def test_what_an_older_version_left_is_still_sent(tmp_path: Path):
    wall = WallClock()
    db = sqlite3.connect(tmp_path / "outbox.sqlite")
    db.execute(
        "CREATE TABLE parcel (id INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL,"
        " payload BLOB NOT NULL, posted_at REAL NOT NULL)"
    )
    db.execute("INSERT INTO parcel (topic, payload, posted_at) VALUES ('t', x'61', ?)", [wall()])
    db.execute("PRAGMA user_version = 1")
    db.commit()
    db.close()
    with open_outbox(tmp_path, wall_time=wall) as outbox:
        outbox.append("t", b"b", "{}")
        first, second = outbox.after(0, 9)
        assert (first.payload, first.envelope, first.left_s) == (b"a", "", 60.0)
        assert (second.payload, second.envelope, second.left_s) == (b"b", "{}", 60.0)


def test_a_second_assistant_in_the_same_folder_is_refused(tmp_path: Path):
    with (
        open_outbox(tmp_path),
        pytest.raises(UserError, match=r"another assistant uses .* \(state_folder\)"),
    ):
        open_outbox(tmp_path)
    open_outbox(tmp_path).close()


def test_a_state_folder_that_cannot_be_made_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="set state_folder"):
        open_outbox(tmp_path / "file" / "state")


async def test_a_log_that_has_grown_long_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(outbox_file, "_LONGEST_LOG_BYTES", 100_000)
    with open_outbox(tmp_path, max_count=500) as outbox:
        for number in range(300):
            outbox.append("t", b"%d" % number)
        log = tmp_path / "outbox.sqlite-wal"
        assert log.stat().st_size > 100_000
        await outbox.checkpoint()
        assert log.stat().st_size == 0
        outbox.append("t", b"300")
        assert payloads(outbox) == [b"%d" % number for number in range(301)]


async def test_a_checkpoint_shrinks_nothing_that_waits(tmp_path: Path):
    with open_outbox(tmp_path, max_count=500) as outbox:
        assert not outbox.checkpoint_due
        for number in range(300):
            outbox.append("t", b"%d" % number)
        assert outbox.checkpoint_due
        await outbox.checkpoint()
        log_bytes = (tmp_path / "outbox.sqlite-wal").stat().st_size
        for number in range(100):
            outbox.append("t", b"%d" % number)
        assert (tmp_path / "outbox.sqlite-wal").stat().st_size == log_bytes
        assert not outbox.checkpoint_due
        assert outbox.depth == 400


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[Callable[[], sqlite3.Connection]]:
    """Lock the file of the outbox for another writer, as a checkpoint on a slow disk does."""
    with closing(sqlite3.connect(tmp_path / "outbox.sqlite", isolation_level=None)) as other:
        yield lambda: other.execute("BEGIN IMMEDIATE").connection


def test_loses_nothing_while_the_file_is_locked(
    tmp_path: Path, lock: Callable[[], sqlite3.Connection]
):
    with open_outbox(tmp_path) as outbox:
        outbox.append("t", b"sent")
        (sent,) = outbox.after(0, 1)
        other = lock()
        outbox.append("t", b"first")
        outbox.delete(sent.id)
        outbox.append("t", b"second")
        assert (outbox.depth, outbox.dropped) == (3, 0)
        assert outbox.after(sent.id, 10) == []
        other.rollback()
        assert payloads(outbox) == [b"first", b"second"]
        assert (outbox.depth, outbox.size_bytes, outbox.dropped) == (2, 11, 0)


def test_what_a_file_that_stays_locked_cannot_take_is_counted(
    tmp_path: Path, lock: Callable[[], sqlite3.Connection], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(outbox_module, "_MAX_POSTPONED", 2)
    monkeypatch.setattr(outbox_module, "_BUSY_S", 0.001)
    with open_outbox(tmp_path) as outbox:
        other = lock()
        for number in range(3):
            outbox.append("t", b"%d" % number)
        assert (outbox.depth, outbox.dropped) == (2, 1)
        other.rollback()
        outbox.append("t", b"3")
        assert payloads(outbox) == [b"0", b"1", b"3"]
