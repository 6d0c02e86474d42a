"""`assistant devices`: which microphones there are, and whether they hear anything."""

from typing import Annotated

import typer

EXAMPLES = """Examples:

  assistant devices

  assistant devices --test

  assistant devices --test "USB microphone" --seconds 10"""


def devices(
    device: Annotated[
        str | None, typer.Argument(help="An index, or a part of a device's name.")
    ] = None,
    *,
    test: Annotated[bool, typer.Option("--test", help="Show how loud it is.")] = False,
    seconds: Annotated[float, typer.Option(min=0.1, max=3600, help="How long to test.")] = 5.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the input devices, or show the level of one with `--test [INDEX|NAME]`."""
    from assistant.cli.meter import show_devices

    show_devices(device, test=test, seconds=seconds, as_json=as_json)
