"""Every order in which the events of a turn can come."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assistant.answering import NO_ANSWER
from assistant.answers import HandlerResult
from assistant.audio.events import Dropped, Ended, Paused, Progress, Resumed, Started
from assistant.dialogue import Dialogue, new_turn_id
from assistant.errors import TransientError
from assistant.plugin import Ask, Plugin, Turn
from assistant.settings import EngineSettings
from assistant.testing import Assistant, FakeClock
from assistant.turn import EndReason, Speaker, StartReason
from tests.audio.support import hum
from tests.daemon.support import (
    FakeBus,
    FakeIntents,
    FakeMind,
    FakeWorker,
    Script,
    settle,
    utterance,
)

ON = HandlerResult("lights.switch", {"room": "kitchen"}, "It is on.", 1.0)


class Stage:
    """A dialogue whose every neighbour is a fake."""

    def __init__(
        self,
        *script: str | Exception,
        timeout_s: float = 20,
        answer: str = "So.",
        intents: Any = None,
    ) -> None:
        self.bus, self.worker, self.script = FakeBus(), FakeWorker(), Script()
        self.mind = FakeMind(*script, answer=answer)
        self.intents = intents or FakeIntents({"light on": ON})
        self.clock = FakeClock()
        self.expected: list[float] = []
        ids = iter("abcdefgh")
        self.dialogue = Dialogue(
            self.mind,
            self.intents,
            self.bus,
            self.worker,
            site="kitchen",
            settings=EngineSettings(timeout_s=timeout_s),
            clock=self.clock,
            new_id=lambda: next(ids),
            expect=self.expected.append,
        )
        self.tell = self.script.tell
        self._task = asyncio.create_task(self.dialogue.run(self.script.events()))

    async def end(self) -> None:
        await self.script.end()
        async with asyncio.timeout(5):
            await self._task

    async def abandon(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    @property
    def replies(self) -> list[tuple[str, str]]:
        return [(turn, text) for _, turn, text in self.bus.named("reply")]

    @property
    def errors(self) -> list[str]:
        return [details["message"] for *_, details in self.bus.named("event", "error")]


def progress(seconds: float = 1.0) -> Progress:
    return Progress(np.zeros(round(seconds * 16_000), np.int16), at=0.0)


async def test_a_turn_from_the_first_word_to_the_reply():
    stage = Stage("light on")
    await stage.tell(Started(0.0), Ended(utterance(2)))
    await stage.end()
    details = {"intent": "lights.switch", "slots": {"room": "kitchen"}, "confidence": 1.0}
    assert stage.bus.said == [
        ("event", "speech_start", "a", {"started_by": "voice"}),
        ("state", "listening", "a"),
        ("event", "speech_end", "a", {"reason": "silence", "seconds": 2.0}),
        ("state", "processing", "a"),
        ("event", "intent", "a", details),
        ("state", "responding", "a"),
        ("reply", "a", "It is on."),
        ("event", "reply", "a", {"text": "It is on."}),
        ("state", "idle", None),
    ]


async def test_a_handler_can_learn_what_the_voice_was_like_and_nothing_of_words_that_were_typed():
    stage = Stage("light on")
    voice = replace(utterance(), audio=np.concatenate([hum(1, 0), hum(1, 9000, 150)]))
    await stage.tell(Started(0.0), Ended(voice))
    await stage.dialogue.ask("light on")
    await stage.end()
    spoken, typed = (turn.measure() for turn in stage.intents.turns)
    assert spoken.pitch_hz == pytest.approx(150, rel=0.01)
    assert spoken.level_dbfs == pytest.approx(-14.2, abs=0.2)
    assert typed == Speaker()


async def test_a_wake_word_is_told_before_the_speech():
    stage = Stage()
    await stage.tell(Started(0.0, StartReason.WAKE_WORD), Dropped(EndReason.NO_SPEECH))
    await stage.end()
    assert stage.bus.named("event")[:2] == [
        ("event", "wake", "a", {}),
        ("event", "speech_start", "a", {"started_by": "wake_word"}),
    ]


async def asking() -> Stage:
    """A dialogue in which a plugin has just asked back."""
    stage = Stage("order a pizza", "large")
    ask = Ask("Small or large?", expects=["small", "large"], timeout=6)
    stage.intents.known["order a pizza"] = HandlerResult("pizza.order", {}, ask.text, 1.0, ask)
    await stage.tell(Started(0.0), Ended(utterance(2)))
    return stage


async def test_after_a_question_an_answer_is_listened_for_until_it_has_come():
    stage = await asking()
    [(*_, told)] = stage.bus.named("event", "plugin")
    asked = {"expects": ["small", "large"], "timeout_s": 6}
    assert told == {"plugin": "pizza", "name": "question", "data": asked}
    assert stage.expected == [6]
    await stage.clock.advance(5)
    await stage.tell(Started(0.0), Dropped(EndReason.NO_SPEECH), Started(0.0))
    assert stage.expected == [6]
    assert stage.intents.answering == ["", "a", "a"]
    await stage.tell(Ended(utterance()))
    assert stage.expected == [6, 0]
    await stage.clock.advance(30)
    await stage.end()
    assert len(stage.bus.named("event", "plugin")) == 1


async def test_a_question_that_nobody_answers_is_over_after_a_while():
    stage = await asking()
    await stage.clock.advance(7.1)
    name, turn, told = stage.bus.named("event", "plugin")[-1][1:]
    assert (name, turn, told["name"]) == ("plugin", "a", "unanswered")
    assert stage.expected == [6, 0]
    await stage.tell(Started(0.0), Dropped(EndReason.NO_SPEECH))
    await stage.end()
    assert stage.intents.answering == ["", ""]


async def test_a_question_that_is_cancelled_is_over_and_told_so():
    stage = await asking()
    await stage.dialogue.cancel()
    assert stage.bus.named("event", "plugin")[-1][3]["name"] == "unanswered"
    assert stage.expected == [6, 0]
    assert stage.intents.hushed == ["kitchen"]
    await stage.tell(Started(0.0))
    assert stage.intents.answering[-1] == ""
    await stage.end()


async def test_what_was_begun_before_a_question_is_not_its_answer():
    stage = Stage("order a pizza", "light on")
    ask = Ask("Small or large?", expects=["small", "large"], timeout=6)
    stage.intents.known["order a pizza"] = HandlerResult("pizza.order", {}, ask.text, 1.0, ask)
    stage.worker.gate.clear()
    await stage.tell(Started(0.0), Ended(utterance(2)), Started(3.0))
    stage.worker.gate.set()
    await settle()
    await stage.tell(Ended(utterance(1)))
    assert stage.expected == [6]
    await stage.clock.advance(7.1)
    told = [event[3]["name"] for event in stage.bus.named("event", "plugin")]
    assert told == ["question", "unanswered"]
    await stage.end()


async def test_a_question_is_not_over_while_its_answer_is_spoken():
    stage = await asking()
    await stage.clock.advance(5)
    await stage.tell(Started(0.0))
    await stage.clock.advance(5)
    assert len(stage.bus.named("event", "plugin")) == 1
    await stage.tell(Dropped(EndReason.NO_SPEECH))
    assert stage.bus.named("event", "plugin")[-1][3]["name"] == "unanswered"
    await stage.end()


async def test_a_pause_that_proves_to_be_the_end_has_its_answer_begun_already():
    stage = Stage("light on")
    await stage.tell(Started(0.0), Paused(utterance(1.0)))
    assert stage.mind.understood == [1.0]
    assert stage.replies == []
    await stage.tell(Ended(utterance(1.5)))
    assert stage.replies == [("a", "It is on.")]
    assert stage.mind.understood == [1.0]
    assert stage.dialogue.counters.speculations_used == 1
    await stage.end()


async def test_speech_that_goes_on_makes_the_first_guess_worthless():
    stage = Stage("light", "light on")
    stage.worker.gate.clear()
    await stage.tell(Started(0.0), Paused(utterance(1.0)), Resumed(1.2))
    assert not stage.worker.busy
    stage.worker.gate.set()
    stage.mind.script = ["light on"]
    await stage.tell(Paused(utterance(2.0)), Ended(utterance(2.5)))
    assert stage.mind.understood == [2.0]
    assert stage.replies == [("a", "It is on.")]
    await stage.end()


async def test_an_utterance_that_ends_without_a_pause_is_understood_whole():
    stage = Stage("light on")
    await stage.tell(Started(0.0), Paused(utterance(1.0)), Resumed(1.2))
    stage.mind.script = ["light on"]
    await stage.tell(Ended(utterance(20.0, EndReason.MAX_UTTERANCE)))
    assert stage.mind.understood[-1] == 20.0
    assert stage.dialogue.counters.speculations_used == 0
    assert len(stage.replies) == 1
    await stage.end()


@pytest.mark.parametrize("reason", [EndReason.NO_SPEECH, EndReason.MUTED, EndReason.CANCELLED])
async def test_a_dropped_utterance_costs_nothing_and_says_why(reason: EndReason):
    stage = Stage("light on")
    stage.worker.gate.clear()
    await stage.tell(Started(0.0), Paused(utterance()), Dropped(reason))
    assert not stage.worker.busy
    assert stage.bus.said[-2:] == [
        ("event", "speech_end", "a", {"reason": reason.value, "dropped": True}),
        ("state", "idle", None),
    ]
    await stage.end()
    assert stage.replies == []
    assert stage.dialogue.counters.turns == 0


async def test_wordless_sound_gives_no_reply_and_no_error():
    stage = Stage("")
    await stage.tell(Started(0.0), Ended(utterance()))
    assert (stage.replies, stage.errors) == ([], [])
    assert stage.bus.states[-1] == ("idle", None)
    assert stage.dialogue.counters.wordless == 1
    await stage.end()


async def test_what_no_plugin_answers_the_model_does():
    stage = Stage("who was ada lovelace", answer="A mathematician.")
    await stage.tell(Started(0.0), Ended(utterance()))
    assert stage.replies == [("a", "A mathematician.")]
    assert stage.bus.named("event", "intent") == []
    await stage.end()


async def test_a_model_without_an_answer_says_so():
    stage = Stage("mumble", answer="")
    await stage.tell(Started(0.0), Ended(utterance()))
    assert stage.replies == [("a", NO_ANSWER)]
    await stage.end()


async def test_partials_are_numbered_and_skipped_while_the_engine_is_busy():
    stage = Stage("light on")
    await stage.tell(Started(0.0), progress(1.0))
    stage.worker.gate.clear()
    await stage.tell(progress(2.0), progress(3.0), progress(4.0))
    stage.worker.gate.set()
    await settle()
    await stage.tell(progress(5.0))
    said = [(seq, text) for _, _, seq, text in stage.bus.named("partial")]
    assert said == [(0, "1 seconds"), (1, "2 seconds"), (2, "5 seconds")]
    await stage.end()


async def test_a_partial_never_follows_the_end_of_speech():
    stage = Stage("light on")
    stage.worker.gate.clear()
    await stage.tell(Started(0.0), progress(1.0), Ended(utterance()))
    stage.worker.gate.set()
    await stage.end()
    assert stage.bus.named("partial") == []
    assert stage.replies == [("a", "It is on.")]


async def test_replies_keep_the_order_of_the_utterances():
    stage = Stage("one", "two", "three")
    stage.worker.gate.clear()
    for _ in range(3):
        await stage.tell(Started(0.0), Ended(utterance()))
    assert stage.replies == []
    stage.worker.gate.set()
    await stage.end()
    assert [turn for turn, _ in stage.replies] == ["a", "b", "c"]


async def test_the_state_stays_listening_when_an_earlier_turn_is_answered_meanwhile():
    stage = Stage("light on", "light on")
    stage.worker.gate.clear()
    await stage.tell(Started(0.0), Ended(utterance()), Started(3.0))
    assert stage.bus.states[-1] == ("listening", "b")
    stage.worker.gate.set()
    await settle()
    assert stage.replies == [("a", "It is on.")]
    assert stage.bus.states[-1] == ("listening", "b")
    await stage.tell(Dropped(EndReason.NO_SPEECH))
    assert stage.bus.states[-1] == ("idle", None)
    await stage.end()


async def test_cancel_gives_up_the_turn_in_hand_and_the_next_is_answered():
    stage = Stage("light on", "light on")
    stage.worker.gate.clear()
    await stage.tell(Started(0.0), Ended(utterance()))
    await stage.dialogue.cancel()
    assert stage.bus.states[-1] == ("idle", None)
    assert stage.dialogue.counters.cancelled == 1
    stage.worker.gate.set()
    await stage.tell(Started(3.0), Ended(utterance()))
    assert stage.replies == [("b", "It is on.")]
    await stage.end()


async def test_cancel_gives_up_the_turn_that_waits_too():
    stage = Stage("one", "two")
    stage.worker.gate.clear()
    await stage.tell(Started(0.0), Ended(utterance()), Started(2.0), Ended(utterance()))
    await stage.dialogue.cancel()
    assert stage.dialogue.counters.cancelled == 2
    stage.worker.gate.set()
    await stage.end()
    assert stage.replies == []
    assert not stage.worker.busy


async def test_cancel_while_somebody_speaks_leaves_the_microphone_to_the_listener():
    stage = Stage("light on")
    await stage.tell(Started(0.0))
    await stage.dialogue.cancel()
    assert stage.bus.states[-1] == ("listening", "a")
    await stage.end()


async def test_an_engine_that_fails_costs_one_turn():
    stage = Stage(RuntimeError("no memory"), "light on")
    await stage.tell(Started(0.0), Ended(utterance()), Started(2.0), Ended(utterance()))
    assert stage.errors == ["RuntimeError: no memory"]
    assert stage.replies == [("b", "It is on.")]
    assert stage.dialogue.counters.failed == 1
    await stage.end()


async def test_a_guess_that_failed_is_told_once_when_it_was_needed():
    stage = Stage(TransientError("the GPU is gone"), "light on")
    await stage.tell(Started(0.0), Paused(utterance()))
    assert stage.errors == []
    await stage.tell(Ended(utterance()))
    assert stage.errors == ["the GPU is gone"]
    assert stage.bus.states[-1] == ("idle", None)
    await stage.end()


async def test_a_turn_that_takes_too_long_is_given_up():
    stage = Stage("light on", timeout_s=0.01)
    stage.worker.gate.clear()
    await stage.tell(Started(0.0), Ended(utterance()))
    await stage.end()
    assert stage.errors == ["no answer within 0.01 s"]
    assert not stage.worker.busy
    assert stage.bus.states[-1] == ("idle", None)


async def test_a_plugin_that_fails_apologises_and_is_named_in_an_event(tmp_path: Path):
    broken = Plugin("broken")

    @broken.intent("break it")
    async def break_it(turn: Turn) -> str:
        raise ZeroDivisionError("on purpose")

    assistant = Assistant(tmp_path)
    assistant.add(broken)
    stage = Stage("break it", intents=await assistant.intents())
    await stage.tell(Started(0.0), Ended(utterance()))
    await stage.end()
    assert stage.replies == [("a", "The broken plugin failed.")]
    assert "ZeroDivisionError: on purpose at " in stage.errors[0]
    assert stage.dialogue.counters.failed == 1


async def test_the_end_of_the_source_waits_for_the_last_reply():
    stage = Stage("light on")
    stage.worker.gate.clear()
    await stage.tell(Started(0.0), Ended(utterance(1, EndReason.SOURCE_ENDED)))
    await stage.script.end()
    assert not stage._task.done()
    stage.worker.gate.set()
    await stage.end()
    assert stage.replies == [("a", "It is on.")]


async def test_a_stop_in_the_middle_leaves_nothing_running():
    stage = Stage("light on")
    stage.worker.gate.clear()
    await stage.tell(Started(0.0), Paused(utterance()), Ended(utterance()), Started(2.0))
    await stage.abandon()
    assert not stage.worker.busy
    assert stage.bus.states[-1] == ("idle", None)
    assert stage.replies == []


async def test_an_announcement_leaves_the_state_as_it_was():
    stage = Stage("light on")
    stage.dialogue.say("Dinner is ready.")
    assert stage.replies == [("a", "Dinner is ready.")]
    assert stage.bus.states == [("responding", "a"), ("idle", None)]
    await stage.tell(Started(0.0))
    stage.dialogue.say("Still ready.")
    assert stage.bus.states[-1] == ("listening", "b")
    await stage.end()


async def test_the_reply_tells_how_long_each_stage_took():
    stage = Stage("light on")
    replies = []
    stage.bus.relay = replies.append
    await stage.clock.advance(0.7)
    await stage.tell(Started(0.0), Ended(utterance()))
    await stage.end()
    timings = replies[0].timings_ms
    assert (timings.endpoint, timings.encode, timings.decode) == (700.0, 1.0, 2.0)
    assert (timings.handle, timings.total, replies[0].passes) == (0.0, 0.0, 3)


async def test_a_broken_source_is_the_supervisors_business():
    async def events() -> AsyncIterator[Started]:
        yield Started(0.0)
        raise TransientError("unplugged")

    stage = Stage()
    with pytest.raises(TransientError, match="unplugged"):
        await stage.dialogue.run(events())
    assert stage.bus.states[-1] == ("idle", None)
    await stage.end()


def test_turns_have_names_of_their_own():
    assert len({new_turn_id() for _ in range(1000)}) == 1000
