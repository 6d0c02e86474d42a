"""`assistant run`: the daemon."""

import asyncio
import signal
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from assistant.cli.options import (
    CheckpointOption,
    ConfigOption,
    DeviceOption,
    FileOption,
    PortOption,
    SetOption,
    SourceOption,
    hearing,
    settings_from,
)

if TYPE_CHECKING:
    from assistant.daemon import Daemon
    from assistant.settings import Settings

EXAMPLES = """Examples:

  assistant run --host hub.local --site kitchen

  assistant run --host embedded --device "USB" --set endpoint.preset=relaxed

  assistant run --dev --set plugins.folder=./plugins

  arecord -t raw -f S16_LE -r 16000 | assistant run --source stdin"""


def run(
    config: ConfigOption = None,
    site: Annotated[str | None, typer.Option(help="Name of this room or machine.")] = None,
    host: Annotated[
        str | None, typer.Option(help="Broker; `embedded` starts one on this machine.")
    ] = None,
    port: PortOption = None,
    source: SourceOption = None,
    device: DeviceOption = None,
    file: FileOption = None,
    model: CheckpointOption = None,
    dev: Annotated[bool, typer.Option("--dev", help="Reload a plugin when it is saved.")] = False,
    assignments: SetOption = None,
) -> None:
    """Listen, understand, answer over MQTT; until it is stopped."""
    flags = {
        "site": site,
        "mqtt.host": host,
        "mqtt.port": port,
        "engine.model": model,
        **hearing(source, device, file),
    }
    from assistant.daemon import Daemon

    kind = partial(Daemon, watch_plugins=dev)
    serve(settings_from(config, assignments, flags), kind)


def serve(settings: "Settings", kind: Callable[..., "Daemon"]) -> None:
    """Run a daemon until its source ends or a signal says so."""
    asyncio.run(_serve(settings, kind))


async def _serve(settings: "Settings", kind: Callable[..., "Daemon"]) -> None:
    from assistant.clock import SystemClock
    from assistant.herald import SystemdHerald
    from assistant.logs import configure
    from assistant.sources import open_source
    from assistant.stopping import serve_until

    configure(settings.log)
    clock = SystemClock()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    ears = partial(open_source, settings.audio, clock)
    daemon = kind(settings, ears, SystemdHerald(), clock=clock)
    await serve_until(stop, daemon.run())
