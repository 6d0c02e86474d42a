"""What a damaged file, a full disk and a late message cost: themselves, counted, and no more."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from assistant.errors import UserError
from assistant.mqtt.outbox import Outbox


def open_outbox(folder: Path) -> Outbox:
    return Outbox(folder, max_count=200, max_age_s=60.0)


def payloads(outbox: Outbox) -> list[bytes]:
    return [parcel.payload for parcel in outbox.after(0, 1000)]


def scramble(path: Path, pages: range) -> None:
    """Overwrite pages of 4 KiB with noise."""
    content = bytearray(path.read_bytes())
    content[pages.start * 4096 : pages.stop * 4096] = os.urandom(len(pages) * 4096)
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [b"this is no database" * 100, b""])
def test_a_damaged_file_is_started_anew(tmp_path: Path, damage: bytes):
    path = tmp_path / "outbox.sqlite"
    path.write_bytes(damage)
    with capture_logs() as logs, open_outbox(tmp_path) as outbox:
        outbox.append("t", b"new")
        assert payloads(outbox) == [b"new"]
    assert len(logs) == bool(damage)
    if damage:
        assert (tmp_path / "outbox.sqlite.broken").read_bytes() == damage
        assert logs[0]["event"] == "the outbox was corrupt and is started anew"


def test_a_damaged_page_is_found_at_the_start(tmp_path: Path):
    with open_outbox(tmp_path) as outbox:
        for _ in range(100):
            outbox.append("t", b"x" * 1000)
    scramble(tmp_path / "outbox.sqlite", range(3, 8))
    with capture_logs() as logs, open_outbox(tmp_path) as outbox:
        assert outbox.depth == 0
    assert len(logs) == 1


def test_a_damaged_letter_holds_up_nothing_that_is_behind_it(tmp_path: Path):
    with open_outbox(tmp_path) as outbox:
        for number in range(3):
            outbox.append("assistant/kitchen/reply", b"%d" % number)
    path = tmp_path / "outbox.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(path.read_bytes())
    content[content.index(b"assistant/kitchen/reply1") + 3] ^= 0x80
    path.write_bytes(content)
    with open_outbox(tmp_path) as outbox:
        outbox.append("assistant/kitchen/reply", b"new")
        assert payloads(outbox) == [b"0", b"1", b"2", b"new"]


def test_a_file_of_an_unknown_format_is_moved_aside(tmp_path: Path):
    db = sqlite3.connect(tmp_path / "outbox.sqlite")
    db.execute("PRAGMA user_version = 9")
    db.close()
    with capture_logs() as logs, open_outbox(tmp_path) as outbox:
        assert outbox.depth == 0
    assert logs[0]["error"] == "its format 9 is unknown"


def test_a_failing_disk_costs_the_message_and_one_line(tmp_path: Path):
    with open_outbox(tmp_path) as outbox:
        outbox.append("t", b"kept")
        outbox._db.execute("PRAGMA query_only = ON")
        with capture_logs() as logs:
            outbox.append("t", b"lost")
            outbox.append("t", b"lost")
        assert [log["event"] for log in logs] == ["the outbox cannot be used"]
        outbox._db.execute("PRAGMA query_only = OFF")
        outbox.append("t", b"kept too")
        assert payloads(outbox) == [b"kept", b"kept too"]
        assert outbox.dropped == 2


def test_a_file_damaged_while_it_is_used_costs_what_waited_and_nothing_new(tmp_path: Path):
    with open_outbox(tmp_path) as outbox:
        for _ in range(100):
            outbox.append("t", b"x" * 1000)
        last = outbox.after(0, 100)[-1].id
        with closing(sqlite3.connect(tmp_path / "outbox.sqlite")) as other:
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        scramble(tmp_path / "outbox.sqlite", range(1, 20))
        outbox._db.execute("PRAGMA shrink_memory")
        with capture_logs() as logs:
            assert outbox.after(0, 1000) == []
        assert [log["event"] for log in logs] == ["the outbox was corrupt and is started anew"]
        assert (outbox.dropped, outbox.depth, outbox.size_bytes) == (100, 0, 0)
        outbox.append("t", b"new")
        assert [parcel.payload for parcel in outbox.after(last, 10)] == [b"new"]
        outbox.delete(1, last)
        assert payloads(outbox) == [b"new"]


def test_a_message_that_comes_after_the_end_leaves_the_file_alone(tmp_path: Path):
    outbox = open_outbox(tmp_path)
    outbox.append("t", b"kept")
    outbox.close()
    with capture_logs() as logs:
        outbox.append("t", b"late")
        outbox.append("t", b"later")
    assert [log["event"] for log in logs] == ["the outbox cannot be used"]
    assert outbox.dropped == 2
    with open_outbox(tmp_path) as again:
        assert payloads(again) == [b"kept"]
    assert not (tmp_path / "outbox.sqlite.broken").exists()


@pytest.mark.parametrize(("free", "remedy"), [(0, "the disk is full"), (1 << 30, "who owns it")])
def test_an_outbox_that_cannot_be_opened_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, remedy: str
):
    (tmp_path / "outbox.sqlite").mkdir()
    usage = shutil.disk_usage(tmp_path)._replace(free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(UserError, match=remedy):
        open_outbox(tmp_path)
