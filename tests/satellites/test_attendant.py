"""The engine's side of a satellite's turn, with a fake intake in front of it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from assistant.answers import HandlerResult
from assistant.clock import SystemClock
from assistant.errors import TransientError
from assistant.mqtt.intake import Delivery
from assistant.mqtt.rooms import NOT_TOLD, AnswerPayload, QuestionPart
from assistant.plugin import Ask
from assistant.satellites.attendant import Attendant
from assistant.satellites.opus import encode
from assistant.settings import EngineSettings
from assistant.turn import EndReason
from tests.audio.support import hum
from tests.daemon.support import FakeIntents, FakeMind, FakeWorker

SOUND = encode(np.zeros(16_000, np.int16))
TIME = HandlerResult("clock.time", {"zone": "here"}, "It is nine.", 1.0)


@dataclass
class FakeIntake:
    """Deliveries put in by hand, answers kept in order."""

    queue: asyncio.Queue[Delivery] = field(default_factory=asyncio.Queue)
    said: list[tuple[str, AnswerPayload]] = field(default_factory=list)
    told: asyncio.Event = field(default_factory=asyncio.Event)
    acknowledged: list[str] = field(default_factory=list)
    elsewhere: set[str] = field(default_factory=set)
    broken: bool = False
    failed: asyncio.Event = field(default_factory=asyncio.Event)
    hear: Callable[[AnswerPayload], None] | None = None

    def overhear(self, hear: Callable[[AnswerPayload], None]) -> None:
        self.hear = hear

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def deliveries(self) -> AsyncIterator[Delivery]:
        while True:
            yield await self.queue.get()

    async def answer(self, site: str, answer: AnswerPayload) -> None:
        if self.broken and answer.kind != "taken":
            self.failed.set()
            raise TransientError("the broker is away")
        self.said.append((site, answer))
        self.told.set()

    def answered_elsewhere(self, turn: str) -> bool:
        return turn in self.elsewhere

    def deliver(self, turn: str, sound: bytes = SOUND, site: str = "kitchen", **more: Any) -> None:
        def acknowledge() -> None:
            self.acknowledged.append(turn)
            self.told.set()

        heard = Delivery(site, turn, sound, EndReason.SILENCE, acknowledge, **more)
        self.queue.put_nowait(heard)

    async def until(self, acknowledged: int) -> None:
        async with asyncio.timeout(5):
            while len(self.acknowledged) < acknowledged:
                self.told.clear()
                await self.told.wait()

    @property
    def kinds(self) -> list[str]:
        return [answer.kind.value for _, answer in self.said]


@asynccontextmanager
async def serving(
    *script: str | Exception, intents: Any = None, **settings: Any
) -> AsyncIterator[tuple[FakeIntake, FakeMind, FakeWorker]]:
    intake: Any = FakeIntake()
    mind, worker = FakeMind(*script), FakeWorker()
    intents = intents or FakeIntents({"what time is it": TIME})
    attendant = Attendant(
        intake, mind, intents, worker,
        name="engine-1", settings=EngineSettings(**settings), clock=SystemClock(),
    )  # fmt: skip
    task = asyncio.create_task(attendant.run())
    try:
        yield intake, mind, worker
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_an_utterance_is_taken_answered_and_only_then_acknowledged():
    async with serving("what time is it") as (intake, _, worker):
        worker.gate.clear()
        intake.deliver("t1")
        await intake.told.wait()
        assert (intake.kinds, intake.acknowledged) == (["taken"], [])
        worker.gate.set()
        await intake.until(1)
    [_, (site, answer)] = intake.said
    assert (site, answer.turn, answer.engine) == ("kitchen", "t1", "engine-1")
    assert answer.reply
    assert (answer.reply.text, answer.reply.intent) == ("It is nine.", "clock.time")
    assert (answer.reply.site, answer.reply.transcript) == ("kitchen", "what time is it")


async def test_what_the_voice_is_like_comes_over_the_wire():
    intents = FakeIntents({"what time is it": TIME})
    async with serving("what time is it", intents=intents) as (intake, _, _):
        intake.deliver("t1", encode(np.concatenate([hum(0.5, 0), hum(1, 9000, 150)])))
        await intake.until(1)
    voice = intents.turns[0].measure()
    assert voice.pitch_hz == pytest.approx(150, rel=0.02)
    assert voice.level_dbfs == pytest.approx(-14.2, abs=1)


async def test_an_utterance_that_comes_twice_is_understood_once():
    async with serving("what time is it") as (intake, mind, _):
        intake.deliver("t1")
        intake.deliver("t1")
        await intake.until(2)
        intake.deliver("t1")
        await intake.until(3)
        assert len(mind.understood) == 1
    assert intake.kinds == ["taken", "reply", "reply"]
    assert intake.said[1] == intake.said[2]


async def test_without_a_plugin_the_model_answers_and_silence_is_nothing():
    async with serving("who are you", "") as (intake, _, _):
        intake.deliver("t1")
        intake.deliver("t2")
        await intake.until(2)
    assert intake.kinds.count("nothing") == 1
    replies = [answer.reply for _, answer in intake.said if answer.reply]
    assert [(reply.text, reply.intent) for reply in replies] == [("It is so.", None)]


async def test_whatever_goes_wrong_is_an_answer_and_the_next_is_served():
    async with serving(ValueError("broken"), "what time is it") as (intake, _, _):
        for count, sound in enumerate([(b"no sound",), (), ()], 1):
            intake.deliver(f"t{count}", *sound)
            await intake.until(count)
    errors = [answer.error for _, answer in intake.said if answer.kind == "error"]
    assert errors[0].startswith("the sound is no Ogg/Opus")
    assert errors[1] == "ValueError: broken"
    assert intake.kinds[-1] == "reply"


async def test_what_another_engine_has_answered_is_dropped_before_anything_is_done():
    async with serving("what time is it") as (intake, _, _):
        intake.elsewhere.add("t1")
        intake.deliver("t1")
        await intake.until(1)
    assert intake.kinds == ["taken"]


async def test_an_answer_that_nobody_took_is_kept_for_the_next_time():
    async with serving("what time is it") as (intake, mind, _):
        intake.broken = True
        intake.deliver("t1")
        await asyncio.wait_for(intake.failed.wait(), 5)
        intake.broken = False
        intake.deliver("t1")
        await intake.until(1)
        assert len(mind.understood) == 1


async def test_a_question_is_told_with_its_reply_and_the_answer_names_it():
    ask = Ask("Which one?", expects=["this", "x" * 300], timeout=3600)
    which = HandlerResult("clock.which", {}, ask.text, 1.0, ask)
    intents = FakeIntents({"what time is it": TIME, "which clock": which})
    async with serving("which clock", "what time is it", intents=intents) as (intake, _, _):
        intake.deliver("t1")
        await intake.until(1)
        intake.deliver("t2", answers="t1")
        await intake.until(2)
    asked, answered = [answer for _, answer in intake.said if answer.reply]
    assert (asked.question, asked.answers) == (
        QuestionPart(expects=("this",), timeout_s=600, then=NOT_TOLD),
        None,
    )
    assert (answered.question, answered.answers) == (None, "t1")
    assert intents.answering == ["", "t1"]


async def test_only_the_intents_that_a_satellite_names_may_answer_its_turn():
    intents = FakeIntents({"what time is it": TIME})
    async with serving("what time is it", "what time is it", intents=intents) as (intake, _, _):
        intake.deliver("t1", only=("clock.date",))
        await intake.until(1)
        intake.deliver("t2")
        await intake.until(2)
    assert intents.limits == [("kitchen", ("clock.date",)), ("kitchen", None)]


async def test_what_another_engine_answers_is_noted_once_and_not_what_was_answered_here():
    intents = FakeIntents({"what time is it": TIME})
    async with serving("what time is it", intents=intents) as (intake, _, _):
        intake.deliver("t1")
        await intake.until(1)
        [_, (_, answer)] = intake.said
        intake.hear(answer)
        assert intents.overheard == []
        reply = answer.reply.model_copy(update={"turn": "t2"})
        question = QuestionPart(expects=("yes",), timeout_s=5)
        told = {"turn": "t2", "engine": "engine-2", "reply": reply, "question": question}
        intake.hear(answer.model_copy(update={**told, "answers": "t0"}))
    [(turn, text, asked, answers)] = intents.overheard
    assert (turn.id, turn.site, turn.transcript) == ("t2", "kitchen", "what time is it")
    assert (turn.intent, turn.slots, text) == ("clock.time", {"zone": "here"}, "It is nine.")
    assert (asked.expects, asked.timeout_s, answers) == (("yes",), 5, "t0")


async def test_what_was_said_before_an_engine_came_is_noted_when_the_satellite_tells_of_it():
    intents = FakeIntents({"what time is it": TIME})
    script = ["what time is it"] * 3
    async with serving(*script, intents=intents) as (intake, _, _):
        intake.deliver("t1")
        await intake.until(1)
        [_, (_, answer)] = intake.said

        def said(turn: str) -> AnswerPayload:
            reply = answer.reply.model_copy(update={"turn": turn})
            return answer.model_copy(update={"turn": turn, "reply": reply})

        intake.hear(said("t3"))
        intake.deliver("t5", said=(said("t2"), said("t3"), said("t4")))
        await intake.until(2)
        intake.hear(said("t4"))
        intake.deliver("t7", said=(said("t1"), said("t6")))
        await intake.until(3)
    assert [turn.id for turn, *_ in intents.overheard] == ["t3", "t4", "t6"]


async def test_a_turn_that_takes_too_long_is_told():
    async with serving("what time is it", timeout_s=0.05) as (intake, _, worker):
        worker.gate.clear()
        intake.deliver("t1")
        await intake.until(1)
    assert intake.said[-1][1].error == "no answer within 0.05 s"
