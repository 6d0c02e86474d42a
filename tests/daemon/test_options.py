"""`--set NAME=VALUE` and flags."""

from pathlib import Path

import pytest

from assistant.cli.options import settings_from
from assistant.errors import UserError


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    path = tmp_path / "assistant.toml"
    path.write_text("")
    return path


def test_values_are_read_as_their_setting_needs_them(empty: Path):
    given = [
        "site = attic",
        "mqtt.port=1884",
        "mqtt.password=123456",
        "endpoint.preset=quick",
        "mqtt.tls.enabled=true",
        'plugins.disabled=["timer"]',
        'mqtt.base_topic="house"',
        "vad.threshold=0.25",
    ]
    settings = settings_from(empty, given, {})
    assert (settings.site, settings.mqtt.port, settings.vad.threshold) == ("attic", 1884, 0.25)
    assert settings.mqtt.password is not None
    assert settings.mqtt.password.get_secret_value() == "123456"
    assert settings.endpoint.preset == "quick"
    assert settings.mqtt.tls.enabled is True
    assert settings.plugins.disabled == ("timer",)
    assert settings.mqtt.base_topic == "house"


def test_a_value_may_hold_an_equals_sign(empty: Path):
    settings = settings_from(empty, ["mqtt.client_id=a=b"], {})
    assert settings.mqtt.client_id == "a=b"


def test_flags_are_stronger_and_an_absent_one_says_nothing(empty: Path):
    flags = {"site": "cellar", "mqtt.host": None, "audio.device": "2"}
    settings = settings_from(empty, ["site=attic", "mqtt.host=hub"], flags)
    assert (settings.site, settings.mqtt.host, settings.audio.device) == ("cellar", "hub", 2)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["site"], "--set site: write NAME=VALUE"),
        (["=attic"], "write NAME=VALUE"),
        (["mqtt..port=1"], "write NAME=VALUE"),
        (["sit=attic"], "did you mean site"),
        (["mqtt.prot=1"], "did you mean mqtt.port"),
        (["endpoint.silence_ms=1"], "greater than or equal to 100"),
        (["mqtt.port=many"], "mqtt.port"),
        (["mqtt=1", "mqtt.port=2"], "mqtt was given a value, so it has no parts"),
        (["plugins.disabled=[timer"], "plugins.disabled"),
        (["site.name=x"], "site"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(empty: Path, given: list[str], told: str):
    with pytest.raises(UserError) as raised:
        settings_from(empty, given, {})
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)
