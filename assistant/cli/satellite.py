"""`assistant satellite` and `assistant engine`: several rooms that share what understands them."""

from typing import Annotated

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
from assistant.cli.run import serve

EXAMPLES = """Examples:

  assistant satellite --host hub.local --site kitchen --device "USB"

  arecord -t raw -f S16_LE -r 16000 | assistant satellite --site hall --source stdin"""

ENGINE_EXAMPLES = """Examples:

  assistant engine --host hub.local --site engine-1

  assistant engine --site engine-2 --set state_folder=~/.local/state/engine-2"""

Host = Annotated[str | None, typer.Option(help="The broker, which has to speak MQTT 5.")]


def satellite(
    config: ConfigOption = None,
    site: Annotated[str | None, typer.Option(help="Name of this room.")] = None,
    host: Host = None,
    port: PortOption = None,
    source: SourceOption = None,
    device: DeviceOption = None,
    file: FileOption = None,
    assignments: SetOption = None,
) -> None:
    """Listen in one room, without a model: engines elsewhere understand and answer."""
    from assistant.satellites.daemon import Satellite

    where = {"site": site, "mqtt.host": host, "mqtt.port": port}
    flags = {**where, **hearing(source, device, file)}
    serve(settings_from(config, assignments, flags), Satellite)


def engine(
    config: ConfigOption = None,
    site: Annotated[str | None, typer.Option(help="Name of this engine.")] = None,
    host: Host = None,
    port: PortOption = None,
    model: CheckpointOption = None,
    assignments: SetOption = None,
) -> None:
    """Answer what satellites hear, taking turns with other engines; it hears nothing itself."""
    from assistant.daemon import Daemon

    flags = {
        "site": site,
        "mqtt.host": host,
        "mqtt.port": port,
        "engine.model": model,
        "audio.source": "none",
        "satellites.serve": True,
    }
    serve(settings_from(config, assignments, flags), Daemon)
