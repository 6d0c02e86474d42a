"""How the daemon tells whoever started it that it listens, and goes on listening."""

from typing import Protocol


class Herald(Protocol):
    """Told how the daemon fares."""

    def ready(self) -> None:
        """The assistant listens: the first sound came in."""

    def alive(self) -> None:
        """Sound came in since the last time."""

    def stopping(self) -> None:
        """The assistant closes down."""


class SystemdHerald:
    """Speaks to the socket in `NOTIFY_SOCKET`; without one, nothing is sent."""

    def __init__(self) -> None:
        import sdnotify

        self._notifier = sdnotify.SystemdNotifier()

    def ready(self) -> None:
        """The service counts as started."""
        self._notifier.notify("READY=1\nSTATUS=listening")

    def alive(self) -> None:
        """Feed the watchdog."""
        self._notifier.notify("WATCHDOG=1")

    def stopping(self) -> None:
        """The service is going down on purpose."""
        self._notifier.notify("STOPPING=1")


class SilentHerald:
    """For daemons that nobody supervises."""

    def ready(self) -> None:
        """Tell nobody."""

    def alive(self) -> None:
        """Tell nobody."""

    def stopping(self) -> None:
        """Tell nobody."""
