"""The plugins that run: started, asked, replaced by newer versions, stopped."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import structlog

from assistant import tools
from assistant.answers import Ask, Reply
from assistant.breaker import REST_S, Breaker
from assistant.clock import SystemClock
from assistant.handling import HandlerFailedError, PluginRuntime
from assistant.loading import BoundHandler, LoadedPlugin
from assistant.matching import Match
from assistant.outside import Outside
from assistant.reach import Allowance
from assistant.stage import BlockedError, OwnThread, SameLoop, Stage
from assistant.store import Store

_log = structlog.get_logger(__name__)

Answered = tuple[str, Ask | None, str | None]
"""What is said (nothing: declined), the question if it is one, and why the handler failed."""


class Player:
    """One version of one plugin, on its stage."""

    def __init__(
        self, loaded: LoadedPlugin, stage: Stage, runtime: PluginRuntime, outside: Outside
    ) -> None:
        self.loaded, self._stage, self._runtime, self._outside = loaded, stage, runtime, outside
        self._breakers: dict[str, Breaker] = {}
        self._ready = asyncio.Event()
        self._turns: set[asyncio.Future[None]] = set()

    @property
    def grammar(self) -> tuple[Mapping[str, str], Any]:
        """The rules of its templates, and its configuration."""
        return self.loaded.plugin.rules, self.loaded.config

    @property
    def scheduled(self) -> tuple[str, ...]:
        """The names of the callbacks that wait."""
        return self._runtime.scheduled

    async def start(self) -> None:
        """Run the `on_start` hooks; turns wait for them."""
        await self._hooks(self._runtime.start, len(self.loaded.plugin.start_hooks))
        self._ready.set()

    async def stop(self) -> None:
        """Let running turns end, then run the `on_stop` hooks and leave the stage."""
        if self._turns:
            await asyncio.wait(self._turns)
        await self._hooks(self._runtime.stop, len(self.loaded.plugin.stop_hooks))
        await self._stage.close()

    def rests(self, match: Match) -> bool:
        """Whether the handler failed too often of late."""
        return self._breaker(match).open

    async def answer(self, match: Match, site: str, seen: Mapping[str, Any]) -> Answered:
        """Ask the handler, and if that fails its fallback.

        Raises `HandlerFailedError` when there is no fallback, or that fails, too.
        """
        await self._ready.wait()
        under_way: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turns.add(under_way)
        try:
            if self.rests(match):
                return *await self._fall_back(match, site, seen), None
            try:
                answer = await self._run(match.bound.handler.run, match, site, seen)
            except HandlerFailedError as failure:
                await self._failed(match, str(failure))
                if match.bound.handler.fallback is None:
                    raise
                return *await self._fall_back(match, site, seen), str(failure)
            await self._succeeded(match)
            return *answer, None
        finally:
            self._turns.discard(under_way)
            under_way.set_result(None)

    async def _fall_back(
        self, match: Match, site: str, seen: Mapping[str, Any]
    ) -> tuple[str, Ask | None]:
        fallback = match.bound.handler.fallback
        if isinstance(fallback, str):
            return fallback, None
        assert fallback is not None  # noqa: S101 - for the type checker: the caller looked
        return await self._run(fallback, match, site, seen)

    async def _run(
        self,
        handler: Callable[..., Awaitable[Any]],
        match: Match,
        site: str,
        seen: Mapping[str, Any],
    ) -> tuple[str, Ask | None]:
        runtime, timeout_s = self._runtime, match.bound.handler.timeout_s

        async def work() -> Any:
            fields = {**runtime.tools(site), **runtime.model(seen["id"]), **seen}
            turn: tools.Turn[Any] = tools.Turn(**fields)
            return await handler(turn, **match.slots)

        def call() -> Any:
            return runtime.run(work(), match.intent, timeout_s)

        try:
            answer = await self._stage.call(call, runtime.limit_s(timeout_s))
        except BlockedError as error:
            raise HandlerFailedError(f"{match.intent} {error}") from error
        return _checked(answer, match)

    async def _hooks(self, run: Callable[[], Any], count: int) -> None:
        try:
            await self._stage.call(run, self._runtime.limit_s(None) * max(1, count))
        except BlockedError as error:
            name = self.loaded.plugin.name
            _log.error("plugin failed", plugin=name, reason=str(error))
            await self._outside.event("error", {"reason": f"{name} {error}"}, plugin=name)

    async def _failed(self, match: Match, reason: str) -> None:
        if self._breaker(match).failed():
            rest = f"{match.intent} failed again and again and rests for {REST_S:g} s: {reason}"
            _log.error("handler rests", handler=match.intent, seconds=REST_S)
            await self._outside.event("error", {"reason": rest}, plugin=match.bound.plugin)

    async def _succeeded(self, match: Match) -> None:
        if self._breaker(match).succeeded():
            _log.info("handler works again", handler=match.intent)
            fields = {"handler": match.intent}
            await self._outside.event("recovered", fields, plugin=match.bound.plugin)

    def _breaker(self, match: Match) -> Breaker:
        return self._breakers.setdefault(match.intent, Breaker(self._outside.clock.now))


class Cast:
    """Every plugin that runs, and the older versions that still end a turn."""

    def __init__(self, state_folder: Path, timeout_s: float, reserved: tuple[str, ...]) -> None:
        """`reserved` are filters of topics that no plugin publishes on unless it is allowed to."""
        self._folder, self._timeout_s, self._reserved = state_folder, timeout_s, reserved
        self._outside: Outside | None = None
        self._threads = False
        self._players: dict[str, Player] = {}
        self._of: WeakKeyDictionary[BoundHandler, Player] = WeakKeyDictionary()
        self._stores: dict[str, Store] = {}

    def now(self) -> float:
        """Seconds on the clock of everything that plugins wait for."""
        return (self._outside.clock if self._outside else SystemClock()).now()

    @property
    def scheduled(self) -> tuple[str, ...]:
        """`plugin/name` of every callback that waits."""
        return tuple(f"{n}/{w}" for n, player in self._players.items() for w in player.scheduled)

    def open(self, outside: Outside, *, threads: bool) -> None:
        """Let plugins reach `outside`, each on a thread of its own if `threads`."""
        self._outside, self._threads = outside, threads
        self._stores.clear()

    def find(self, bound: BoundHandler) -> Player | None:
        """Say who plays this handler; nobody, if its version is no longer there."""
        return self._of.get(bound)

    def adopt(self, bound: BoundHandler, player: Player) -> None:
        """Let `player` play a handler that was made after it was loaded."""
        self._of[bound] = player

    async def replace(self, plugins: Sequence[LoadedPlugin]) -> None:
        """Run these plugins, and stop those that are not among them.

        Of a plugin that changes, the old version has stopped before the new one starts; turns
        that come meanwhile wait for the new one.
        """
        before, self._players = self._players, {}
        old, new = {}, {}
        for loaded in plugins:
            name = loaded.plugin.name
            player = before.get(name)
            if player is None or player.loaded is not loaded:
                player = new[name] = self._engage(loaded)
            self._players[name] = player
        old = {name: each for name, each in before.items() if self._players.get(name) is not each}
        names = dict.fromkeys((*old, *new))
        await asyncio.gather(*(self._change(old.get(name), new.get(name)) for name in names))

    async def tell(self, kind: str, plugin: str, **fields: Any) -> None:
        """Publish an event about a plugin."""
        if self._outside is not None:
            await self._outside.event(kind, fields, plugin=plugin)

    async def _change(self, old: Player | None, new: Player | None) -> None:
        if old is not None:
            await old.stop()
            for bound in old.loaded.handlers:
                self._of.pop(bound, None)
        if new is not None:
            await new.start()

    def _engage(self, loaded: LoadedPlugin) -> Player:
        assert self._outside is not None  # noqa: S101 - for the type checker: `open` comes first
        name = loaded.plugin.name
        stage: Stage = OwnThread(name) if self._threads else SameLoop()
        store = self._stores.setdefault(name, Store(self._folder / "plugins" / f"{name}.json"))
        allowance = Allowance(name, loaded.topics, self._reserved)
        reach = stage.reach(self._outside)
        runtime = PluginRuntime(loaded, reach, store, allowance, self._timeout_s)
        player = Player(loaded, stage, runtime, self._outside)
        for bound in loaded.handlers:
            self._of[bound] = player
        return player


def _checked(answer: object, match: Match) -> tuple[str, Ask | None]:
    """Check what a handler returned; the empty text declines."""
    text, ask = _text_and_ask(answer, match)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        wrong = f"{match.intent} returned {text!r:.80}, which has half a character"
        raise HandlerFailedError(f"{wrong} at {match.bound.handler.source}") from error
    return text, ask


def _text_and_ask(answer: object, match: Match) -> tuple[str, Ask | None]:
    match answer:
        case None:
            return "", None
        case Reply(text=str() as text) if text:
            return text, None
        case Ask(text=str() as text) if text:
            return text, answer
        case str() if answer:
            return answer, None
    returned = f"{match.intent} returned {answer!r:.80}, not a Reply, an Ask, a text or None"
    raise HandlerFailedError(f"{returned} at {match.bound.handler.source}")
