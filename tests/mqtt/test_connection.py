"""Credentials, identity and the words for what went wrong."""

from pathlib import Path
from typing import Any

import aiomqtt
import pytest
import structlog
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from assistant.errors import UserError
from assistant.mqtt.connection import Failure, device_id, explain
from assistant.mqtt.credentials import address, read_credentials
from assistant.mqtt.retries import STABLE_S, Retries, backoff_s
from assistant.settings import MqttSettings
from tests.audio.support import FakeClock
from tests.support.broker import Certificates

TAKEN_OVER = ReasonCode(PacketTypes.DISCONNECT, identifier=142)


def settings(**values: Any) -> MqttSettings:
    return MqttSettings.model_validate(values)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, ("localhost", 1883)),
        ({"tls": {"enabled": True}}, ("localhost", 8883)),
        ({"host": "hub", "port": 5}, ("hub", 5)),
    ],
)
def test_the_port_follows_tls(values: dict[str, Any], expected: tuple[str, int]):
    assert address(settings(**values)) == expected


@pytest.mark.parametrize("host", [".", "a..b", "x" * 64])
def test_a_host_that_cannot_be_one_is_named(host: str):
    with pytest.raises(UserError, match=r"mqtt\.host"):
        address(settings(host=host))


def test_the_password_is_the_files_first_line(tmp_path: Path):
    secret = tmp_path / "secret"
    secret.write_text("geheim\r\nnot this\n")
    read = read_credentials(settings(username="me", password_file=str(secret)))
    assert read.password == "geheim"  # noqa: S105 - it is the test's own


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"host": "a..b"}, "mqtt.host"),
        ({"username": "me", "password_file": "/missing"}, "mqtt.password_file"),
        ({"username": "me", "password_file": "/dev/null"}, "mqtt.password_file"),
        ({"password": "secret"}, "mqtt.username"),
        ({"tls": {"enabled": True, "ca": "/missing"}}, "mqtt.tls.ca"),
        ({"tls": {"enabled": True, "ca": "/dev/null"}}, "mqtt.tls.ca"),
        (
            {"tls": {"enabled": True, "certificate": "/missing", "key": "/missing"}},
            "mqtt.tls.certificate",
        ),
    ],
)
def test_what_cannot_be_used_is_named(values: dict[str, Any], named: str):
    with pytest.raises(UserError, match=named.replace(".", r"\.")) as caught:
        read_credentials(settings(**values))
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_reads_a_client_certificate_and_its_key(tmp_path: Path):
    made = Certificates.make(tmp_path)
    files = {"ca": str(made.ca), "certificate": str(made.certificate), "key": str(made.key)}
    assert read_credentials(settings(tls={"enabled": True} | files)).tls is not None


def test_the_identity_is_made_once(tmp_path: Path):
    made = device_id(tmp_path / "state")
    assert made.isalnum()
    assert device_id(tmp_path / "state") == made
    assert device_id(tmp_path / "other") != made


def test_a_damaged_identity_is_made_anew(tmp_path: Path):
    (tmp_path / "device-id").write_text("# +/\n")
    assert device_id(tmp_path).isalnum()


def test_an_identity_that_cannot_be_kept_names_the_setting(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="state_folder"):
        device_id(tmp_path / "file")


@pytest.mark.parametrize(
    ("error", "words", "needs_a_person"),
    [
        (MqttConnectError(4), "refused the password", True),
        (MqttConnectError(1), "does not speak MQTT 5", True),
        (MqttConnectError(3), "refused the connection", False),
        (aiomqtt.MqttCodeError(7, "lost"), "closed the connection", False),
        (
            aiomqtt.MqttCodeError(ReasonCode(PacketTypes.DISCONNECT, identifier=142)),
            "mqtt.client_id",
            False,
        ),
        (aiomqtt.MqttError("[Errno 111] Connection refused"), "check mqtt.host", False),
        (UserError("mqtt.tls.ca: gone"), "mqtt.tls.ca: gone", True),
    ],
)
def test_a_failure_says_what_to_do(error: Exception, words: str, needs_a_person: bool):
    failure = explain(error, settings())
    assert words in failure.reason
    assert failure.needs_a_person is needs_a_person


def test_waits_longer_each_time_but_finds_a_broker_within_five_seconds():
    longest = [backoff_s(failures, chance=1.0) for failures in range(50)]
    assert longest[:5] == [0.25, 0.5, 1.0, 2.0, 3.0]
    assert max(longest) == 3.0
    assert backoff_s(9, chance=0.0) == 0.0
    assert 15 <= backoff_s(0, needs_a_person=True, chance=0.0) <= 30


class Patience(FakeClock):
    """Notes how long it was asked to wait, and waits that long at once."""

    def __init__(self) -> None:
        super().__init__()
        self.waited: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)


async def test_attempts_come_ever_more_rarely_until_a_connection_has_lasted():
    clock, lasts_s = Patience(), iter([0, 0, 0, STABLE_S, 0])
    retries = Retries(clock, lambda: 1.0, "engine")

    async def connect() -> Failure:
        await clock.advance(next(lasts_s))
        return Failure("the broker is away")

    with structlog.testing.capture_logs() as logs:
        for _ in range(4):
            await retries.attempt(connect)
        retries.succeeded()
        await retries.attempt(connect)
    assert clock.waited == [0.25, 0.5, 1.0, 0.25, 0.5]
    told = [line["event"] for line in logs if line["log_level"] == "warning"]
    assert told == ["engine: the broker is away"] * 2
