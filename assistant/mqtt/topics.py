"""The names of everything said over MQTT."""

from dataclasses import dataclass
from enum import StrEnum


class CommandName(StrEnum):
    """The last part of a command's topic."""

    SAY = "say"
    LISTEN = "listen"
    CANCEL = "cancel"
    MUTE = "mute/set"


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one site, all below `<base>/<site>`.

    Both names come from the settings, which let no wildcard or slash through.
    """

    base: str
    site: str

    @property
    def root(self) -> str:
        """What every topic of this site begins with, without the closing slash."""
        return f"{self.base}/{self.site}"

    @property
    def status(self) -> str:
        """`online` or `offline`, retained; the last will."""
        return f"{self.root}/status"

    @property
    def info(self) -> str:
        """What this assistant is, retained."""
        return f"{self.root}/info"

    @property
    def state(self) -> str:
        """What it is doing, retained."""
        return f"{self.root}/state"

    @property
    def mute(self) -> str:
        """`ON` or `OFF`, retained: the applied value, not the wish."""
        return f"{self.root}/mute"

    @property
    def event(self) -> str:
        """What just happened; never retained."""
        return f"{self.root}/event"

    @property
    def reply(self) -> str:
        """Answers; never retained."""
        return f"{self.root}/reply"

    @property
    def partial(self) -> str:
        """Transcripts of unfinished utterances, whose loss is harmless."""
        return f"{self.root}/partial"

    @property
    def metrics(self) -> str:
        """Memory, queues and latencies, from time to time."""
        return f"{self.root}/metrics"

    def command(self, name: CommandName) -> str:
        """Where this site listens for one command."""
        return f"{self.root}/{name}"

    @property
    def commands(self) -> tuple[str, ...]:
        """Every topic this site listens to."""
        return tuple(self.command(name) for name in CommandName)

    def parse(self, topic: str) -> CommandName | None:
        """Which command an incoming topic names; None for a topic that is not this site's."""
        prefix, found, rest = topic.partition(f"{self.root}/")
        if prefix or not found or rest not in set(CommandName):
            return None
        return CommandName(rest)
