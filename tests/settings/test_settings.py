"""Settings: which source wins, and one clear line for every mistake."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assistant.described import schema_of
from assistant.errors import UserError
from assistant.settings import Settings, load

Write = Callable[[str], Path]


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.upper().startswith("ASSISTANT_"):
            monkeypatch.delenv(name)
    monkeypatch.setattr("assistant.settings.DEFAULT_PATH", tmp_path / "none" / "assistant.toml")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str) -> Path:
        path = tmp_path / "assistant.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def refusal(path: Path | None = None, overrides: dict[str, Any] | None = None) -> str:
    with pytest.raises(UserError) as caught:
        load(path, overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_without_any_source_the_defaults_hold() -> None:
    settings = load()

    assert settings.site == "default"
    assert settings.mqtt.host == "localhost"
    assert settings.mqtt.port is None


def test_environment_hides_the_file_and_flags_hide_both(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write('site = "file"\n[mqtt]\nhost = "file"\nport = 1\nusername = "file"\n')
    monkeypatch.setenv("ASSISTANT_MQTT__HOST", "environment")
    monkeypatch.setenv("ASSISTANT_MQTT__PORT", "2")

    settings = load(path, {"mqtt": {"port": 3}})

    assert settings.site == "file"
    assert (settings.mqtt.username, settings.mqtt.host, settings.mqtt.port) == (
        "file",
        "environment",
        3,
    )


def test_the_default_file_is_read_when_it_is_there(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assistant.settings.DEFAULT_PATH", write('site = "kitchen"'))

    assert load().site == "kitchen"


def test_an_empty_value_is_the_default(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write('[audio]\ndevice = ""\n[engine]\nmodel = ""\n[mqtt]\nport = ""\n')
    monkeypatch.setenv("ASSISTANT_SITE", "")

    settings = load(path)

    assert settings.audio.device is None
    assert settings.engine.model is None
    assert settings.mqtt.port is None
    assert settings.site == "default"


def test_a_home_folder_is_written_as_in_a_shell(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")

    settings = load(write('state_folder = "~/state"\n[mqtt]\npassword_file = "~/secret"\n'))

    assert settings.state_folder == Path("/home/somebody/state")
    assert settings.mqtt.password_file == Path("/home/somebody/secret")


@pytest.mark.parametrize(("given", "meant"), [("3", 3), ("USB", "USB"), ("USB 3", "USB 3")])
def test_a_microphone_is_an_index_or_a_name(
    given: str, meant: str | int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSISTANT_AUDIO__DEVICE", given)

    assert load().audio.device == meant


def test_a_list_in_the_environment_is_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSISTANT_AUDIO__FILES", '["a.wav", "b.wav"]')

    assert load().audio.files == (Path("a.wav"), Path("b.wav"))


def test_a_list_in_the_environment_that_is_not_json_is_told_how_to_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ASSISTANT_AUDIO__FILES", "a.wav")

    message = refusal()

    assert message.startswith("ASSISTANT_AUDIO__FILES: not JSON")
    assert '["one", "two"]' in message


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        (
            "[mqtt]\nport = 65536\n",
            "mqtt.port = 65536: input should be less than or equal to 65535",
        ),
        ("[mqtt]\nhots = 1\n", "mqtt.hots: no such setting; did you mean mqtt.host?"),
        ("xyzzy = 1\n", "xyzzy: no such setting (file"),
        ("mqtt = 3\n", "mqtt = 3: must be a table"),
        ('site = "a b"\n', 'site = "a b": use 1 to 64 letters, digits, - or _'),
        (
            '[vad]\nkind = "loud"\n',
            "vad.kind = \"loud\": input should be 'both', 'webrtc' or 'silero'",
        ),
        ("[audio]\ndevice = -1\n", "audio.device = -1: an index counts from 0"),
        ('[audio]\nfiles = "a.wav"\n', 'audio.files = "a.wav": must be a list'),
        ('[audio]\nfiles = ["~nobody-at-all/a"]\n', "no such home folder in ~nobody-at-all/a"),
        (
            '[mqtt.tls]\nca = "ca.pem"\n',
            "mqtt.tls: certificates are given, but enabled is not true",
        ),
        ('[mqtt.tls]\nenabled = true\nkey = "k"\n', "certificate and key are given together"),
        ("[endpoint]\nsilence_ms = 0\n", "endpoint.silence_ms = 0: input should be greater"),
    ],
)
def test_a_wrong_setting_is_named_with_its_file(toml: str, said: str, write: Write) -> None:
    path = write(toml)

    message = refusal(path)

    assert said in message
    assert str(path) in message
    assert "assistant config schema" in message


def test_every_mistake_is_told_at_once(write: Write) -> None:
    message = refusal(write('sight = "x"\n[vad]\nthreshold = 2\n[log]\nlevel = "loud"\n'))

    for name in ("sight", "vad.threshold", "log.level"):
        assert name in message


def test_a_mistake_in_the_environment_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSISTANT_ENGINE__THREADS", "many")

    message = refusal()

    assert 'engine.threads = "many"' in message
    assert "(environment: ASSISTANT_ENGINE__THREADS)" in message


def test_a_mistake_on_the_command_line_says_so() -> None:
    assert "(command line)" in refusal(overrides={"vad": {"threshold": 2}})


@pytest.mark.parametrize(
    "toml",
    [
        "[mqtt]\npassword = 314159\n",
        '[mqtt]\npassword = ["314159"]\n',
        '[mqtt]\npassword = "314159"\npassword_file = "p"\n',
        '[mqtt]\npasword = "314159"\n',
        '[mqtt]\npassword = "314159"\nport = "x"\n',
        '[mqtt]\npassword = "314159" oops\n',
    ],
)
def test_no_mistake_tells_a_secret(toml: str, write: Write) -> None:
    path = write(toml)

    with pytest.raises(UserError) as caught:
        load(path)

    assert "314159" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_broken_json_in_the_environment_does_not_tell_a_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ASSISTANT_MQTT", '{"password": "314159"')

    message = refusal()

    assert message.startswith("ASSISTANT_MQTT: not JSON")
    assert "314159" not in message


def test_a_password_is_not_in_the_settings_repr(write: Write) -> None:
    settings = load(write('[mqtt]\npassword = "314159"\n'))

    assert "314159" not in repr(settings)
    assert settings.mqtt.password is not None
    assert settings.mqtt.password.get_secret_value() == "314159"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    message = refusal(tmp_path / "missing.toml")

    assert "missing.toml: No such file" in message


def test_a_folder_is_no_settings_file(tmp_path: Path) -> None:
    assert "Is a directory" in refusal(tmp_path)


def test_a_file_that_is_not_toml_is_named_with_the_line(write: Write) -> None:
    message = refusal(write('site = "x"\nhello\n'))

    assert "assistant.toml is not TOML" in message
    assert "line 2" in message


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "assistant.toml"
    path.write_bytes(b"site = '\xff'")

    assert "is not UTF-8 text" in refusal(path)


def test_every_setting_says_what_it_means() -> None:
    whole = schema_of(Settings)
    sections = [whole, *whole["$defs"].values()]
    silent = [
        name
        for section in sections
        for name, spec in section.get("properties", {}).items()
        if "$ref" not in spec and "description" not in spec
    ]

    assert silent == []
    json.dumps(whole)
