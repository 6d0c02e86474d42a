"""Music players over MPRIS (D-Bus) and the volume of the sound server, where there are any."""

import asyncio
from typing import Annotated, Literal

from assistant.plugin import Choices, Plugin, Range, Turn

_PLAYERS = "org.mpris.MediaPlayer2."
_WAIT_S = 2.0
_STEP = 10

Key = Annotated[
    Literal["Play", "Pause", "Next", "Previous", "Stop"],
    Choices(
        {
            "Play": ["play", "resume", "continue", "unpause"],
            "Pause": ["pause"],
            "Next": ["skip", "next"],
            "Previous": ["previous"],
            "Stop": ["stop"],
        }
    ),
]

plugin = Plugin(
    "media",
    about="play, pause and skip music and change the volume",
    rules={
        "music": "[the|this|my] (music|song|track|playback|player|radio)",
        "volume": "[the] (volume|sound)",
    },
)


@plugin.intent(
    "{key} <music>",
    "(go|skip) to [the] {key} (song|track)",
    examples={"pause the music": {"key": "Pause"}, "next song": {"key": "Next"}},
    min_confidence=0.95,
)
async def press(turn: Turn, key: Key) -> str:
    """Press a media key."""
    names = await _run("busctl", "--user", "list", "--no-legend", "--acquired")
    if names is None:
        return "I can't reach any player: there is no session bus, or busctl is missing."
    players = [line.split()[0] for line in names.splitlines() if line.startswith(_PLAYERS)]
    if not players:
        return "No player is running."
    path, interface = "/org/mpris/MediaPlayer2", f"{_PLAYERS}Player"
    if await _run("busctl", "--user", "call", players[0], path, interface, key) is None:
        return "The player does not answer."
    return "Okay."


@plugin.intent(
    "(turn|put) <volume> {way}",
    "(turn|put) {way} <volume>",
    "<volume> {way}",
    "(turn it|make it) [a bit|a little] {way}",
    examples={
        "turn the volume up": {"way": "up"},
        "volume down": {"way": "down"},
        "make it louder": {"way": "up"},
    },
    min_confidence=0.95,
)
async def step(
    turn: Turn,
    way: Annotated[
        Literal["up", "down"], Choices({"up": ["up", "louder"], "down": ["down", "quieter"]})
    ],
) -> str:
    """Change the volume a little."""
    return await _volume(f"{'+' if way == 'up' else '-'}{_STEP}%", f"Volume {way}.")


@plugin.intent(
    "(set|turn|put|change) <volume> [up|down] to {percent} percent",
    "volume {percent} percent",
    examples={"set the volume to thirty percent": {"percent": 30}},
    min_confidence=0.95,
)
async def level(turn: Turn, percent: Annotated[int, Range(0, 100)]) -> str:
    """Set the volume."""
    return await _volume(f"{percent}%", f"Volume at {percent} percent.")


@plugin.intent(
    "{state} [the] (sound|speakers|volume|music)",
    "turn the sound {state}",
    examples={"mute the sound": {"state": "mute"}, "turn the sound back on": {"state": "unmute"}},
    min_confidence=0.95,
)
async def silence(
    turn: Turn,
    state: Annotated[
        Literal["mute", "unmute"],
        Choices({"mute": ["mute", "silence", "off"], "unmute": ["unmute", "back on"]}),
    ],
) -> str:
    """Mute or unmute the speakers."""
    muted = "1" if state == "mute" else "0"
    if await _run("pactl", "set-sink-mute", "@DEFAULT_SINK@", muted) is None:
        return "I can't reach the sound server."
    return "Okay."


async def _volume(change: str, done: str) -> str:
    if await _run("pactl", "set-sink-volume", "@DEFAULT_SINK@", change) is None:
        return "I can't reach the sound server."
    return done


async def _run(*command: str) -> str | None:
    """Run a program; gives what it prints, or None when it is missing, fails or hangs."""
    quiet = asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=quiet, stdout=asyncio.subprocess.PIPE, stderr=quiet
        )
    except OSError:
        return None
    try:
        async with asyncio.timeout(_WAIT_S):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return None
    return None if process.returncode else output.decode(errors="replace")
