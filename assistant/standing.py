"""How a site stands: idle, listening, processing or responding, said on the bus when it changes."""

from assistant.mqtt.bus import Bus
from assistant.mqtt.payloads import Activity


class Standing:
    """What is heard now and what waits for its answer, of a dialogue or of a satellite."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.hearing: str | None = None
        """The turn that is being spoken."""
        self.in_hand: list[str] = []
        """Turns heard and not answered: the one that is, and those that wait for it."""
        self._said: tuple[Activity, str | None] = (Activity.IDLE, None)

    def settle(self) -> None:
        """Say what goes on, now that something began or ended."""
        if self.hearing is not None:
            self._say(Activity.LISTENING, self.hearing)
        elif self.in_hand:
            self._say(Activity.PROCESSING, self.in_hand[-1])
        else:
            self._say(Activity.IDLE)

    def responding(self, turn_id: str) -> None:
        """Say that a turn gets its reply."""
        self._say(Activity.RESPONDING, turn_id)

    def _say(self, activity: Activity, turn_id: str | None = None) -> None:
        """Say it when it is new; `since` then tells how long it lasts."""
        if self._said != (activity, turn_id):
            self._said = (activity, turn_id)
            self._bus.state(activity, turn_id)
