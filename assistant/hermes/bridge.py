"""Tells Hermes what the assistant does, and does what is asked for in Hermes."""

import asyncio
import json
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any
from uuid import uuid4

from assistant.clock import Clock
from assistant.hermes import topics, words
from assistant.hermes.door import Door
from assistant.hermes.recogniser import Match, Recogniser
from assistant.hermes.session import Session, Termination
from assistant.hermes.switches import Heed, Switches
from assistant.hermes.wishes import (
    ContinueSession,
    EndSession,
    Init,
    Query,
    SayWish,
    StartSession,
    Woken,
)
from assistant.mqtt.bus import Bus
from assistant.mqtt.commands import Cancel, Listen, Say
from assistant.mqtt.envelope import JSON, Envelope
from assistant.mqtt.payloads import Activity, EventType, ReplyPayload
from assistant.recent import Recent
from assistant.turn import EndReason

WAIT_S = 3.0
"""After an answer, others have so long to continue the session or to say a last word."""
OPEN_S = 5.0
"""A session whose listening has not begun by then is an error: the microphone is muted, or gone."""
_QUEUED = 8
_REASONS = {EndReason.NO_SPEECH: Termination.TIMEOUT}


class Bridge:
    """One site's side of Hermes: its dialogue manager, its recogniser and its voice.

    Every turn is a session. It stays open for `WAIT_S` after the answer, so that a flow can end it
    with a sentence of its own, or continue it. There is one session at a time; others wait.
    """

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        *,
        new_id: Callable[[], str] = lambda: uuid4().hex,
    ) -> None:
        """`new_id` names sessions that begin without a turn."""
        self._bus, self._clock, self._new_id = bus, clock, new_id
        self._site = bus.topics.site
        self._session: Session | None = None
        self._queue: deque[Session] = deque()
        self._own_says: Recent[str, None] = Recent(64)
        """Names of what was told in Hermes from here, and comes back from the broker."""
        self._own_words: Recent[str, None] = Recent(16)
        """Turns whose wake word was told in Hermes from here, and comes back, too."""
        self._told: Recent[str, None] = Recent(16)
        """Texts that Hermes knows already, of replies that are still to come."""
        self._timer: asyncio.Task[None] | None = None
        self._recogniser = Recogniser(self._site, self._tell)
        bus.watch(self)
        door = Door(bus, clock)
        self._switches, listen = Switches(door, clock), door.listen
        listen(topics.START_SESSION, StartSession, self._start)
        listen(topics.CONTINUE_SESSION, ContinueSession, self._continue)
        listen(topics.END_SESSION, EndSession, self._end_by_wish)
        listen(topics.SAY, SayWish, self._say_by_wish)
        listen(topics.QUERY, Query, self._recogniser.query)
        listen(topics.WOKEN, Woken, self._wake)

    def connect(
        self,
        limit: Callable[[Collection[str] | None], None],
        heed: Heed,
        match: Callable[[str], Sequence[Match]] | None = None,
    ) -> None:
        """Answer queries with the handlers that `match` gives for some words, best first.

        `limit` is told the only intents that may be answered at this site; None for all. `heed`
        is told what may open an utterance. Before this, and where there is no `match`, queries are
        refused.
        """
        self._recogniser.connect(limit, match)
        self._switches.connect(heed)

    def event(self, kind: EventType, turn: str | None, details: Mapping[str, Any]) -> None:
        """Take what happened."""
        session = self._session
        if kind is EventType.WAKE and turn is not None:
            self._own_words.put(turn, None)
            self._tell(topics.detected("default"), words.woken(self._site, turn))
        elif kind is EventType.SPEECH_START and turn is not None:
            self._hear(turn)
        elif session is None or turn is None or turn != session.turn:
            return
        elif kind is EventType.SPEECH_END:
            self._tell(topics.STOP_LISTENING, words.place(session, self._site))
            session.seconds = details.get("seconds", 0.0)
            if details.get("dropped"):
                self._end(_REASONS.get(details["reason"], Termination.ABORTED_BY_USER))
        elif kind is EventType.ERROR:
            session.error = str(details.get("message", ""))

    def reply(self, reply: ReplyPayload) -> None:
        """Take what was answered, or said unasked."""
        session = self._session
        if session is None and reply.transcript:
            session = self._begin(Session(reply.turn, turn=reply.turn))
        if session is None or session.turn != reply.turn or not reply.transcript:
            self._speak(reply.text, None)
            return
        recognized = self._answer(session, reply)
        self._speak(reply.text, session.id)
        self._conclude(session, recognized=recognized)

    def state(self, activity: Activity) -> None:
        """Take what goes on: a turn that ends in nothing ends its session."""
        session = self._session
        if activity is not Activity.IDLE or session is None or session.turn is None:
            return
        if session.error is not None:
            told = {"error": session.error, "context": None, **words.place(session, self._site)}
            self._tell(topics.FAILED, told)
            self._end(Termination.ERROR)
        else:
            self._tell_not_recognized(session, "")
            self._conclude(session, recognized=False)

    def _hear(self, turn: str) -> None:
        """Somebody speaks: to the session that waits for it, or to a new one."""
        session = self._session
        if session is not None and session.answered:
            self._end(Termination.NOMINAL)
            session = self._session
        if session is None:
            session = self._begin(Session(turn))
        self._cancel_timer()
        session.turn, session.error, session.answered = turn, None, False
        listening = {"stopOnSilence": True, "sendAudioCaptured": False, "wakewordId": None}
        self._tell(topics.START_LISTENING, {**words.place(session, self._site), **listening})

    def _answer(self, session: Session, reply: ReplyPayload) -> bool:
        """Tell what was heard; gives whether it is an intent that the session is about."""
        self._tell(topics.TEXT_CAPTURED, words.captured(session, reply))
        if reply.intent is None or not session.wants(reply.intent):
            self._tell_not_recognized(session, reply.transcript)
            return False
        self._tell(topics.intent(reply.intent), words.recognized(session, reply))
        return True

    def _tell_not_recognized(self, session: Session, heard: str) -> None:
        told = words.not_recognized(session, self._site, heard)
        self._tell(topics.NOT_RECOGNIZED, told)
        if session.send_not_recognized:
            self._tell(topics.NOT_RECOGNIZED_IN_SESSION, told)

    def _conclude(self, session: Session, *, recognized: bool) -> None:
        """End the session, or let others decide for a while what becomes of it."""
        otherwise = Termination.NOMINAL if recognized else Termination.NOT_RECOGNIZED
        session.answered, session.turn = True, None
        if recognized or session.send_not_recognized:
            self._after(WAIT_S, partial(self._end, otherwise))
        else:
            self._end(otherwise)

    def _wake(self, wish: Woken) -> None:
        """Listen, as others have heard a wake word, unless it was heard here."""
        if wish.session is None or wish.session not in self._own_words:
            self._bus.obey(Listen())

    def _start(self, wish: StartSession) -> None:
        init = wish.init
        session = Session(
            self._new_id(), wish.custom_data, init.intent_filter, init.send_not_recognized,
            opening=init.text,
        )  # fmt: skip
        if init.type == "notification":
            self._tell(topics.STARTED, words.started(session, self._site))
            self._speak_now(session)
            self._tell(topics.ENDED, words.ended(session, self._site, Termination.NOMINAL))
        elif self._session is None:
            self._open(session)
        else:
            self._enqueue(session, init)

    def _enqueue(self, session: Session, init: Init) -> None:
        if init.can_be_enqueued and len(self._queue) < _QUEUED:
            self._queue.append(session)
            self._tell(topics.QUEUED, words.started(session, self._site))
        else:
            self._tell(topics.ENDED, words.ended(session, self._site, Termination.ERROR))

    def _open(self, session: Session) -> None:
        self._begin(session)
        self._speak_now(session)
        self._ask_to_listen()

    def _ask_to_listen(self) -> None:
        self._bus.obey(Listen())
        self._after(OPEN_S, partial(self._end, Termination.ERROR))

    def _continue(self, wish: ContinueSession) -> None:
        session = self._session
        if session is None or session.id != wish.session:
            return
        session.custom_data = wish.custom_data or session.custom_data
        named = wish.intent_filter
        session.intent_filter = self._switches.default_filter if named is None else named
        self._recogniser.limit(session.intent_filter)
        session.send_not_recognized = wish.send_not_recognized
        session.opening, session.answered, session.turn = wish.text, False, None
        self._speak_now(session)
        self._ask_to_listen()

    def _end_by_wish(self, wish: EndSession) -> None:
        session = self._session
        if session is None or session.id != wish.session:
            return
        session.custom_data = wish.custom_data or session.custom_data
        if not session.answered:
            self._bus.obey(Cancel())
        session.opening = wish.text
        self._speak_now(session)
        self._end(Termination.NOMINAL)

    def _say_by_wish(self, wish: SayWish) -> None:
        if wish.id is not None and wish.id in self._own_says:
            return
        if wish.text:
            self._told.put(wish.text, None)
            self._bus.obey(Say(text=wish.text))
            self._tell(topics.SAID, words.said(self._site, wish.id, wish.session))

    def _speak_now(self, session: Session) -> None:
        """Say what a session begins or ends with; the reply then finds it said in Hermes."""
        if session.opening:
            self._told.put(session.opening, None)
            self._bus.obey(Say(text=session.opening))
            self._announce(session.opening, session.id)

    def _speak(self, text: str, session: str | None) -> None:
        """Tell a reply in Hermes, unless it came from there."""
        if text in self._told:
            self._told.drop(text)
        else:
            self._announce(text, session)

    def _announce(self, text: str, session: str | None) -> None:
        identity = self._new_id()
        self._own_says.put(identity, None)
        self._tell(topics.SAY, words.say(text, self._site, identity, session))
        self._tell(topics.SAID, words.said(self._site, identity, session))

    def _begin(self, session: Session) -> Session:
        self._session = session
        if session.intent_filter is None:
            session.intent_filter = self._switches.default_filter
        self._recogniser.limit(session.intent_filter)
        self._tell(topics.HOTWORD_OFF, words.toggled(self._site))
        self._tell(topics.STARTED, words.started(session, self._site))
        return session

    def _end(self, why: Termination) -> None:
        session, self._session = self._session, None
        self._recogniser.limit(self._switches.default_filter)
        self._cancel_timer()
        if session is not None:
            self._tell(topics.ENDED, words.ended(session, self._site, why))
            self._tell(topics.HOTWORD_ON, words.toggled(self._site))
        if self._queue:
            self._open(self._queue.popleft())

    def _after(self, seconds: float, work: Callable[[], None]) -> None:
        async def later() -> None:
            await self._clock.sleep(seconds)
            self._timer = None
            work()

        self._cancel_timer()
        self._timer = asyncio.create_task(later(), name="hermes timer")

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tell(self, topic: str, payload: words.Payload) -> None:
        body = json.dumps(payload, ensure_ascii=False, default=str).encode()
        self._bus.post(topic, body, Envelope(WAIT_S * 10, JSON))
