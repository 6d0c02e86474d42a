"""A quick start: what is loaded together, what is not loaded, and nothing searched meanwhile."""

import gc
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from structlog.testing import capture_logs

from assistant.audio.source import FileSource, Source
from assistant.clock import SystemClock
from assistant.daemon import Daemon
from assistant.errors import UserError
from assistant.garbage import no_search
from assistant.herald import SilentHerald
from assistant.intents import Intents
from assistant.settings import Settings
from assistant.threads import beside
from assistant.understanding import Mind
from tests.daemon.support import FakeMind

PATIENCE_S = 10.0


class Cycle:
    """Garbage that only a search finds."""

    def __init__(self) -> None:
        self.me = self


def test_no_garbage_is_searched_for_while_much_is_loaded():
    searches: list[str] = []
    gc.callbacks.append(count := lambda phase, _: searches.append(phase))
    try:
        with no_search():
            loaded = [[number] for number in range(20_000)]
            assert not gc.isenabled()
    finally:
        gc.callbacks.remove(count)
    assert searches == []
    assert gc.isenabled()
    assert not any(loaded is each for each in gc.get_objects(generation=0))
    assert any(loaded is each for each in gc.get_objects(generation=2))


def test_garbage_is_searched_for_again_after_a_mistake():
    with pytest.raises(UserError), no_search():
        raise UserError("no such model")
    assert gc.isenabled()


def test_what_was_garbage_meanwhile_is_found_later():
    with no_search():
        left = weakref.ref(Cycle())
    assert left() is not None
    gc.collect()
    assert left() is None


def test_work_goes_on_beside_and_its_result_is_waited_for():
    go_on = threading.Event()

    def work() -> str:
        assert go_on.wait(PATIENCE_S)
        return threading.current_thread().name

    result = beside(work, "plugins")
    go_on.set()
    assert result() == result() == "plugins"


def test_what_work_beside_raises_is_raised_where_it_is_waited_for():
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        beside(fail, "plugins")()


async def test_the_plugins_are_loaded_while_the_model_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Each waits for the other to begin."""
    both = threading.Barrier(2, timeout=PATIENCE_S)
    load = Intents.load

    def load_plugins(settings: Settings) -> Intents:
        both.wait()
        return load(settings)

    def load_model(settings: Settings, intents: Callable[[], Intents]) -> Mind:
        both.wait()
        assert intents().match("what time is it")
        return FakeMind()

    monkeypatch.setattr(Intents, "load", load_plugins)
    settings = Settings.model_validate(
        {
            "state_folder": str(tmp_path),
            "audio": {"source": "file"},
            "mqtt": {"host": "127.0.0.1", "port": 9},
        }
    )

    def ears(_: object) -> Source:
        raise UserError("all is loaded")

    daemon = Daemon(settings, ears, SilentHerald(), mind=load_model)
    with pytest.raises(UserError, match="all is loaded"):
        await daemon.run()


def test_what_few_use_is_not_imported_at_every_start():
    program = "import sys, assistant.daemon; print(*sorted(sys.modules), sep='\\n')"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = run.stdout.split()
    assert "assistant.understanding" in loaded
    for few in ("assistant.hermes.bridge", "assistant.satellites.attendant", "amqtt", "torch"):
        assert few not in loaded


async def test_the_end_of_the_source_is_told(tmp_path: Path):
    """`arecord` that fails must not look like an assistant that does."""
    settings = Settings.model_validate(
        {
            "state_folder": str(tmp_path),
            "audio": {"source": "file"},
            "mqtt": {"host": "127.0.0.1", "port": 9},
        }
    )
    soundfile.write(tmp_path / "short.wav", np.zeros(1600), 16_000)
    source = FileSource([tmp_path / "short.wav"], SystemClock())
    daemon = Daemon(settings, lambda _: source, SilentHerald(), mind=lambda *_: FakeMind())
    with capture_logs() as logs:
        await daemon.run()
    [line] = [each for each in logs if each["event"] == "the source has ended"]
    assert line["heard_s"] >= 0.1
