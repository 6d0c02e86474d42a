"""The spoken benchmark, built once, a server that judges, and a package that does."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engines.evaluation.scoring import pedant
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


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A stand-in for qa-metrics, as noisy as the real one."""

    def write(body: str) -> None:
        folder = tmp_path / "qa_metrics"
        folder.mkdir()
        (folder / "__init__.py").touch()
        (folder / "pedant.py").write_text(body)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        monkeypatch.setenv(pedant.PYTHON, sys.executable)

    return write
