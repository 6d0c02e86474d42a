"""Fixtures that every room's tests share."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.broker import Mosquitto
from tests.support.pulse import MISSING, Pulse

# torch and its exporter make millions of objects, and searching all of them for garbage so often
# takes a seventh of the time
gc.set_threshold(20_000, 20, 50)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A running mosquitto, open to everybody."""
    with Mosquitto(tmp_path / "broker") as running:
        yield running


@pytest.fixture
def state_folder(tmp_path: Path) -> Path:
    """Where a bus keeps its outbox and its identity."""
    return tmp_path / "state"


@pytest.fixture(scope="session")
def _sound_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pulse]:
    folder = tmp_path_factory.mktemp("pulse")
    folder.chmod(0o700)
    with Pulse(folder) as server:
        yield server


@pytest.fixture
def pulse(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Pulse:
    """A private sound server, which PortAudio in this process and its children will find."""
    if MISSING:
        pytest.skip(f"not installed: {', '.join(MISSING)} (apt-get install pulseaudio)")
    server: Pulse = request.getfixturevalue("_sound_server")
    server.start()
    for name, value in server.env.items():
        monkeypatch.setenv(name, value)
    return server
