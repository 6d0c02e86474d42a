"""Words about the conversation itself: stop, say that again, what can you do."""

from assistant.plugin import Plugin, Turn

plugin = Plugin("control")


@plugin.intent(
    "(stop|cancel|abort|quiet|be quiet|enough|that's enough) [it|that|this]",
    "(never mind|nevermind|forget it|forget that|forget about it|leave it|nothing)",
    "(stop|cancel) (talking|speaking|everything)",
    examples=["stop", "cancel", "never mind", "forget it", "stop talking"],
    min_confidence=1.0,
)
async def stop(turn: Turn) -> str:
    """Let the matter rest."""
    return "Okay."


@plugin.intent(
    "(repeat|say) (that|it|this|yourself) [again|once more|one more time]",
    "(repeat|once more|come again|say again|one more time|pardon|pardon me)",
    "(what did you|what did you just) say",
    "(what was that|i didn't (hear|get|catch|understand) (that|it|you))",
    examples=["repeat that", "what did you say", "say that again please", "i didn't catch that"],
    min_confidence=0.9,
)
async def repeat(turn: Turn) -> str:
    """Say the last reply again."""
    return turn.last_reply or "I haven't said anything yet."


@plugin.intent(
    "what (can|could) (you do [for me]|i (ask|say|tell) [you|to you])",
    "what (are|do) you (able to do|capable of|offer)",
    "(what are your (skills|abilities)|what skills do you have|what commands do you know)",
    "(tell|show) me what you can do",
    "(how can you help [me]|what can you help me with)",
    examples=["what can you do", "what can I ask you", "tell me what you can do"],
    min_confidence=0.9,
)
async def abilities(turn: Turn) -> str:
    """Say what the loaded plugins are for."""
    *first, last = turn.abilities
    return f"I can {', '.join(first)} and {last}." if first else f"I can {last}."
