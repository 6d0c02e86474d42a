"""What can be changed while the assistant runs, and what a restart makes of it."""

import json
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from assistant.controls import Controls, Memory, chosen_model, with_model
from assistant.errors import UserError
from assistant.mqtt.topics import Knob
from assistant.settings import Settings


class Ears:
    """Keeps what it was tuned to."""

    def __init__(self) -> None:
        self.muted = False
        self.threshold: float | None = None
        self.preset: str | None = None

    def mute(self, muted: bool) -> None:
        self.muted = muted

    def tune(self, *, threshold: float | None = None, endpoint: Any = None) -> None:
        self.threshold = threshold or self.threshold
        self.preset = endpoint.preset if endpoint else self.preset


class Told:
    """Keeps what was said."""

    def __init__(self) -> None:
        self.knobs: dict[str, str] = {}
        self.muted = False

    def knob(self, name: Knob, value: str) -> None:
        self.knobs[name] = value

    def mute(self, *, muted: bool) -> None:
        self.muted = muted


class House:
    """One life of the daemon."""

    def __init__(self, folder: Path, *, satellite: bool = False, **sections: Any) -> None:
        self.settings = Settings.model_validate({"state_folder": str(folder), **sections})
        self.ears: Any = Ears()
        self.told: Any = Told()
        self.memory = Memory(folder)
        self.models: list[str] = []
        change = None if satellite else self.use
        model = chosen_model(self.settings, self.memory)
        self.controls = Controls(
            self.told, self.ears, self.settings, self.memory, change_model=change, model=model
        )

    async def use(self, name: str) -> None:
        if name == "broken":
            raise UserError("engine.model: no checkpoint")
        self.models.append(name)


async def test_what_holds_is_said_at_the_start(tmp_path: Path):
    house = House(tmp_path)
    await house.controls.restore()
    assert house.told.knobs == {"threshold": "0.5", "preset": "normal", "model": "default"}
    assert (house.ears.threshold, house.ears.preset, house.ears.muted) == (0.5, "normal", False)


async def test_a_change_is_applied_said_and_kept_over_a_restart(tmp_path: Path):
    house = House(tmp_path)
    assert await house.controls.turn(Knob.THRESHOLD, "0.3") == 0.3
    assert await house.controls.change("endpoint.preset", "relaxed") == "relaxed"
    assert await house.controls.change("mute", value=True) is True
    assert (house.ears.threshold, house.ears.preset, house.ears.muted) == (0.3, "relaxed", True)
    assert house.told.knobs == {"threshold": "0.3", "preset": "relaxed"}
    again = House(tmp_path)
    await again.controls.restore()
    assert (again.ears.threshold, again.ears.preset, again.ears.muted) == (0.3, "relaxed", True)
    assert again.told.muted
    again.controls.mute(muted=False)
    third = House(tmp_path)
    await third.controls.restore()
    assert not third.ears.muted


async def test_who_changes_the_settings_file_afterwards_means_it(tmp_path: Path):
    await House(tmp_path).controls.turn(Knob.THRESHOLD, 0.3)
    changed = House(tmp_path, vad={"threshold": 0.8})
    await changed.controls.restore()
    assert changed.ears.threshold == 0.8


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("vad.threshold", 1.5, "less than 1"),
        ("vad.threshold", "loud", "valid number"),
        ("endpoint.preset", "never", "'quick', 'normal' or 'relaxed'"),
        ("engine.model", "gone", "no model is named 'gone'"),
        ("mute", "perhaps", "mute is true or false"),
        ("mqtt.host", "elsewhere", "is not changed while the assistant runs"),
        ("nonsense", 1, "is not changed while the assistant runs"),
    ],
)
async def test_a_wrong_value_is_one_line_and_changes_nothing(
    tmp_path: Path, name: str, value: Any, reason: str
):
    house = House(tmp_path)
    with pytest.raises(UserError, match=reason) as caught:
        await house.controls.change(name, value)
    assert "\n" not in str(caught.value)
    assert house.told.knobs == {}
    assert not (tmp_path / "controls.json").exists()


async def test_a_detector_without_a_threshold_says_so(tmp_path: Path):
    house = House(tmp_path, vad={"kind": "webrtc"})
    with pytest.raises(UserError, match=r"vad\.kind is webrtc"):
        await house.controls.turn(Knob.THRESHOLD, 0.3)
    await house.controls.restore()
    assert house.told.knobs["threshold"] == "0.5"


async def test_a_model_is_chosen_by_its_name_and_loaded_at_the_next_start(tmp_path: Path):
    engine = {"models": {"big": "/models/big", "broken": "/models/broken"}}
    house = House(tmp_path, engine=engine)
    await house.controls.turn(Knob.MODEL, "big")
    await house.controls.turn(Knob.MODEL, "big")
    assert house.models == ["big"]
    with pytest.raises(UserError, match="no checkpoint"):
        await house.controls.turn(Knob.MODEL, "broken")
    assert house.told.knobs["model"] == "big"
    again = House(tmp_path, engine=engine)
    assert chosen_model(again.settings, again.memory) == "big"
    assert with_model(again.settings, "big").engine.model == Path("/models/big")
    without = House(tmp_path)
    assert chosen_model(without.settings, without.memory) == "default"
    assert with_model(without.settings, "default") == without.settings


async def test_a_satellite_has_no_model(tmp_path: Path):
    house = House(tmp_path, satellite=True)
    await house.controls.restore()
    assert "model" not in house.told.knobs
    with pytest.raises(UserError, match="a satellite has no model"):
        await house.controls.turn(Knob.MODEL, "default")


@pytest.mark.parametrize(
    "damage",
    [
        *(b"{", b"[]", b'{"mute": 7}', b"\xff"),
        b'{"engine.model": {"value": ["big"], "instead_of": null}}',
    ],
)
async def test_a_damaged_memory_is_forgotten(tmp_path: Path, damage: bytes):
    (tmp_path / "controls.json").write_bytes(damage)
    house = House(tmp_path)
    await house.controls.restore()
    assert house.ears.threshold == 0.5
    await house.controls.turn(Knob.THRESHOLD, 0.4)
    kept = json.loads((tmp_path / "controls.json").read_text())
    assert kept["vad.threshold"] == {"value": 0.4, "instead_of": 0.5}


async def test_a_saved_value_that_no_longer_fits_is_not_restored(tmp_path: Path):
    Memory(tmp_path).put("vad.threshold", 7, 0.5)
    house = House(tmp_path)
    with capture_logs() as logs:
        await house.controls.restore()
    assert house.told.knobs["threshold"] == "0.5"
    assert "not restored" in logs[0]["event"]
