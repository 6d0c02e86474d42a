"""When the assistant counts as listening, and who is told."""

from assistant.health import Health
from assistant.herald import SilentHerald
from tests.daemon.support import FakeBus


class Heard(SilentHerald):
    def __init__(self) -> None:
        self.said: list[str] = []

    def ready(self) -> None:
        self.said.append("ready")

    def alive(self) -> None:
        self.said.append("alive")


def make() -> tuple[Health, FakeBus, Heard]:
    bus, herald = FakeBus(), Heard()
    health = Health(bus, herald, progress_at=5.0)
    health.loaded(model="nano", plugins=("clock",), config_hash="abc")
    return health, bus, herald


def test_without_sound_nobody_is_told_ready_and_no_watchdog_is_fed():
    health, bus, herald = make()
    for _ in range(3):
        health.beat(5.0, "usb")
    assert herald.said == []
    assert [info.lifecycle for info in bus.infos] == ["init"]
    assert (bus.infos[0].model, bus.infos[0].config_hash) == ("nano", "abc")


def test_ready_comes_with_the_first_sound_and_alive_with_each_more():
    health, bus, herald = make()
    for progress_at in (5.1, 6.1, 6.1, 7.1):
        health.beat(progress_at, "usb")
    assert herald.said == ["ready", "alive", "alive", "alive"]
    assert [(info.lifecycle, info.microphone) for info in bus.infos[1:]] == [("ready", "usb")]


def test_a_lost_microphone_is_an_alert_told_once_until_sound_is_back():
    health, bus, herald = make()
    health.beat(5.1, "usb")
    for _ in range(3):
        health.lost(5.5, "usb gave no sound for 1 s")
    health.beat(5.5, "none")
    assert not health.listening
    health.beat(9.0, "built-in")
    assert [(info.lifecycle, info.problem, info.microphone) for info in bus.infos[1:]] == [
        ("ready", None, "usb"),
        ("alert", "usb gave no sound for 1 s", None),
        ("ready", None, "built-in"),
    ]
    assert herald.said == ["ready", "alive", "alive"]
