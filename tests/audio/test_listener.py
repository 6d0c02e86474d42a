import asyncio

import numpy as np
import pytest

from assistant.audio.endpoint import Endpointer, State
from assistant.audio.events import Dropped, Ended, Event, Paused, Progress, Resumed, Started
from assistant.audio.listener import Listener
from assistant.audio.mailbox import Mailbox
from assistant.audio.source import Frame
from assistant.settings import EndpointSettings
from assistant.sources import SIGN_OF_LIFE_S, Deaf
from assistant.turn import EndReason, StartReason, Utterance
from tests.audio.support import (
    FakeClock,
    FakeSource,
    LoudIsSpeech,
    frames_of,
    loud,
    settle,
    silence,
)

SENTENCE = np.concatenate([silence(0.6), loud(1.0), silence(0.8)])


class HandSource(FakeSource):
    """Frames come when a test gives them."""

    def __init__(self) -> None:
        super().__init__(silence(0))
        self.queue: asyncio.Queue[Frame | None] = asyncio.Queue()

    def give(self, sound: np.ndarray) -> None:
        for frame in frames_of(sound):
            self.queue.put_nowait(frame)

    async def frames(self):
        while (frame := await self.queue.get()) is not None:
            yield frame


def listener_of(source: FakeSource, clock: FakeClock, **settings: int) -> Listener:
    vad = LoudIsSpeech()
    return Listener(source, vad, Endpointer(EndpointSettings()), clock, **settings)


def utterance() -> Utterance:
    return Utterance(loud(0.1), StartReason.VOICE, EndReason.SILENCE, 0.0)


async def collect(listener: Listener) -> list[Event]:
    return [event async for event in listener.events()]


async def test_a_slow_reader_still_gets_every_utterance():
    listener = listener_of(FakeSource(np.tile(SENTENCE, 3)), FakeClock())
    events = await collect(listener)
    assert [type(event) for event in events] == [Started, Ended] * 3
    assert listener.utterances == 3
    assert listener.frames == 3 * 240


async def test_progress_is_told_while_somebody_speaks():
    source, clock = HandSource(), FakeClock()
    listener = listener_of(source, clock, partial_ms=300)
    told: list[Event] = []

    async def read() -> None:
        async for event in listener.events():
            told.append(event)  # noqa: PERF401

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(read())
        for _ in range(10):
            source.give(loud(0.1))
            await settle()
        source.queue.put_nowait(None)
    heard = [len(event.audio) for event in told if isinstance(event, Progress)]
    assert len(heard) == 3
    assert heard == sorted(heard)
    assert isinstance(told[-1], Ended)
    assert told[-1].utterance.ended_by is EndReason.SOURCE_ENDED


async def test_muted_means_that_nothing_reaches_the_detector_while_progress_counts():
    source, clock = HandSource(), FakeClock()
    vad = LoudIsSpeech()
    listener = Listener(source, vad, Endpointer(EndpointSettings()), clock)
    listener.mute(True)
    reading = asyncio.create_task(collect(listener))
    await clock.advance(5)
    source.give(SENTENCE)
    source.queue.put_nowait(None)
    assert await reading == []
    assert vad.heard == listener.frames == 0
    assert listener.progress_at == clock.now()


async def test_muting_throws_away_what_is_being_said_and_refuses_to_open():
    source = HandSource()
    listener = listener_of(source, FakeClock())
    events = listener.events()
    source.give(loud(0.5))
    assert isinstance(await anext(events), Started)
    await settle()
    listener.mute(True)
    listener.open()
    while not isinstance(event := await anext(events), Dropped):
        pass
    assert event == Dropped(EndReason.MUTED)
    assert listener.state is State.QUIET
    listener.mute(False)
    source.give(loud(0.5))
    assert isinstance(await anext(events), Started)
    await events.aclose()


async def test_a_voice_that_is_not_heeded_opens_nothing_while_commands_and_questions_do():
    source = HandSource()
    listener = listener_of(source, FakeClock())
    events = listener.events()
    listener.heed(voices=False, commands=True)
    source.give(SENTENCE)
    await settle()
    listener.open()
    event = await anext(events)
    assert isinstance(event, Started)
    assert event.started_by is StartReason.PUSH_TO_TALK
    source.give(SENTENCE)
    while not isinstance(event := await anext(events), Ended):
        pass
    listener.expect(5.0)
    source.give(loud(0.5))
    event = await anext(events)
    assert isinstance(event, Started)
    assert event.started_by is StartReason.VOICE
    await events.aclose()


async def test_without_commands_nothing_opens_and_what_is_being_said_is_thrown_away():
    source = HandSource()
    listener = listener_of(source, FakeClock())
    events = listener.events()
    source.give(loud(0.5))
    assert isinstance(await anext(events), Started)
    listener.heed(voices=False, commands=False)
    while not isinstance(await anext(events), Dropped):
        pass
    listener.open()
    listener.expect(5.0)
    source.give(silence(2))
    source.give(SENTENCE)
    await settle()
    assert listener.state is State.QUIET
    listener.heed(voices=True, commands=True)
    source.give(SENTENCE)
    assert isinstance(await anext(events), Started)
    await events.aclose()


async def test_an_utterance_whose_sound_stops_coming_is_closed():
    source, clock = HandSource(), FakeClock()
    listener = listener_of(source, clock)
    events = listener.events()
    source.give(loud(1.0))
    assert isinstance(await anext(events), Started)
    await clock.advance(3.5)
    last = await anext(events)
    assert isinstance(last, Ended)
    assert last.utterance.ended_by is EndReason.SOURCE_ENDED
    await events.aclose()


async def test_errors_of_the_source_are_raised():
    class Broken(FakeSource):
        async def frames(self):
            yield Frame(loud(0.01), 0.0)
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        await collect(listener_of(Broken(silence(0)), FakeClock()))


async def test_a_source_that_can_wait_is_made_to_wait():
    source = FakeSource(np.tile(SENTENCE, 20), live=False)
    listener = listener_of(source, FakeClock())
    assert sum(isinstance(event, Ended) for event in await collect(listener)) == 20
    assert listener.dropped_utterances == 0


async def test_a_live_source_overtakes_what_nobody_collects():
    listener = listener_of(FakeSource(np.tile(SENTENCE, 20)), FakeClock())
    events = await collect(listener)
    assert [type(event) for event in events] == [Started, Ended] * 8
    assert listener.dropped_utterances == 12


async def test_open_and_cancel_are_told():
    source = HandSource()
    listener = listener_of(source, FakeClock())
    events = listener.events()
    listener.open(StartReason.WAKE_WORD)
    started = await anext(events)
    assert isinstance(started, Started)
    assert started.started_by is StartReason.WAKE_WORD
    listener.cancel()
    assert await anext(events) == Dropped(EndReason.CANCELLED)
    await events.aclose()


MAILBOX = [
    ("progress is replaced", [Progress(loud(0.1), 1), Progress(loud(0.2), 2)], [Progress]),
    ("a resumed pause was never worth telling", [Paused(utterance()), Resumed(1)], []),
    ("an end tells more than a pause", [Paused(utterance()), Ended(utterance())], [Ended]),
    ("a false start is forgotten", [Started(1), Dropped(EndReason.NO_SPEECH)], []),
]


@pytest.mark.parametrize(
    ("put", "left"), [case[1:] for case in MAILBOX], ids=[c[0] for c in MAILBOX]
)
async def test_what_became_pointless_is_forgotten(put: list[Event], left: list[type]):
    mailbox = Mailbox()
    for event in put:
        mailbox.put(event)
    mailbox.close()
    kept = []
    while (event := await mailbox.get()) is not None:
        kept.append(type(event))
    assert kept == left


async def test_an_overtaken_utterance_whose_start_was_told_ends_as_dropped():
    mailbox = Mailbox(limit=1)
    mailbox.put(Started(1))
    assert isinstance(await mailbox.get(), Started)
    for event in (Ended(utterance()), Started(2), Ended(utterance())):
        mailbox.put(event)
    assert await mailbox.get() == Dropped(EndReason.CANCELLED)
    assert isinstance(await mailbox.get(), Started)
    assert isinstance(await mailbox.get(), Ended)
    assert mailbox.dropped_utterances == 1


async def test_finished_utterances_that_wait_can_be_given_up():
    mailbox = Mailbox()
    mailbox.put(Started(1))
    assert isinstance(await mailbox.get(), Started)
    for event in (Ended(utterance()), Started(2), Ended(utterance()), Started(3)):
        mailbox.put(event)
    mailbox.give_up()
    assert await mailbox.get() == Dropped(EndReason.CANCELLED)
    assert await mailbox.get() == Started(3)
    assert mailbox.dropped_utterances == 0


async def test_a_listener_gives_up_what_nobody_has_taken_yet():
    source = HandSource()
    listener = listener_of(source, FakeClock())
    source.give(np.concatenate([SENTENCE, SENTENCE]))
    events = listener.events()
    assert isinstance(await anext(events), Started)
    await settle()
    listener.give_up()
    source.queue.put_nowait(None)
    assert [type(event) async for event in events] == [Dropped]


async def test_what_is_read_again_at_once_is_not_ended_by_the_reading_before():
    source = HandSource()
    listener = listener_of(source, FakeClock())
    source.give(SENTENCE)
    first = listener.events()
    assert isinstance(await anext(first), Started)
    await first.aclose()
    source.give(np.concatenate([silence(1), SENTENCE]))
    source.queue.put_nowait(None)
    assert [type(event) for event in await collect(listener)] == [Ended, Started, Ended]


async def test_whoever_asks_an_engine_without_a_microphone_to_listen_is_not_kept_waiting():
    clock = FakeClock()
    listener = listener_of(Deaf(clock), clock)
    told: list[Event] = []

    async def read() -> None:
        async for event in listener.events():
            told.append(event)  # noqa: PERF401

    reading = asyncio.create_task(read())
    await settle()
    listener.open()
    for _ in range(4):
        await clock.advance(1.0)
    assert [type(event) for event in told] == [Started, Dropped]
    assert listener.state is State.QUIET
    await clock.advance(60.0)
    assert listener.progress_at > clock.now() - 2 * SIGN_OF_LIFE_S  # it lives on
    reading.cancel()
