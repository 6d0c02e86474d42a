"""Where plugins come from: the drop-in folder's files, and entry points of installed packages."""

import asyncio
import contextlib
import hashlib
import importlib
import importlib.util
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from importlib.util import cache_from_source
from pathlib import Path
from types import ModuleType

import structlog

from assistant.clock import Clock
from assistant.phrasebook import PhrasebookError, read_phrasebook
from assistant.plugin import Plugin
from assistant.settings import PluginSettings
from assistant.stage import place_of

SLOW_IMPORT_S = 5.0
"""How long a plugin may be imported before that is told."""
POLL_S = 0.5
"""How often files are looked at by `on_change`."""
ENTRY_POINT_GROUP = "assistant.plugins"
_MAX_MODULE_FILES = 200
_imported: dict[str, str] = {}
"""The fingerprint of each entry point when it was imported, as `sys.modules` holds it."""


_log = structlog.get_logger(__name__)


class BrokenPluginError(Exception):
    """What is wrong with one plugin, in one line."""


@dataclass(frozen=True, slots=True)
class Origin:
    """One file or entry point, not imported yet."""

    label: str
    """Its name, until that of its plugin is known."""
    key: str
    """Tells it from all others."""
    files: tuple[Path, ...]
    """What it is made of."""
    load: Callable[[], list[Plugin]]
    """Import it anew; raises `BrokenPluginError`, and then what was imported before stays."""

    def fingerprint(self) -> str:
        """Another one when a file has changed."""
        digest = hashlib.sha256()
        for path in self.files:
            with contextlib.suppress(OSError):
                digest.update(path.read_bytes())
            digest.update(b"\0")
        return digest.hexdigest()


def find_origins(settings: PluginSettings) -> Iterator[Origin]:
    """Find the drop-in files by name, then the entry points, but for the disabled ones."""
    if settings.folder.is_dir():
        for path in sorted(settings.folder.glob("*.py")):
            if not path.name.startswith(("_", "test_")) and path.stem != "conftest":
                yield _of_file(path)
        for path in sorted(settings.folder.glob("*.toml")):
            if not path.name.startswith(("_", ".")) and path.stem != "pyproject":
                yield _of_phrasebook(path)
    if not settings.installed:
        return
    points = {(point.name, point.value): point for point in entry_points(group=ENTRY_POINT_GROUP)}
    for (name, _), point in sorted(points.items()):
        if name not in settings.disabled:
            yield _of_entry_point(point)


async def on_change(
    settings: PluginSettings, clock: Clock, act: Callable[[], Awaitable[object]]
) -> None:
    """Call `act` now, and whenever a plugin's file was changed, added or removed; for ever."""
    seen = await asyncio.to_thread(_sizes_and_times, settings)
    await act()  # something may have changed between the first import and this
    while True:
        await clock.sleep(POLL_S)
        now = await asyncio.to_thread(_sizes_and_times, settings)
        if now != seen:
            seen = now
            await act()


def _sizes_and_times(settings: PluginSettings) -> dict[Path, tuple[int, int]]:
    found = {}
    for origin in find_origins(settings):
        for path in origin.files:
            with contextlib.suppress(OSError):
                about = path.stat()
                found[path] = (about.st_size, about.st_mtime_ns)
    return found


def location(error: BaseException, file: str | None = None) -> str:
    """Say where `error` was raised, as `file:line`: innermost in `file` if that took part."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == file] or frames
    return f"{own[-1].filename}:{own[-1].lineno}" if own else file or "an unknown place"


def _of_file(path: Path) -> Origin:
    def load() -> list[Plugin]:
        name = f"assistant_drop_in_{path.stem}"
        module = ModuleType(name)
        module.__file__ = str(path)
        with _replacing({name}):
            sys.modules[name] = module  # annotations of its handlers are looked up there
            try:
                # compiled here: Python's cache takes a file saved twice in a second for the old one
                code = compile(path.read_bytes(), str(path), "exec")
                with _watched(str(path)):
                    exec(code, vars(module))  # noqa: S102 - a plugin is code that the user put there
            except (Exception, SystemExit) as error:
                raise BrokenPluginError(_import_failed(error, str(path))) from error
            found = [value for value in vars(module).values() if isinstance(value, Plugin)]
            if not found:
                raise BrokenPluginError(f"{path}:1 has no module-level Plugin(...)")
        return [*dict.fromkeys(found)]

    return Origin(path.stem, str(path), (path,), load)


def _of_phrasebook(path: Path) -> Origin:
    def load() -> list[Plugin]:
        try:
            return [read_phrasebook(path)]
        except (PhrasebookError, OSError) as error:
            raise BrokenPluginError(str(error)) from error

    return Origin(path.stem, str(path), (path,), load)


def _of_entry_point(point: EntryPoint) -> Origin:
    def load() -> list[Plugin]:
        changed = _imported.get(origin.key, mark := origin.fingerprint()) != mark
        with _replacing(_modules(point) if changed else set()):
            if changed:
                _forget_compiled(files)
            try:
                with _watched(point.value):
                    found = point.load()
            except (Exception, SystemExit) as error:
                where = next((str(each) for each in files), None)
                raise BrokenPluginError(_import_failed(error, where)) from error
            _imported[origin.key] = mark
            if not isinstance(found, Plugin):
                kind = type(found).__name__
                raise BrokenPluginError(f"{point.value} is a {kind}, not a Plugin")
        return [found]

    files = tuple(_files_of(point.module))
    return (origin := Origin(point.name, f"{point.name} = {point.value}", files, load))


@contextlib.contextmanager
def _watched(what: str) -> Iterator[None]:
    """Tell of an import that does not end: nobody could say otherwise why nothing starts."""
    thread = threading.get_ident()

    def tell() -> None:
        reason = "work belongs into on_start or a handler"
        _log.warning("still importing a plugin", plugin=what, at=place_of(thread), reason=reason)

    timer = threading.Timer(SLOW_IMPORT_S, tell)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextlib.contextmanager
def _replacing(names: set[str]) -> Iterator[None]:
    """Import modules anew; if that fails those that were there are back."""
    before = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    try:
        yield
    except BaseException:
        for name in names:
            sys.modules.pop(name, None)
        sys.modules.update(before)
        raise


def _modules(point: EntryPoint) -> set[str]:
    """Name the imported modules of an entry point: its own, and those inside it."""
    inside = f"{point.module}."
    return {name for name in sys.modules if name == point.module or name.startswith(inside)}


def _file_of(module: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin) if spec and spec.origin else None


def _files_of(module: str) -> Iterable[Path]:
    origin = _file_of(module)
    if origin is None:
        return ()
    if origin.name != "__init__.py":
        return (origin,)
    return sorted(origin.parent.rglob("*.py"))[:_MAX_MODULE_FILES]


def _forget_compiled(files: Iterable[Path]) -> None:
    """Remove compiled copies: a file saved twice in a second would be taken for the old one."""
    importlib.invalidate_caches()
    for path in files:
        with contextlib.suppress(OSError, NotImplementedError):
            Path(cache_from_source(str(path))).unlink(missing_ok=True)


def _import_failed(error: BaseException, file: str | None) -> str:
    return f"cannot be imported: {type(error).__name__}: {error} at {location(error, file)}"
