"""Plugins found, imported and checked; one that is broken is reported and the others go on."""

import importlib.util
import inspect
import itertools
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from assistant.plugin import API_VERSION, Handler, Plugin
from assistant.settings import PluginSettings
from assistant.slots import slot_types
from assistant.templates import Template, compile_template

ENTRY_POINT_GROUP = "assistant.plugins"


@dataclass(frozen=True, slots=True)
class LoadProblem:
    """Why a plugin, or a part of it, is not there."""

    plugin: str
    """Its name, or that of its file or entry point where the name is not known."""
    reason: str
    """One line that names file and line where there are any."""

    def __str__(self) -> str:
        return f"plugin {self.plugin}: {self.reason}"


class _BrokenPluginError(Exception):
    """What is wrong with one plugin, in one line."""


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class LoadedPlugin:
    """A plugin that is ready."""

    plugin: Plugin
    config: Any
    handlers: tuple[BoundHandler, ...]


def load_plugins(
    settings: PluginSettings, extra: Sequence[Plugin] = ()
) -> tuple[list[LoadedPlugin], list[LoadProblem]]:
    """Load the plugins of the drop-in folder and of the installed packages.

    Of two plugins with one name the drop-in file is used, since a person put it there; the other
    is reported. `extra` plugins go before both and replace silently. Never raises for what a
    plugin does.
    """
    loaded: dict[str, LoadedPlugin] = {}
    problems = []
    for label, found in itertools.chain(((each.name, each) for each in extra), _found(settings)):
        if isinstance(found, LoadProblem):
            problems.append(found)
            continue
        if found.name in settings.disabled:
            continue
        if other := loaded.get(found.name):
            if other.plugin in extra:
                continue
            both = f"{found.source} is not loaded: {other.plugin.source} has the same name"
            problems.append(LoadProblem(found.name, f"{both}; rename one of them"))
            continue
        try:
            loaded[found.name] = _bind(found, settings.config.get(found.name))
        except _BrokenPluginError as error:
            problems.append(LoadProblem(found.name or label, str(error)))
    known = loaded.keys() | set(settings.disabled) | {problem.plugin for problem in problems}
    problems += [
        LoadProblem(name, f"plugins.config.{name}: no plugin has this name")
        for name in settings.config.keys() - known
    ]
    return list(loaded.values()), problems


def location(error: BaseException, file: str | None = None) -> str:
    """Say where `error` was raised, as `file:line`: innermost in `file` if that took part."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == file] or frames
    return f"{own[-1].filename}:{own[-1].lineno}" if own else file or "an unknown place"


def _found(settings: PluginSettings) -> Iterator[tuple[str, Plugin | LoadProblem]]:
    if settings.folder.is_dir():
        for path in sorted(settings.folder.glob("*.py")):
            if not path.name.startswith(("_", "test_")) and path.stem != "conftest":
                for found in _from_file(path):
                    yield path.stem, found
    points = {(point.name, point.value): point for point in entry_points(group=ENTRY_POINT_GROUP)}
    for (name, _), point in sorted(points.items()):
        if name not in settings.disabled:
            yield name, _from_entry_point(point)


def _from_file(path: Path) -> list[Plugin | LoadProblem]:
    name = f"assistant_drop_in_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        return [LoadProblem(path.stem, f"{path} is not a Python file")]
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # annotations of its handlers are looked up there
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may raise anything
        del sys.modules[name]
        return [LoadProblem(path.stem, _import_failed(error, str(path)))]
    plugins = [value for value in vars(module).values() if isinstance(value, Plugin)]
    missing = LoadProblem(path.stem, f"{path}:1 has no module-level Plugin(...)")
    return [*dict.fromkeys(plugins)] or [missing]


def _from_entry_point(point: EntryPoint) -> Plugin | LoadProblem:
    try:
        found = point.load()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may raise anything
        spec = _spec(point.module)
        return LoadProblem(point.name, _import_failed(error, spec.origin if spec else None))
    if isinstance(found, Plugin):
        return found
    return LoadProblem(point.name, f"{point.value} is a {type(found).__name__}, not a Plugin")


def _spec(module: str) -> Any:
    try:
        return importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None


def _import_failed(error: BaseException, file: str | None) -> str:
    return f"cannot be imported: {type(error).__name__}: {error} at {location(error, file)}"


def _bind(plugin: Plugin, table: Mapping[str, Any] | None) -> LoadedPlugin:
    if plugin.api > API_VERSION:
        wanted = f"is written for plugin API {plugin.api}, this assistant has {API_VERSION}"
        raise _BrokenPluginError(f"{plugin.source} {wanted}: update the assistant")
    config = _config(plugin, table)
    names = [handler.name for handler in plugin.handlers]
    for handler in plugin.handlers:
        if names.count(handler.name) > 1:
            twice = f"{handler.source} two handlers are named {handler.name!r}"
            raise _BrokenPluginError(twice)
    handlers = tuple(_bind_handler(plugin, handler, config) for handler in plugin.handlers)
    return LoadedPlugin(plugin, config, handlers)


def _config(plugin: Plugin, table: Mapping[str, Any] | None) -> Any:
    setting = f"plugins.config.{plugin.name}"
    if plugin.config_type is None:
        if table:
            raise _BrokenPluginError(f"{setting}: this plugin has no configuration")
        return None
    if is_dataclass(plugin.config_type):
        known = {field.name for field in fields(plugin.config_type)}
        if unknown := sorted((table or {}).keys() - known):
            raise _BrokenPluginError(f"{setting}.{unknown[0]}: no such setting")
    try:
        return TypeAdapter(plugin.config_type).validate_python(dict(table or {}))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, (setting, *first["loc"])))
        raise _BrokenPluginError(f"{name}: {first['msg']}") from error


def _bind_handler(plugin: Plugin, handler: Handler, config: object) -> BoundHandler:
    try:
        _check_shape(handler)
        types = slot_types(handler.run, config)
        templates = tuple(
            compile_template(source, types, plugin.rules) for source in handler.templates
        )
        _check_slots(handler, templates)
    except Exception as error:
        raise _BrokenPluginError(f"{handler.source} {error}") from error
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
                raise ValueError(f"{unsaid}: give the parameter a default")
