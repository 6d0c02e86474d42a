"""What is on its way to the broker: taken in order, given up in time, never forgotten."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import aiomqtt
import pytest

from assistant.mqtt import window as module
from assistant.mqtt.connection import Connection, UnsendableError
from assistant.mqtt.message import Message
from assistant.mqtt.window import IN_FLIGHT, Window


class FakeConnection:
    """A broker that takes a message when the test says so."""

    def __init__(self) -> None:
        self.takers: list[Callable[[str], None]] = []

    def post(self, message: Message, taken: Callable[[str], None]) -> None:
        if message.topic == "refused":
            raise aiomqtt.MqttError("no way")
        if message.topic == "#":
            raise UnsendableError("never")
        self.takers.append(taken)
        if message.qos == 0:
            taken("")


def open_window() -> tuple[FakeConnection, asyncio.Event, Window]:
    client, wake = FakeConnection(), asyncio.Event()
    return client, wake, Window(cast("Connection", client), wake)


def taken(window: Window) -> list[Message]:
    return [flight.message for flight in window.taken()]


def message(number: int, **fields: Any) -> Message:
    return Message(f"t/{number}", b"", parcel_id=number, **fields)


async def test_a_message_is_taken_only_after_every_older_one():
    client, wake, window = open_window()
    for number in range(3):
        window.send(message(number))
    assert window.room == IN_FLIGHT - 3
    client.takers[1]("")
    assert wake.is_set()
    assert taken(window) == []
    client.takers[0]("")
    assert taken(window) == [message(0), message(1)]
    assert window.left() == [message(2)]
    assert window.room == IN_FLIGHT


async def test_what_was_taken_is_not_given_up():
    client, _, window = open_window()
    for number in range(3):
        window.send(message(number))
    client.takers[2]("")
    assert window.left() == [message(0), message(1)]


async def test_a_message_without_acknowledgement_wakes_the_sender_at_once():
    _, _, window = open_window()
    window.send(message(1, qos=0))
    await window.wait()
    assert taken(window) == [message(1, qos=0)]


async def test_a_message_that_cannot_be_sent_is_among_those_given_up():
    _, _, window = open_window()
    refused = Message("refused", b"")
    with pytest.raises(aiomqtt.MqttError, match="no way"):
        window.send(refused)
    assert window.left() == [refused]


async def test_a_message_that_can_never_be_sent_holds_up_nothing():
    _, _, window = open_window()
    window.send(message(1))
    with pytest.raises(UnsendableError):
        window.send(Message("#", b""))
    assert window.left() == [message(1)]


async def test_a_broker_that_takes_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "CALL_TIMEOUT_S", 0.0)
    _, _, window = open_window()
    window.send(message(1))
    with pytest.raises(aiomqtt.MqttError, match="timed out"):
        await window.wait()
