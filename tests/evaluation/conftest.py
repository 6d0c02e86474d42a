"""The spoken benchmark, built once, and a server that judges."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.evaluation import spoken
from tests.evaluation.chat_server import ChatServer, chat_server


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `voicebench`, `mmsu` and `mmau` as their authors would distribute them."""
    pytest.importorskip("pyarrow")
    folder = tmp_path_factory.mktemp("published")
    voicebench, mmsu = list(spoken.items()), list(spoken.mmsu_items())
    mmau = list(spoken.mmau_items())
    said = spoken.sounds(each.said for each in [*voicebench, *mmsu, *mmau])
    spoken.write_voicebench(folder / "voicebench", voicebench, said)
    spoken.write_mmsu(folder / "mmsu", mmsu, said)
    spoken.write_mmau(folder / "mmau", mmau, said)
    return folder


@pytest.fixture
def server() -> Iterator[ChatServer]:
    """A judge that marks whatever it is asked, unless a test tells it otherwise."""
    pytest.importorskip("httpx2")
    with chat_server() as server:
        yield server
