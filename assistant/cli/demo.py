"""`assistant demo`: the whole daemon at work on recordings, seen as a smart-home hub sees it."""

import asyncio
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assistant.cli.options import ConfigOption, SetOption, settings_from
from assistant.errors import AssistantError

if TYPE_CHECKING:
    from assistant.settings import Settings

EXAMPLES = """Examples:

  assistant demo

  assistant demo --keep-running    # and connect your own MQTT client"""

RECORDINGS = Path(__file__).parent.parent / "recordings"


def demo(
    keep_running: Annotated[
        bool, typer.Option("--keep-running", help="Stay up afterwards, until Ctrl-C.")
    ] = False,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Start a broker, the daemon and a subscriber; play recorded requests; print what happens."""
    with tempfile.TemporaryDirectory(prefix="assistant-demo-") as state_folder:
        flags = {
            "site": "demo",
            "state_folder": state_folder,
            "mqtt.host": "embedded",
            "mqtt.port": 0,
            "mqtt.discovery": False,
            "audio.source": "file",
            "audio.files": sorted(RECORDINGS.glob("*.opus")),
            "log.level": "warning",
        }
        settings = settings_from(config, assignments, flags)
        unanswered = asyncio.run(_demonstrate(settings, keep_running=keep_running))
    if unanswered:
        raise AssistantError(f"no reply to {', '.join(unanswered)}")


async def _demonstrate(settings: "Settings", *, keep_running: bool) -> list[str]:
    """Run it all; return the names of recordings that got no reply."""
    from assistant.clock import SystemClock
    from assistant.daemon import Daemon
    from assistant.herald import SilentHerald
    from assistant.logs import configure
    from assistant.onlooker import Onlooker, Playlist
    from assistant.stopping import serve_until

    configure(settings.log)
    clock, stop = SystemClock(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    playlist = Playlist(settings.audio.files, clock, endless=True)
    daemon = Daemon(settings, lambda _: playlist, SilentHerald(), clock=clock)
    onlooker = Onlooker(settings, playlist, clock)

    async def conclude() -> None:
        await onlooker.until_answered()
        onlooker.summarise()
        if not keep_running:
            stop.set()
            return
        onlooker.console.print("\nStill up, until Ctrl-C. Let it speak from another terminal:")
        reach, topic = (
            await daemon.broker_ready(),
            f"{settings.mqtt.base_topic}/{settings.site}/say",
        )
        hello = f"mosquitto_pub -h {reach.host} -p {reach.port} -t {topic} -m hello"
        onlooker.console.print(f"  [bold]{hello}[/]", soft_wrap=True)

    tasks = [
        asyncio.create_task(onlooker.watch(daemon.broker_ready), name="onlooker"),
        asyncio.create_task(conclude(), name="conclusion"),
    ]
    try:
        await serve_until(stop, daemon.run())
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return onlooker.unanswered if playlist.played.is_set() else []
