import numpy as np
import pytest

from assistant.audio.endpoint import NO_SPEECH_MS, Endpointer, State
from assistant.audio.events import Dropped, Ended, Event, Paused, Resumed, Started
from assistant.audio.source import FRAME_S, FRAME_SAMPLES, Frame
from assistant.settings import EndpointSettings
from assistant.turn import EndReason, StartReason

PTT = StartReason.PUSH_TO_TALK


class Room:
    """An endpointer, and the time in it."""

    def __init__(self, **settings: object) -> None:
        self.endpointer = Endpointer(EndpointSettings(**settings))
        self.count = 0

    @property
    def now(self) -> float:
        return self.count * FRAME_S

    def hear(self, plan: str) -> list[Event]:
        """`s90 q700`: 90 ms of speech, then 700 ms of quiet; `o` opens, `c` cancels…"""
        events: list[Event] = []
        for step in plan.split():
            match step[0]:
                case "s" | "q":
                    for _ in range(int(step[1:]) // 10):
                        self.count += 1
                        frame = Frame(np.full(FRAME_SAMPLES, self.count, np.int16), self.now)
                        events += self.endpointer.feed(frame, step[0] == "s")
                case "o":
                    events += self.endpointer.open(PTT, self.now)
                case "c":
                    events += self.endpointer.cancel()
                case "m":
                    events += self.endpointer.cancel(EndReason.MUTED)
                case "f":
                    events += self.endpointer.finish()
        return events


def names(events: list[Event]) -> str:
    """One word for each event, with its reason where it has one."""
    words = []
    for event in events:
        match event:
            case Dropped(reason):
                words.append(f"dropped:{reason}")
            case Ended(utterance):
                words.append(f"ended:{utterance.ended_by}")
            case _:
                words.append(type(event).__name__.lower())
    return " ".join(words)


REACH = {
    State.QUIET: "q600",
    State.STARTING: "q600 s50",
    State.SPEAKING: "q600 s500",
    State.STOPPING: "q600 s500 q100",
}
PAUSED = "q600 s500 q300"
OPENED = "q600 o"

TABLE = [
    # state, then what happens, the state after it, the events
    (State.QUIET, "q10", State.QUIET, ""),
    (State.QUIET, "s10", State.STARTING, ""),
    (State.QUIET, "o", State.STARTING, "started"),
    (State.QUIET, "c", State.QUIET, ""),
    (State.QUIET, "m", State.QUIET, ""),
    (State.QUIET, "f", State.QUIET, ""),
    (State.STARTING, "q60", State.STARTING, ""),
    (State.STARTING, "q70", State.QUIET, ""),
    (State.STARTING, "s30", State.STARTING, ""),
    (State.STARTING, "s40", State.SPEAKING, "started"),
    (State.STARTING, "q30 s40", State.SPEAKING, "started"),
    (State.STARTING, "o", State.STARTING, "started"),
    (State.STARTING, "c", State.QUIET, ""),
    (State.STARTING, "m", State.QUIET, ""),
    (State.STARTING, "f", State.QUIET, ""),
    (State.SPEAKING, "s1000", State.SPEAKING, ""),
    (State.SPEAKING, "q10", State.STOPPING, ""),
    (State.SPEAKING, "o", State.SPEAKING, ""),
    (State.SPEAKING, "c", State.QUIET, "dropped:cancelled"),
    (State.SPEAKING, "m", State.QUIET, "dropped:muted"),
    (State.SPEAKING, "f", State.QUIET, "ended:source_ended"),
    (State.SPEAKING, "s30000", State.QUIET, "ended:max_utterance"),
    (State.STOPPING, "s20", State.STOPPING, ""),
    (State.STOPPING, "s30", State.SPEAKING, ""),
    (State.STOPPING, "q100", State.STOPPING, "paused"),
    (State.STOPPING, "q600", State.QUIET, "paused ended:silence"),
    (State.STOPPING, "o", State.SPEAKING, ""),
    (State.STOPPING, "c", State.QUIET, "dropped:cancelled"),
    (State.STOPPING, "m", State.QUIET, "dropped:muted"),
    (State.STOPPING, "f", State.QUIET, "ended:source_ended"),
]


@pytest.mark.parametrize(("state", "plan", "after", "told"), TABLE)
def test_every_state_answers_every_event(state: State, plan: str, after: State, told: str):
    room = Room()
    room.hear(REACH[state])
    assert room.endpointer.state is state
    assert names(room.hear(plan)) == told
    assert room.endpointer.state is after


PAUSED_TABLE = [
    ("q10", State.STOPPING, ""),
    ("q400", State.QUIET, "ended:silence"),
    ("s20 q10", State.STOPPING, ""),
    ("s30", State.SPEAKING, "resumed"),
    ("s30 q200", State.STOPPING, "resumed paused"),
    ("o", State.SPEAKING, "resumed"),
    ("c", State.QUIET, "dropped:cancelled"),
    ("m", State.QUIET, "dropped:muted"),
    ("f", State.QUIET, "ended:source_ended"),
]


@pytest.mark.parametrize(("plan", "after", "told"), PAUSED_TABLE)
def test_after_a_pause(plan: str, after: State, told: str):
    room = Room()
    room.hear(PAUSED)
    assert names(room.hear(plan)) == told
    assert room.endpointer.state is after


OPENED_TABLE = [
    ("q1000", State.STARTING, ""),
    (f"q{NO_SPEECH_MS}", State.QUIET, "dropped:no_speech"),
    ("s50", State.STARTING, ""),
    ("s50 q500", State.STARTING, ""),
    ("s90", State.SPEAKING, ""),
    ("q3000 s500 q700", State.QUIET, "paused ended:silence"),
    ("o", State.STARTING, ""),
    ("c", State.QUIET, "dropped:cancelled"),
    ("m", State.QUIET, "dropped:muted"),
    ("f", State.QUIET, "dropped:no_speech"),
]


@pytest.mark.parametrize(("plan", "after", "told"), OPENED_TABLE)
def test_opened_by_command(plan: str, after: State, told: str):
    room = Room()
    room.hear(OPENED)
    assert names(room.hear(plan)) == told
    assert room.endpointer.state is after


@pytest.mark.parametrize(("preset", "needed"), [("quick", 400), ("normal", 700), ("relaxed", 1250)])
def test_the_preset_says_how_much_silence_ends_an_utterance(preset: str, needed: int):
    room = Room(preset=preset)
    assert "ended" not in names(room.hear(f"s500 q{needed // 10 * 10 - 10}"))
    assert "ended" in names(room.hear("q10"))


def test_own_silence_wins_over_the_preset():
    assert names(Room(silence_ms=100).hear("s500 q100")) == "started ended:silence"


def test_too_little_speech_is_dropped():
    assert names(Room(start_ms=50).hear("s100 q700")) == "started paused dropped:no_speech"


def test_an_utterance_holds_its_preroll_and_its_closing_silence():
    room = Room(preroll_ms=500)
    *_, ended = room.hear("q2000 s300 q700")
    assert isinstance(ended, Ended)
    assert ended.utterance.seconds == pytest.approx(0.5 + 0.3 + 0.7, abs=0.011)
    assert ended.utterance.speech_ended_at == pytest.approx(2.3)
    first = ended.utterance.audio[0]
    assert (np.diff(ended.utterance.audio[::FRAME_SAMPLES]) == 1).all()
    assert first == pytest.approx(151, abs=1)


def test_the_preroll_of_the_next_utterance_holds_no_speech_of_the_last():
    room = Room(preset="quick", preroll_ms=500)
    room.hear("q600 s300 q400")
    ended = room.hear("s300 q400")[-1]
    assert isinstance(ended, Ended)
    assert ended.utterance.audio[0] > 60 + 30


def test_waiting_after_a_command_is_no_part_of_the_utterance():
    ended = Room(preroll_ms=500).hear("o q5000 s300 q700")[-1]
    assert isinstance(ended, Ended)
    assert ended.utterance.started_by is PTT
    assert ended.utterance.seconds < 1.6


def test_an_utterance_is_never_longer_than_allowed():
    room = Room(max_utterance_ms=1000)
    ended = room.hear("q600 s2000")[-1]
    assert isinstance(ended, Ended)
    assert ended.utterance.ended_by is EndReason.MAX_UTTERANCE
    assert ended.utterance.seconds == 1.0


def test_endless_speech_opens_no_second_utterance_before_a_silence():
    room = Room(max_utterance_ms=1000)
    assert names(room.hear("s60000")) == "started ended:max_utterance"
    assert names(room.hear("q600 s500 q600")) == ""
    assert names(room.hear("q100 s100")) == "started"


def test_the_rest_of_a_cancelled_sentence_opens_nothing():
    room = Room()
    room.hear("s500 c")
    assert names(room.hear("s500 q700 s500")) == "started"


def test_a_cancel_does_not_end_the_wait_for_a_silence():
    room = Room(max_utterance_ms=1000)
    assert names(room.hear("s2000 c s2000")) == "started ended:max_utterance"
    room.hear("s500 c c")
    assert names(room.hear("s500 q700 s500")) == "started"


def test_what_is_said_right_after_unmuting_is_heard():
    room = Room()
    room.hear("s500 m")
    assert names(room.hear("s90")) == "started"


def test_a_command_opens_even_while_silence_is_awaited():
    room = Room()
    room.hear("s500 c s100")
    assert names(room.hear("o s300 q700")) == "started paused ended:silence"


def test_clicks_open_nothing():
    assert names(Room().hear("s30 q200 " * 50)) == ""


def test_clicks_of_the_past_do_not_shorten_the_wait_after_a_command():
    room = Room()
    room.hear("s10 q1000 " * 100)
    assert names(room.hear(f"o q{NO_SPEECH_MS - 10}")) == "started"
    assert names(room.hear("q20")) == "dropped:no_speech"


def test_clicks_do_not_keep_an_utterance_open():
    assert names(Room().hear("s500 " + "q180 s20 " * 10)) == "started paused ended:silence"


def test_a_pause_tells_what_was_said_so_far():
    room = Room()
    started, paused = room.hear("q600 s500 q200")
    assert isinstance(started, Started)
    assert isinstance(paused, Paused)
    assert paused.utterance.seconds == pytest.approx(0.5 + 0.5 + 0.2, abs=0.011)
    (resumed,) = room.hear("s30")
    assert resumed == Resumed(pytest.approx(room.now))
