"""The demo on one recording: seen to the end, left up, and left by Ctrl-C."""

import asyncio
import os
import signal
from pathlib import Path

import aiomqtt
import pytest

from assistant.cli.demo import _demonstrate
from assistant.settings import Settings
from tests.support.assistant import RECORDINGS, any_model

PATIENCE_S = 40.0


class Paper:
    """What was printed so far."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.text = ""

    async def until(self, words: str) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while words not in self.text:
                self.text += self._capsys.readouterr().out
                await asyncio.sleep(0.02)


async def test_a_recording_is_answered_and_then_it_stays_up_until_ctrl_c(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    settings = Settings.model_validate(
        {
            "site": "demo",
            "state_folder": tmp_path,
            "audio": {"source": "file", "files": [RECORDINGS / "3-time.opus"]},
            "engine": {"model": any_model()},
            "mqtt": {"host": "embedded", "port": 0},
            "log": {"level": "warning"},
        }
    )
    paper = Paper(capsys)
    demo = asyncio.create_task(_demonstrate(settings, keep_running=True))
    await paper.until("-m hello")
    assert "1 of 1 recordings answered" in paper.text
    assert "♪ 3-time.opus" in paper.text
    [command] = [line for line in paper.text.splitlines() if "mosquitto_pub" in line]
    words = command.split()
    port, topic = int(words[words.index("-p") + 1]), words[words.index("-t") + 1]
    async with aiomqtt.Client("127.0.0.1", port) as client:
        await client.publish(topic, "hello there", qos=1)
        await paper.until("hello there")
    os.kill(os.getpid(), signal.SIGINT)
    async with asyncio.timeout(PATIENCE_S):
        assert await demo == []
