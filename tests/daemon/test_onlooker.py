"""What the demo prints, and how it keeps score."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from assistant.onlooker import Onlooker, Playlist
from assistant.settings import Settings
from assistant.testing import FakeClock

ROOT = "assistant/demo"
WIDTH = 80


class Theatre:
    def __init__(self, *names: str) -> None:
        self.paper = io.StringIO()
        files = [Path(name) for name in names]
        settings = Settings.model_validate({"site": "demo", "audio": {"files": files}})
        clock = FakeClock()
        self.playlist = Playlist(files, clock, endless=False)
        console = Console(file=self.paper, width=WIDTH, highlight=False)
        self.onlooker = Onlooker(settings, self.playlist, clock, console)

    def say(self, name: str, **body: Any) -> None:
        self.onlooker._see(f"{ROOT}/{name}", json.dumps(body).encode())

    def turn(self, turn: str, recording: str, text: str) -> None:
        self.playlist._playing = recording
        self.say("event", event_type="speech_start", turn=turn, started_by="voice")
        times = {"endpoint": 700, "encode": 10, "decode": 20, "handle": 1, "total": 31}
        reply = {"text": text, "transcript": "heard", "intent": None, "passes": 4}
        self.say("reply", turn=turn, timings_ms=times, **reply)

    @property
    def lines(self) -> list[str]:
        return self.paper.getvalue().splitlines()


def test_every_message_is_one_line_that_fits_the_terminal():
    stage = Theatre("a.opus")
    stage.turn("t", "a.opus", "word " * 100)
    assert max(map(len, stage.lines)) <= WIDTH
    assert [line.split()[2] for line in stage.lines if " s  " in line] == [
        "event",
        "reply",
        "encode",
    ]
    assert "encode 10, decode 20, handle 1, total 31 ms; 4 passes" in stage.lines[-1]


def test_the_score_is_kept_by_recording_and_not_by_reply():
    stage = Theatre("a.opus", "b.opus")
    stage.turn("1", "a.opus", "One.")
    stage.turn("2", "a.opus", "The second half of it.")
    assert stage.onlooker.unanswered == ["b.opus"]
    stage.say("reply", turn="unasked", text="Ping.", timings_ms={})
    assert stage.onlooker.unanswered == ["b.opus"]
    stage.turn("3", "b.opus", "Two.")
    assert stage.onlooker.unanswered == []
    stage.onlooker.summarise()
    assert "2 of 2 recordings answered" in stage.paper.getvalue()
    assert max(map(len, stage.lines)) <= WIDTH


@pytest.mark.parametrize(
    "payload", [b"", b"\xff", b"{}", b"[1]", b'{"turn": []}', b'{"text": 1}', b"null", b'{"v":{}}']
)
@pytest.mark.parametrize("name", ["reply", "event", "info", "state", "partial", "x"])
def test_nonsense_on_the_broker_is_shown_as_it_is(name: str, payload: bytes):
    stage = Theatre("a.opus")
    stage.onlooker._see(f"{ROOT}/{name}", payload)
    stage.onlooker._see("elsewhere", payload)
    assert len(stage.lines) >= 2
    assert stage.onlooker.replies == []


def test_playing_begins_when_the_assistant_is_ready():
    stage = Theatre("a.opus")
    stage.say("info", lifecycle="init")
    assert not stage.playlist.watched.is_set()
    stage.say("info", lifecycle="ready", model="nano", microphone="1 recordings")
    assert stage.playlist.watched.is_set()
