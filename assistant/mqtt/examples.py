"""One evening in the kitchen, told in payloads: the examples of the catalogue."""

from assistant.mqtt.payloads import Drops, MetricsPayload, QueueDepths, ReplyPayload
from assistant.mqtt.requests import (
    DiagnosticsPart,
    PluginPart,
    PluginsPart,
    ProblemPart,
    ReloadPart,
)
from assistant.turn import EndReason, Timings

TURN = "5e0c7bd1a2f4"
AT = 1_767_603_600.0
TIMINGS = Timings(endpoint=700.0, encode=41.5, decode=88.0, handle=1.2, total=96.4)
SLOTS = {"state": "on", "room": "kitchen"}
METRICS = MetricsPayload(
    at=AT,
    uptime_s=3600.0,
    rss_mib=312.5,
    queues=QueueDepths(outbox=0, commands=0),
    drops=Drops(audio_ms=0, utterances=0, messages=0, expired=0, commands=0),
    turns=12,
    timings_ms=TIMINGS,
)
PLUGINS = PluginsPart(
    plugins=(PluginPart(name="clock", intents=("clock.time",), examples=("what time is it",)),),
    problems=(),
)
RELOAD = ReloadPart(
    started=("lamp",),
    stopped=(),
    problems=(ProblemPart(plugin="dice", reason="dice.py:3 SyntaxError: invalid syntax"),),
)
DIAGNOSTICS = DiagnosticsPart(
    versions={"python": "3.11.2", "assistant": "1.0"},
    model="nano",
    microphone="USB microphone",
    problem=None,
    messages={"published": 120, "dropped": 0},
    turns={"turns": 12, "replies": 12},
    restarts={},
    metrics=METRICS,
)


def reply(site: str) -> ReplyPayload:
    """What is answered to a turn."""
    return ReplyPayload(
        turn=TURN,
        site=site,
        text="The kitchen light is on.",
        transcript="turn on the kitchen light",
        intent="lights.switch",
        slots=SLOTS,
        confidence=0.93,
        end_reason=EndReason.SILENCE,
        passes=6,
        timings_ms=TIMINGS,
    )
