"""The endurance benchmarks, run for a moment."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from assistant.cli.main import app
from assistant.endurance import SENTENCES, _slope, soak
from assistant.settings import Settings
from tests.support.broker import Mosquitto


@pytest.fixture
def settings(broker: Mosquitto, tmp_path: Path) -> Settings:
    return Settings.model_validate(
        {
            "state_folder": str(tmp_path),
            "plugins": {"folder": str(tmp_path)},
            "mqtt": broker.settings,
        }
    )


async def test_every_turn_of_a_soak_is_answered_and_the_memory_is_measured(settings: Settings):
    done: list[int] = []
    found = await soak(settings, 300, done.append)
    assert done[-1] == found.turns == 300
    assert len(found.rss_mib) == 6
    assert all(size > 0 for size in found.rss_mib)


async def test_a_turn_leaves_nothing_behind(settings: Settings):
    found = await soak(settings, 400, sentences=SENTENCES)
    assert found.blocks_per_1000_turns < 2000, "some object of each turn is kept"


@pytest.mark.parametrize(
    ("sizes", "slope"),
    [([100.0] * 60, 0.0), ([50.0] * 12 + [100.0] * 48, 0.0), ([float(n) for n in range(60)], 1.0)],
)
def test_the_slope_is_of_what_follows_the_warm_up(sizes: list[float], slope: float):
    assert _slope(sizes, 1000) == pytest.approx(slope, abs=0.01)


def test_the_outbox_benchmark_names_a_broker_that_is_away(tmp_path: Path):
    away = ["--set", "mqtt.host=127.0.0.1", "--set", "mqtt.port=9"]
    result = CliRunner().invoke(app, ["bench", "outbox", "--replies", "5", *away])
    assert "check mqtt.host" in str(result.exception)
