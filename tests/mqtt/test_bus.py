"""What a smart-home hub sees of the bus, through a real mosquitto."""

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from assistant.errors import TransientError, UserError
from assistant.mqtt.payloads import Activity, EventType, InfoPayload, Lifecycle
from tests.support.broker import Account, Certificates, Mosquitto
from tests.support.bus import (
    HeldClock,
    connected,
    heard,
    heard_json,
    reconnected,
    reply,
    running_bus,
    until,
)

ROOT = "assistant/kitchen"


async def test_a_hub_that_comes_late_finds_status_info_state_and_mute_retained(
    broker: Mosquitto, state_folder: Path
):
    async with running_bus(broker.settings, state_folder) as bus:
        await connected(bus)
        async with broker.hub(f"{ROOT}/#") as hub:
            found = {m.topic.value: m for m in await heard(hub, 4)}
    assert all(message.retain and message.qos == 1 for message in found.values())
    assert found[f"{ROOT}/status"].payload == b"online"
    assert found[f"{ROOT}/mute"].payload == b"OFF"
    info = json.loads(found[f"{ROOT}/info"].payload)
    assert (info["v"], info["lifecycle"]) == (1, "init")
    state = json.loads(found[f"{ROOT}/state"].payload)
    assert (state["state"], state["turn"], state["muted"]) == ("idle", None, False)


async def test_says_state_and_info_before_online(broker: Mosquitto, state_folder: Path):
    async with broker.hub(f"{ROOT}/#") as hub, running_bus(broker.settings, state_folder) as bus:
        bus.info(InfoPayload(lifecycle=Lifecycle.READY, model="nano"))
        bus.state(Activity.LISTENING, "turn-1")
        said = await heard(hub, 4)
    assert [m.topic.value.removeprefix(f"{ROOT}/") for m in said] == [
        "info",
        "state",
        "mute",
        "status",
    ]
    assert json.loads(said[0].payload)["model"] == "nano"
    assert json.loads(said[1].payload)["turn"] == "turn-1"


async def test_every_state_of_a_turn_is_seen_and_the_reply_before_idle(
    broker: Mosquitto, state_folder: Path
):
    async with running_bus(broker.settings, state_folder) as bus:
        await connected(bus)
        async with broker.hub(f"{ROOT}/reply", f"{ROOT}/state") as hub:
            await heard(hub)
            bus.state(Activity.PROCESSING, "turn-1")
            bus.state(Activity.RESPONDING, "turn-1")
            bus.reply(reply(1))
            bus.state(Activity.IDLE)
            said = [json.loads(m.payload) for m in await heard(hub, 4)]
    states = [payload.get("state") for payload in said]
    assert [state for state in states if state] == ["processing", "responding", "idle"]
    assert states.index(None) < states.index("idle")


async def test_replies_events_and_partials_are_not_retained(broker: Mosquitto, state_folder: Path):
    async with running_bus(broker.settings, state_folder) as bus:
        await connected(bus)
        topics = (f"{ROOT}/reply", f"{ROOT}/event", f"{ROOT}/partial")
        async with broker.hub(*topics) as hub:
            bus.reply(reply(1))
            bus.event(EventType.WAKE, "turn-1", score=0.9)
            bus.partial("turn-1", 0, "switch")
            said = {m.topic.value: m for m in await heard(hub, 3)}
        async with broker.hub(*topics) as late:
            bus.event(EventType.REPLY, "turn-2")
            assert (await heard_json(late))["turn"] == "turn-2"
    event = json.loads(said[topics[1]].payload)
    assert (event["event_type"], event["score"], event["site"]) == ("wake", 0.9, "kitchen")
    assert json.loads(said[topics[2]].payload)["text"] == "switch"
    assert (said[topics[0]].qos, said[topics[1]].qos, said[topics[2]].qos) == (1, 1, 0)


async def test_mute_is_echoed_and_part_of_the_state(broker: Mosquitto, state_folder: Path):
    async with running_bus(broker.settings, state_folder) as bus:
        await connected(bus)
        bus.mute(muted=True)
        async with broker.hub(f"{ROOT}/mute") as hub:
            await until(hub, b"ON")
        async with broker.hub(f"{ROOT}/state") as hub:
            assert (await heard_json(hub))["muted"] is True


async def test_a_clean_stop_says_offline_within_a_second(broker: Mosquitto, state_folder: Path):
    async with broker.hub(f"{ROOT}/#") as hub:
        async with running_bus(broker.settings, state_folder) as bus:
            await connected(bus)
            bus.reply(reply(1))
            began = time.monotonic()
        assert time.monotonic() - began < 1
        said = await heard(hub, 6)
    assert [m.payload for m in said if m.topic.value == f"{ROOT}/status"] == [b"online", b"offline"]
    assert said[-1].payload == b"offline"
    assert f"{ROOT}/reply" in {m.topic.value for m in said}
    assert not bus.connected


_DAEMON = """
import asyncio, json, sys
from pathlib import Path
from tests.support.bus import running_bus
async def main():
    async with running_bus(json.loads(sys.argv[1]), Path(sys.argv[2])):
        await asyncio.Event().wait()
asyncio.run(main())
"""


async def test_a_killed_daemon_leaves_offline(broker: Mosquitto, state_folder: Path):
    arguments = [json.dumps(broker.settings | {"will_delay_s": 0}), str(state_folder)]
    async with broker.hub(f"{ROOT}/status") as hub:
        command = (sys.executable, "-c", _DAEMON, *arguments)
        daemon = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL)
        try:
            await until(hub, b"online")
        finally:
            daemon.kill()
            await daemon.wait()
        await until(hub, b"offline")
    async with broker.hub(f"{ROOT}/status") as late:
        [status] = await heard(late)
    assert (status.payload, status.retain) == (b"offline", True)


async def test_replies_made_while_the_broker_is_away_arrive_in_order_exactly_once(
    broker: Mosquitto, state_folder: Path
):
    clock = HeldClock()
    async with running_bus(broker.settings, state_folder, clock=clock) as bus:
        await connected(bus)
        broker.kill()
        for number in range(50):
            bus.reply(reply(number))
        bus.partial("turn-0", 0, "lost")
        bus.state(Activity.PROCESSING, "turn-49")
        broker.start()
        async with broker.hub(f"{ROOT}/reply") as hub:
            clock.release.set()
            said = [json.loads(m.payload)["turn"] for m in await heard(hub, 50)]
            bus.reply(reply(50))
            said.append((await heard_json(hub))["turn"])
        async with broker.hub(f"{ROOT}/state") as hub:
            assert (await heard_json(hub))["state"] == "processing"
    assert said == [f"turn-{number}" for number in range(51)]
    assert bus.counters.connects == 2


async def test_a_connection_lost_while_publishing_costs_no_traceback_and_no_reply(
    broker: Mosquitto, state_folder: Path
):
    complaints: list[str] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: complaints.append(context["message"])
    )
    async with running_bus(broker.settings, state_folder) as bus:
        await connected(bus)
        for number in range(10):
            bus.reply(reply(number))
            bus.partial(f"turn-{number}", 0, "light")
            broker.restart()
            await reconnected(bus)
    assert complaints == []
    assert bus.counters.dropped <= 10
    assert bus.counters.connects == 11


async def test_replies_wait_for_a_daemon_that_was_stopped_meanwhile(
    broker: Mosquitto, state_folder: Path
):
    async with running_bus(broker.settings | {"port": 1}, state_folder) as bus:
        assert "check mqtt.host" in (await bus.first_connect() or "")
        bus.reply(reply(1))
        bus.reply(reply(2))
    async with (
        broker.hub(f"{ROOT}/reply") as hub,
        running_bus(broker.settings, state_folder),
    ):
        said = [json.loads(m.payload)["turn"] for m in await heard(hub, 2)]
    assert said == ["turn-1", "turn-2"]


async def test_a_frozen_broker_holds_up_neither_the_caller_nor_the_stop(
    broker: Mosquitto, state_folder: Path
):
    async with running_bus(broker.settings, state_folder) as bus:
        await connected(bus)
        async with broker.hub(f"{ROOT}/reply") as hub:
            broker.freeze()
            bus.reply(reply(1))
            await asyncio.sleep(0.05)
            broker.thaw()
            assert (await heard_json(hub))["turn"] == "turn-1"
        broker.freeze()
        bus.reply(reply(2))
        began = time.monotonic()
    assert time.monotonic() - began < 1.2
    broker.thaw()


async def test_a_refused_password_is_one_line_with_the_remedy(tmp_path: Path, state_folder: Path):
    with Mosquitto(tmp_path / "broker", account=Account("daemon", "right")) as broker:
        wrong = broker.settings | {"password": "wrong"}
        with capture_logs() as logs:
            async with running_bus(wrong, state_folder) as bus:
                reason = await asyncio.wait_for(bus.first_connect(), 5)
                await asyncio.sleep(0.05)
        assert reason == (
            f"the MQTT broker 127.0.0.1:{broker.port} refused the password: "
            "correct mqtt.username and mqtt.password (or mqtt.password_file)"
        )
        assert [log["event"] for log in logs if log["log_level"] == "error"] == [reason]


async def test_a_corrected_password_file_is_used_without_a_restart(
    tmp_path: Path, state_folder: Path
):
    secret = tmp_path / "secret"
    secret.write_text("wrong\n")
    with Mosquitto(tmp_path / "broker", account=Account("daemon", "right")) as broker:
        settings = broker.settings | {"password_file": str(secret)}
        del settings["password"]
        async with running_bus(settings, state_folder) as bus:
            assert "refused the password" in (await bus.first_connect() or "")
            secret.write_text("right\nsecond line\n")
            await connected(bus)


async def test_tls_with_an_authority_of_ones_own(tmp_path: Path, state_folder: Path):
    with Mosquitto(tmp_path / "broker", tls=Certificates.make(tmp_path / "tls")) as broker:
        async with running_bus(broker.settings, state_folder) as bus:
            await connected(bus)
            async with broker.hub(f"{ROOT}/status") as hub:
                await until(hub, b"online")


async def test_an_unknown_authority_is_named(tmp_path: Path, state_folder: Path):
    with Mosquitto(tmp_path / "broker", tls=Certificates.make(tmp_path / "tls")) as broker:
        untrusting = broker.settings | {"tls": {"enabled": True}}
        async with running_bus(untrusting, state_folder) as bus:
            assert "set mqtt.tls.ca" in (await bus.first_connect() or "")


async def test_plugins_publish_and_are_told_when_nobody_listens(
    broker: Mosquitto, state_folder: Path
):
    async with running_bus(broker.settings, state_folder) as bus:
        await connected(bus)
        async with broker.hub("cmnd/#") as hub:
            await bus.publish("cmnd/lamp/POWER", "ON")
            assert (await heard(hub))[0].payload == b"ON"
        for impossible in ("", "cmnd/#", "a/+/b", "a\0b"):
            with pytest.raises(UserError, match="cannot publish"):
                await bus.publish(impossible, "ON")
        broker.kill()
        with pytest.raises(TransientError, match="did not take cmnd/lamp/POWER"):
            await asyncio.wait_for(bus.publish("cmnd/lamp/POWER", "OFF"), 1)


async def test_thousands_of_waiting_replies_are_sent_in_order(
    broker: Mosquitto, state_folder: Path
):
    settings = broker.settings | {"outbox_count": 2_000}
    async with running_bus(settings | {"port": 1}, state_folder) as bus:
        for number in range(2_000):
            bus.reply(reply(number))
    async with broker.hub(f"{ROOT}/reply") as hub, running_bus(settings, state_folder):
        said = [json.loads(m.payload)["turn"] for m in await heard(hub, 2_000, patience_s=30.0)]
    assert said == [f"turn-{number}" for number in range(2_000)]
