"""The pytest plugin of plugin authors: `turn = await assistant.hear("turn on the lamp")`.

pytest finds it by itself where the assistant is installed. With pytest-asyncio a coroutine that
takes the fixture `assistant` is a test without further marks.
"""

import asyncio
import heapq
import inspect
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from assistant.answers import Ask
from assistant.errors import UserError
from assistant.intents import Intents, Reloaded
from assistant.loading import LoadedPlugin, load_plugins
from assistant.matching import Matcher
from assistant.outside import Collector
from assistant.plugin import Plugin
from assistant.settings import PluginSettings, Settings
from assistant.turn import Speaker, Turn
from assistant.voice import measure
from assistant.web import Response

if TYPE_CHECKING:
    from assistant.understanding import EngineMind

_SETTLE_ROUNDS = 20


class FakeClock:
    """A clock that stands still until `advance`; nobody sleeps for real."""

    def __init__(self) -> None:
        self._now_s = 0.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> float:
        """Seconds since the clock was made."""
        return self._now_s

    async def sleep(self, seconds: float) -> None:
        """Wait until `advance` has passed `seconds`."""
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now_s + seconds, next(self._order), future))
        await future

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass; everything due wakes in order and gets to run."""
        until = self._now_s + seconds
        await _settle()
        while self._sleepers and self._sleepers[0][0] <= until:
            self._now_s, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)
            await _settle()
        self._now_s = until


async def _settle() -> None:
    for _ in range(_SETTLE_ROUNDS):
        await asyncio.sleep(0)


@dataclass
class FakeHttp:
    """Web servers that answer what the test says: `http.answers["http://…"] = Response(200)`."""

    answers: dict[str, Response | Exception] = field(default_factory=dict)
    """By address; an exception is raised. What is not here cannot be reached."""
    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    """(method, address, what was sent)."""

    async def get(self, url: str, **_: Any) -> Response:
        """Answer as told."""
        return self._answer("GET", url, None)

    async def post(self, url: str, *, json: Any = None, data: Any = None, **_: Any) -> Response:
        """Answer as told."""
        return self._answer("POST", url, data if json is None else json)

    def _answer(self, method: str, url: str, sent: Any) -> Response:
        self.requests.append((method, url, sent))
        answer = self.answers.get(url, ConnectionRefusedError(f"no answer is set for {url}"))
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass
class FakeModel:
    """A language model that says what the test says: `model.answers["Name a fruit."] = "Figs."`."""

    answers: dict[str, str] = field(default_factory=dict)
    """By question, or by sentence with gaps."""

    async def ask(self, text: str) -> str:
        """Answer as told."""
        return self._answer(text)

    async def fill(self, turn_id: str, template: str) -> str:
        """Answer as told."""
        del turn_id
        return self._answer(template)

    def _answer(self, text: str) -> str:
        if text not in self.answers:
            raise ValueError(f"no answer of the model is set for {text!r}")
        return self.answers[text]


@dataclass
class FakeWorld(Collector):
    """An `Outside` that remembers, on a fake clock that starts on a Monday at nine."""

    clock: FakeClock = field(default_factory=FakeClock)
    http: FakeHttp = field(default_factory=FakeHttp)
    model: FakeModel = field(default_factory=FakeModel)
    started: datetime = field(default_factory=lambda: datetime(2026, 1, 5, 9).astimezone())

    def now(self) -> datetime:
        """Local time on the fake clock."""
        return self.started + timedelta(seconds=self.clock.now())


@dataclass(frozen=True, slots=True)
class HeardTurn:
    """What one sentence led to."""

    intent: str | None
    """`plugin.handler`, or None when no handler answered: the model would."""
    slots: Mapping[str, Any]
    """As they are published: durations in seconds, times as "HH:MM"."""
    reply: str | None
    ask: Ask | None
    error: str | None
    published: list[tuple[str, str]]
    """(topic, payload) of this turn."""
    scheduled: tuple[str, ...]
    """`plugin/name` of every callback that waits after this turn."""
    transcript: str = ""
    """The words that were heard."""


class _Installed:
    """The installed plugins, read once for all tests: nothing that is loaded ever changes."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], LoadedPlugin] = {}
        self._matched: list[LoadedPlugin] = []
        self._matcher = Matcher([])

    def load(
        self, settings: PluginSettings, extra: list[Plugin]
    ) -> tuple[list[LoadedPlugin], Matcher]:
        """Load as an assistant would; raises `UserError` for a plugin that is broken."""
        own = {plugin.name for plugin in extra}
        tables = {name: table for name, table in settings.config.items() if name not in own}
        key = repr((tables, settings.topics))
        before = [each for (which, _), each in self._known.items() if which == key]
        loaded, problems = load_plugins(settings, extra, before)
        if problems:
            raise UserError("; ".join(map(str, problems)))
        for each in loaded:
            if each.origin and not Path(each.origin).is_absolute():
                self._known[key, each.origin] = each
        if self._matched != loaded:
            self._matched, self._matcher = loaded, Matcher.of(loaded)
        return loaded, self._matcher


_INSTALLED = _Installed()


class Assistant:
    """The plugins of an assistant without microphone or broker; recordings are heard by nano."""

    def __init__(self, state_folder: Path, plugins: PluginSettings | None = None) -> None:
        self.world = FakeWorld()
        self._settings = plugins or PluginSettings(folder=state_folder / "no plugins")
        self._state_folder = state_folder
        self._intents: Intents | None = None
        self._extra: list[Plugin] = []
        self._mind: EngineMind | None = None
        self._ids = itertools.count(1)
        self._last_reply = ""

    @property
    def said(self) -> list[str]:
        """What plugins said unasked, in order."""
        return [text for _, text in self.world.said]

    @property
    def events(self) -> list[tuple[str, dict[str, Any]]]:
        """What plugins published as events: (kind, fields)."""
        return self.world.events

    @property
    def http(self) -> FakeHttp:
        """The web, as plugins see it."""
        return self.world.http

    @property
    def model(self) -> FakeModel:
        """The language model, as plugins see it."""
        return self.world.model

    def add(self, plugin: Plugin, **config: Any) -> None:
        """Load `plugin` in place of any other of its name; call before the first `hear`."""
        self._extra = [each for each in self._extra if each.name != plugin.name] + [plugin]
        tables = {**self._settings.config, plugin.name: config}
        self._settings = self._settings.model_copy(update={"config": tables})

    async def hear(
        self, said: str | Path, *, site: str = "default", speaker: Speaker | None = None
    ) -> HeardTurn:
        """Handle one sentence as if it had been spoken at `site`; a path is a recording of one.

        `speaker` is what its voice tells, where that is not to be measured.
        """
        intents = await self.intents()
        text, audio = str(said), None
        if isinstance(said, Path):
            text, audio = await self._transcribe(intents, said)

        def measured() -> Speaker:
            told = Speaker() if audio is None else measure(audio, text)
            return speaker or told

        before = len(self.world.published)
        turn_id = f"turn-{next(self._ids)}"
        turn = Turn(turn_id, site, text, last_reply=self._last_reply, measure=measured)
        result = await intents.handle(intents.match(text, site), turn)
        published = self.world.published[before:]
        if result is None:
            return HeardTurn(None, {}, None, None, None, published, intents.scheduled, text)
        self._last_reply = result.text
        answer = (result.intent, result.slots, result.text, result.ask, result.error)
        return HeardTurn(*answer, published, intents.scheduled, text)

    async def advance(self, seconds: float) -> None:
        """Let time pass: timers ring, callbacks run."""
        await self.intents()
        await self.world.clock.advance(seconds)

    async def restart(self) -> None:
        """Stop and start the assistant; only what plugins stored is kept."""
        intents = await self.intents()
        await intents.stop()
        await intents.start(self.world)

    async def reload(self) -> Reloaded:
        """Load the plugins whose files have changed."""
        return await (await self.intents()).reload()

    async def intents(self) -> Intents:
        """Return the started `Intents` behind this assistant."""
        if self._intents is None:
            loaded, matcher = _INSTALLED.load(self._settings, self._extra)
            self._intents = Intents(
                loaded,
                matcher=matcher,
                state_folder=self._state_folder,
                timeout_s=self._settings.timeout_s,
                reserved_topics=("assistant/#",),
                reload=lambda before: load_plugins(self._settings, self._extra, before),
            )
            await self._intents.start(self.world)
        return self._intents

    async def _transcribe(self, intents: Intents, recording: Path) -> tuple[str, NDArray[np.int16]]:
        """Hear a recording with the bundled model, as the daemon would."""
        from assistant.audio.files import load_audio
        from assistant.understanding import load_mind
        from assistant.worker import Cancel

        if self._mind is None:
            self._mind = load_mind(Settings(state_folder=self._state_folder), lambda: intents)
        samples = load_audio(recording, self._mind.longest_s).samples
        return self._mind.understand(Cancel(), samples).transcript, samples


@pytest.fixture
def assistant(tmp_path: Path, request: pytest.FixtureRequest) -> Assistant:
    """Give an assistant with an empty state folder and every plugin that is installed.

    Plugins of the test's own module are loaded too.
    """
    given = Assistant(tmp_path)
    for each in vars(request.module).values():
        if isinstance(each, Plugin):
            given.add(each)
    return given


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Collector, obj: object) -> None:
    """Have pytest-asyncio run the coroutines that take the fixture, however it is configured."""
    if not collector.config.pluginmanager.has_plugin("asyncio"):
        return
    if inspect.iscoroutinefunction(obj) and "assistant" in inspect.signature(obj).parameters:
        pytest.mark.asyncio(obj)
