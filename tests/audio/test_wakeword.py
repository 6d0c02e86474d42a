"""The word that wakes: what it opens, what it leaves out, and real ones heard by the real model."""

import sys
from typing import Any

import numpy as np
import pytest

from assistant.audio.endpoint import Endpointer
from assistant.audio.events import Dropped, Ended, Event, Started
from assistant.audio.listener import Listener
from assistant.audio.source import FRAME_SAMPLES
from assistant.audio.wakeword import MicroWakeWord, make_wake_word
from assistant.errors import UserError
from assistant.settings import EndpointSettings, WakeSettings
from assistant.turn import SAMPLE_RATE_HZ, EndReason, StartReason
from tests.audio.support import FakeClock, FakeSource, LoudIsSpeech, hum, loud, silence, spoken

BEEP = 12_345
"""The loudness of a frame that is the wake word of these tests."""
LONG_AGO_S = -100.0


class Beep:
    """Wakes at a certain loudness."""

    def __init__(self) -> None:
        self.resets = 0

    def heard(self, samples: np.ndarray) -> bool:
        return bool(samples.max() == BEEP)

    def reset(self) -> None:
        self.resets += 1


def beep() -> np.ndarray:
    return np.full(FRAME_SAMPLES, BEEP, np.int16)


async def heard(
    *sound: np.ndarray, expected_s: tuple[float, ...] = (), heeded: bool = True
) -> list[Event]:
    clock, source = FakeClock(), FakeSource(np.concatenate(sound))
    endpointer = Endpointer(EndpointSettings())
    listener = Listener(source, LoudIsSpeech(), endpointer, clock, partial_ms=0, wake_word=Beep())
    listener.heed(voices=heeded, commands=True)
    for seconds in expected_s:
        listener.expect(seconds)
    return [e for e in [event async for event in listener.events()] if _is_told(e)]


def _is_told(event: Event) -> bool:
    return isinstance(event, Started | Ended | Dropped)


async def test_a_voice_alone_opens_nothing():
    assert await heard(silence(1), loud(1), silence(2)) == []


async def test_after_the_word_a_request_is_heard_without_it():
    started, ended = await heard(silence(1), loud(0.5), beep(), silence(0.5), loud(1), silence(2))
    assert isinstance(started, Started)
    assert started.started_by is StartReason.WAKE_WORD
    assert -20 < started.level_dbfs < 0
    assert isinstance(ended, Ended)
    assert ended.utterance.started_by is StartReason.WAKE_WORD
    assert ended.utterance.audio.max() < BEEP
    assert ended.utterance.seconds < 2.6


async def test_a_request_may_follow_at_once_and_loses_no_sound():
    _, ended = await heard(silence(1), beep(), loud(1.5), silence(2))
    assert isinstance(ended, Ended)
    assert np.count_nonzero(ended.utterance.audio == 5000) == round(1.5 * SAMPLE_RATE_HZ)


async def test_the_end_of_the_word_is_not_taken_for_the_request():
    events = await heard(silence(1), beep(), loud(0.25), silence(2), loud(1), silence(2))
    [_, ended] = events
    assert isinstance(ended, Ended)
    assert ended.utterance.ended_by is EndReason.SILENCE


async def test_a_word_that_nothing_follows_comes_to_nothing():
    assert await heard(silence(1), beep(), silence(8), loud(1), silence(1)) == []


async def test_an_answer_that_is_expected_needs_no_word():
    started, ended = await heard(silence(1), loud(1), silence(2), expected_s=(3,))
    assert isinstance(started, Started)
    assert started.started_by is StartReason.VOICE
    assert isinstance(ended, Ended)


async def test_a_word_that_is_not_heeded_opens_nothing():
    sound = silence(1), beep(), silence(0.5), loud(1), silence(2)
    assert await heard(*sound, heeded=False) == []
    assert await heard(*sound, heeded=True) != []


async def test_an_answer_is_not_expected_for_ever():
    assert await heard(silence(1), loud(1), silence(2), expected_s=(LONG_AGO_S,)) == []
    assert await heard(silence(1), loud(1), silence(2), expected_s=(3, 0)) == []


async def test_muting_forgets_what_was_heard_of_the_word():
    word = Beep()
    source, clock = FakeSource(silence(1)), FakeClock()
    endpointer = Endpointer(EndpointSettings())
    listener = Listener(source, LoudIsSpeech(), endpointer, clock, wake_word=word)
    listener.mute(True)
    assert word.resets == 1


def test_without_the_setting_there_is_none():
    assert make_wake_word(WakeSettings()) is None


def test_a_missing_package_is_one_line_with_the_remedy(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pymicro_wakeword", None)
    with pytest.raises(UserError, match="script/setup wake"):
        make_wake_word(WakeSettings(word="okay_nabu"))


def wakes(word: str, sound: np.ndarray) -> list[float]:
    """The seconds at which the real model hears `word`."""
    pytest.importorskip("pymicro_wakeword", reason="the extra `wake` is not installed")
    model: Any = MicroWakeWord(word, None)
    starts = range(0, len(sound) - FRAME_SAMPLES + 1, FRAME_SAMPLES)
    found = [start for start in starts if model.heard(sound[start : start + FRAME_SAMPLES])]
    return [round(start / SAMPLE_RATE_HZ, 2) for start in found]


@pytest.mark.parametrize("voice", ["en-us", "en-gb", "en-us+m3", "en-gb+f4"])
def test_the_real_model_hears_its_word_once_and_no_other(voice: str):
    said = ("-v", voice, "-s", "150")
    called, talked = spoken("okay nabu", *said), spoken("turn on the kitchen light", *said)
    sound = np.concatenate([silence(1), called, silence(1), talked, silence(1)])
    [at] = wakes("okay_nabu", sound)
    assert 1.5 < at < 1.2 + len(called) / SAMPLE_RATE_HZ
    assert wakes("okay_nabu", np.concatenate([silence(1), talked, hum(2, 3000)])) == []
