"""The names of everything said over MQTT."""

from dataclasses import dataclass
from enum import StrEnum

from assistant.errors import UserError

_LONGEST_TOPIC_BYTES = 65_535


class CommandName(StrEnum):
    """The last part of a command's topic."""

    SAY = "say"
    LISTEN = "listen"
    CANCEL = "cancel"
    MUTE = "mute/set"
    THRESHOLD = "threshold/set"
    PRESET = "preset/set"
    MODEL = "model/set"


class RequestName(StrEnum):
    """The last part of the topic of a request, and of its response."""

    ASK = "ask"
    PLUGINS = "plugins"
    RELOAD = "reload"
    SETTING = "setting"
    DIAGNOSTICS = "diagnostics"


class Knob(StrEnum):
    """The last part of the topic of a value that can be changed while the assistant runs."""

    THRESHOLD = "threshold"
    PRESET = "preset"
    MODEL = "model"


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
    def threshold(self) -> str:
        """Above which probability a sound is speech, retained: the applied value."""
        return self.knob(Knob.THRESHOLD)

    @property
    def preset(self) -> str:
        """How long a pause ends an utterance, retained: the applied value."""
        return self.knob(Knob.PRESET)

    @property
    def model(self) -> str:
        """The name of the model that is used, retained: the applied value."""
        return self.knob(Knob.MODEL)

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

    @property
    def utterance(self) -> str:
        """What a satellite heard, for any engine; never retained."""
        return f"{self.root}/utterance"

    def utterance_for(self, engine: str) -> str:
        """What answers a question of `engine`, for that one alone; never retained."""
        return f"{self.utterance}/{engine}"

    @property
    def answer(self) -> str:
        """What engines make of it; never retained."""
        return f"{self.root}/answer"

    @property
    def claim(self) -> str:
        """How loud a voice is at a satellite that would like to answer it; never retained."""
        return f"{self.root}/claim"

    @property
    def engine(self) -> str:
        """`online` or `offline`, retained, of an engine that serves satellites; a last will."""
        return f"{self.root}/engine"

    def everywhere(self, topic: str) -> str:
        """Match the topic of every site that is `topic` at this one."""
        return f"{self.base}/+/{topic.removeprefix(self.root + '/')}"

    def site_of(self, topic: str) -> str:
        """Which site a topic belongs to; empty for a topic that is none of ours."""
        base, _, rest = topic.removeprefix(self.base).partition("/")
        return rest.partition("/")[0] if not base and topic.startswith(self.base) else ""

    def knob(self, name: Knob) -> str:
        """Where the applied value of a knob is told."""
        return f"{self.root}/{name}"

    def command(self, name: CommandName) -> str:
        """Where this site listens for one command."""
        return f"{self.root}/{name}"

    def request(self, name: RequestName) -> str:
        """Where this site listens for one request."""
        return f"{self.root}/request/{name}"

    def response(self, name: RequestName) -> str:
        """Where one request is answered; never retained."""
        return f"{self.root}/response/{name}"

    @property
    def incoming(self) -> dict[str, CommandName | RequestName]:
        """Every topic this site listens to, and what it names."""
        commands = {self.command(name): name for name in CommandName}
        return {**commands, **{self.request(name): name for name in RequestName}}

    def parse(self, topic: str) -> CommandName | RequestName | None:
        """What an incoming topic names; None for one that is not this site's."""
        return self.incoming.get(topic)


def check_topic(topic: str) -> str:
    """Return a topic that can be published on; raises `UserError` for any other."""
    size = len(topic.encode(errors="replace"))
    is_text = not any("\ud800" <= char <= "\udfff" for char in topic)
    if not 0 < size <= _LONGEST_TOPIC_BYTES or set(topic) & set("+#\0") or not is_text:
        raise UserError(f"cannot publish on {topic[:80]!r}: a topic has no +, # or NUL in it")
    return topic
