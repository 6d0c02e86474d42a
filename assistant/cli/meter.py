"""A table of the microphones, and how loud it is at one of them."""

import asyncio
import dataclasses
import json
import math

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from assistant.audio.microphone import Lost, Microphone
from assistant.audio.portaudio import Device, choose, list_devices
from assistant.clock import SystemClock
from assistant.errors import TransientError, UserError
from assistant.settings import AudioSettings

FLOOR_DB = -60.0
NO_DEVICE = (
    "no input device: plug in a microphone, or start the sound server of this user "
    "(systemctl --user start pipewire-pulse, or pulseaudio --start), then run this again"
)
_REFRESH_FRAMES = 10
_LINE_FRAMES = 50
_METER_CELLS = 40


def show_devices(device: str | None, *, test: bool, seconds: float, as_json: bool) -> None:
    """What `assistant devices` does; raises `UserError` when there is nothing to show."""
    wanted = int(device) if device and device.isdecimal() else device
    found = list_devices()
    if device is not None or (test and found):
        try:
            chosen = choose(found, wanted)
        except TransientError as error:
            raise UserError(str(error) if found else NO_DEVICE) from error
        found = [chosen]
    if not found and not as_json:
        raise UserError(NO_DEVICE)
    if test and found:
        asyncio.run(_meter(found[0], seconds, as_json=as_json))
    elif as_json:
        typer.echo(json.dumps([dataclasses.asdict(item) for item in found], ensure_ascii=False))
    else:
        Console().print(_table(found))


def level_db(samples: NDArray[np.int16]) -> float:
    """Loudness of 16-bit samples in dB below full scale, `FLOOR_DB` at least."""
    rms = math.sqrt(float(np.mean(np.square(samples, dtype=np.float64))))
    return max(FLOOR_DB, 20 * math.log10(max(rms, 1e-3) / 32768))


def _table(found: list[Device]) -> Table:
    table = Table("index", "name", "rate (Hz)", "channels", "default")
    for item in found:
        default = "yes" if item.is_default else ""
        table.add_row(
            str(item.index), Text(item.name), str(item.rate_hz), str(item.channels), default
        )
    return table


async def _meter(device: Device, seconds: float, *, as_json: bool) -> None:
    """Listen through the same microphone code as the daemon; fail when nothing is heard."""
    console, levels = Console(), []
    microphone = Microphone(AudioSettings(device=device.index), SystemClock())
    live = Live(console=console, auto_refresh=False, transient=True)
    show = live if console.is_terminal and not as_json else None
    if show:
        show.start()
    try:
        async with asyncio.timeout(seconds), microphone:
            async for frame in microphone.frames():
                levels.append(level_db(frame.samples))
                if show and len(levels) % _REFRESH_FRAMES == 0:
                    show.update(_bar(device, max(levels[-_REFRESH_FRAMES:])), refresh=True)
                elif not show and not as_json and len(levels) % _LINE_FRAMES == 0:
                    console.print(_bar(device, max(levels[-_LINE_FRAMES:])))
    except TimeoutError:
        pass
    finally:
        if show:
            show.stop()
    _summary(device, levels, microphone, as_json=as_json)


def _summary(device: Device, levels: list[float], microphone: Microphone, *, as_json: bool) -> None:
    if not levels:
        reason = microphone.status.reason if isinstance(microphone.status, Lost) else "no sound"
        raise UserError(
            f"microphone {device.index} {device.name!r} gives nothing ({reason}): "
            "choose another, or check that it is plugged in and not muted"
        )
    loudest, mean = max(levels), sum(levels) / len(levels)
    if as_json:
        result = {**dataclasses.asdict(device), "loudest_db": loudest, "mean_db": mean}
        typer.echo(json.dumps(result, ensure_ascii=False))
        return
    typer.echo(f"{microphone.describe()}: loudest {loudest:.0f} dB, mean {mean:.0f} dB")
    if loudest <= FLOOR_DB:
        typer.echo("only silence was heard: is it muted, or its volume at zero?")


def _bar(device: Device, level: float) -> Text:
    cells = round((level - FLOOR_DB) / -FLOOR_DB * _METER_CELLS)
    return Text(f"{device.name}  {'█' * cells:<{_METER_CELLS}} {level:4.0f} dB")
