"""Plugins found, imported and checked; one that is broken is reported and the others go on."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from assistant.examples import broken_example
from assistant.origins import BrokenPluginError, Origin, find_origins, location
from assistant.plugin import API_VERSION, Handler, Plugin
from assistant.reach import check_filters
from assistant.settings import PluginSettings
from assistant.slots import SlotType, slot_types
from assistant.templates import Template, compile_template, declared_kinds

__all__ = ["BoundHandler", "LoadProblem", "LoadedPlugin", "load_plugins", "location"]


@dataclass(frozen=True, slots=True)
class LoadProblem:
    """Why a plugin, or a part of it, is not there."""

    plugin: str
    """Its name, or that of its file or entry point where the name is not known."""
    reason: str
    """One line that names file and line where there are any."""

    def __str__(self) -> str:
        return f"plugin {self.plugin}: {self.reason}"


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class BoundHandler:
    """A handler with its templates compiled for the plugin's configuration."""

    intent: str
    """`plugin.handler`."""
    plugin: str
    handler: Handler
    templates: tuple[Template, ...]

    def default(self, slot: str) -> Any:
        """Return the value of a slot that is left unsaid; None if it has to be said."""
        parameter = inspect.signature(self.handler.run).parameters.get(slot)
        unsaid = parameter is None or parameter.default is inspect.Parameter.empty
        return None if unsaid or parameter is None else parameter.default


@dataclass(frozen=True, slots=True, eq=False)
class LoadedPlugin:
    """A plugin that is ready."""

    plugin: Plugin
    config: Any
    handlers: tuple[BoundHandler, ...]
    topics: tuple[str, ...] | None = None
    """MQTT filters of what it may publish on; None for all but the assistant's own."""
    origin: str = ""
    """The file or entry point that it came from."""
    fingerprint: str = ""
    """Of that, when it was imported."""


class _Loading:
    """One look at everything there is."""

    def __init__(self, settings: PluginSettings, before: Sequence[LoadedPlugin]) -> None:
        self._settings, self._before = settings, before
        self.loaded: dict[str, LoadedPlugin] = {}
        self.problems: list[LoadProblem] = []

    def take_extra(self, plugin: Plugin) -> None:
        """Load a plugin that is imported already; it goes before all others of its name."""
        old = [each for each in self._before if each.plugin is plugin]
        try:
            self.loaded[plugin.name] = old[0] if old else self._bind(plugin)
        except BrokenPluginError as error:
            self.problems.append(LoadProblem(plugin.name, str(error)))

    def take(self, origin: Origin, extra: Sequence[str]) -> None:
        """Load what `origin` holds; if any of it is broken, what it held before stays whole."""
        old = [each for each in self._before if each.origin == origin.key]
        mark = origin.fingerprint()
        if old and all(each.fingerprint == mark for each in old):
            self._keep(old, extra)
            return
        if fixed := next((each for each in old if not each.plugin.reloadable), None):
            why = "has changed and cannot be reloaded: start the assistant again"
            self._refuse(fixed.plugin.name, f"{fixed.plugin.source} {why}")
            self._keep(old, extra)
            return
        sound, broken = self._read(origin, mark)
        self.problems += broken
        self._keep(old if broken and old else sound, extra)

    def finish(self) -> None:
        """Report configurations of plugins that are not there."""
        known = self.loaded.keys() | set(self._settings.disabled)
        known |= {problem.plugin for problem in self.problems}
        for table in ("config", "topics"):
            for name in getattr(self._settings, table).keys() - known:
                self._refuse(name, f"plugins.{table}.{name}: no plugin has this name")

    def _read(self, origin: Origin, mark: str) -> tuple[list[LoadedPlugin], list[LoadProblem]]:
        try:
            found = origin.load()
        except BrokenPluginError as error:
            return [], [LoadProblem(origin.label, str(error))]
        sound, broken = [], []
        for plugin in found:
            if plugin.name in self._settings.disabled:
                continue
            try:
                sound.append(self._bind(plugin, origin.key, mark))
            except BrokenPluginError as error:
                broken.append(LoadProblem(plugin.name, str(error)))
        return sound, broken

    def _keep(self, plugins: Sequence[LoadedPlugin], extra: Sequence[str]) -> None:
        for each in plugins:
            name = each.plugin.name
            if name in extra:
                continue
            if other := self.loaded.get(name):
                both = (
                    f"{each.plugin.source} is not loaded: {other.plugin.source} has the same name"
                )
                self._refuse(name, f"{both}; rename one of them")
            else:
                self.loaded[name] = each

    def _refuse(self, name: str, reason: str) -> None:
        self.problems.append(LoadProblem(name, reason))

    def _bind(self, plugin: Plugin, origin: str = "", mark: str = "") -> LoadedPlugin:
        settings = self._settings
        config, topics = settings.config.get(plugin.name), settings.topics.get(plugin.name)
        return _bind(plugin, config, topics, origin, mark)


def load_plugins(
    settings: PluginSettings,
    extra: Sequence[Plugin] = (),
    before: Sequence[LoadedPlugin] = (),
) -> tuple[list[LoadedPlugin], list[LoadProblem]]:
    """Load the plugins of the drop-in folder and of the installed packages.

    Of two plugins with one name the drop-in file is used, since a person put it there; the other
    is reported. `extra` plugins go before both and replace silently. Of the plugins loaded
    `before`, those whose files have not changed are given back as they are, and so are those
    whose new version is broken. Never raises for what a plugin does.
    """
    loading = _Loading(settings, before)
    wanted = [each for each in extra if each.name not in settings.disabled]
    for plugin in wanted:
        loading.take_extra(plugin)
    for origin in find_origins(settings):
        loading.take(origin, [plugin.name for plugin in wanted])
    loading.finish()
    return list(loading.loaded.values()), loading.problems


def _bind(
    plugin: Plugin,
    table: Mapping[str, Any] | None,
    granted: Sequence[str] | None,
    origin: str,
    fingerprint: str,
) -> LoadedPlugin:
    if plugin.api > API_VERSION:
        wanted = f"is written for plugin API {plugin.api}, this assistant has {API_VERSION}"
        raise BrokenPluginError(f"{plugin.source} {wanted}: update the assistant")
    config = _config(plugin, table)
    names = [handler.name for handler in plugin.handlers]
    for handler in plugin.handlers:
        if names.count(handler.name) > 1:
            twice = f"{handler.source} two handlers are named {handler.name!r}"
            raise BrokenPluginError(twice)
    handlers = _bind_handlers(plugin, config)
    _check_examples(plugin, handlers, as_configured=not table)
    topics = _topics(plugin, config, granted)
    return LoadedPlugin(plugin, config, handlers, topics, origin, fingerprint)


def _check_examples(
    plugin: Plugin, handlers: Sequence[BoundHandler], *, as_configured: bool
) -> None:
    """Insist on the examples, which are written for the plugin's default configuration."""
    if not as_configured:
        try:
            default = _config(plugin, None)
            handlers = _bind_handlers(plugin, default)
        except BrokenPluginError:
            return  # it has no default configuration: some setting must be given
    for bound in handlers:
        if reason := broken_example(bound):
            raise BrokenPluginError(f"{bound.handler.source} {bound.handler.name}: {reason}")


def _topics(plugin: Plugin, config: Any, granted: Sequence[str] | None) -> tuple[str, ...] | None:
    wanted = plugin.topics if granted is None else granted
    try:
        filters = wanted(config) if callable(wanted) else wanted
        return None if filters is None else check_filters(filters)
    except Exception as error:
        where = plugin.source if granted is None else f"plugins.topics.{plugin.name}"
        raise BrokenPluginError(f"{where} {error}") from error


def _config(plugin: Plugin, table: Mapping[str, Any] | None) -> Any:
    setting = f"plugins.config.{plugin.name}"
    if plugin.config_type is None:
        if table:
            raise BrokenPluginError(f"{setting}: this plugin has no configuration")
        return None
    if is_dataclass(plugin.config_type):
        known = {field.name for field in fields(plugin.config_type)}
        if unknown := sorted((table or {}).keys() - known):
            raise BrokenPluginError(f"{setting}.{unknown[0]}: no such setting")
    try:
        return TypeAdapter(plugin.config_type).validate_python(dict(table or {}))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, (setting, *first["loc"])))
        raise BrokenPluginError(f"{name}: {first['msg']}") from error


def _bind_handlers(plugin: Plugin, config: object) -> tuple[BoundHandler, ...]:
    known: dict[int, tuple[Any, SlotType]] = {}
    return tuple(_bind_handler(plugin, handler, config, known) for handler in plugin.handlers)


def _bind_handler(
    plugin: Plugin, handler: Handler, config: object, known: dict[int, tuple[Any, SlotType]]
) -> BoundHandler:
    try:
        _check_shape(handler)
        kinds = declared_kinds(handler.templates, plugin.rules)
        types = slot_types(handler.run, config, kinds, known)
        templates = tuple(
            compile_template(source, types, plugin.rules) for source in handler.templates
        )
        _check_slots(handler, templates)
    except Exception as error:
        raise BrokenPluginError(f"{handler.source} {error}") from error
    return BoundHandler(f"{plugin.name}.{handler.name}", plugin.name, handler, templates)


def _check_shape(handler: Handler) -> None:
    if not inspect.iscoroutinefunction(handler.run):
        raise TypeError(f"{handler.name} is not an async function")
    if not handler.templates:
        raise ValueError(f"{handler.name} has no template")
    if not inspect.signature(handler.run).parameters:
        raise TypeError(f"{handler.name} takes no turn: async def {handler.name}(turn: Turn, ...)")


def _check_slots(handler: Handler, templates: tuple[Template, ...]) -> None:
    """Insist that a parameter without a default is said in every wording."""
    for parameter in [*inspect.signature(handler.run).parameters.values()][1:]:
        for template in templates:
            needed = parameter.default is inspect.Parameter.empty
            if needed and parameter.name not in template.certain_slots:
                unsaid = f"template {template.source!r} can leave {parameter.name!r} unsaid"
                raise ValueError(f"{unsaid}: give it a default")
