"""What went through the bus, and what did not."""

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    """Messages since the start."""

    published: int = 0
    """Sent, and acknowledged where the broker acknowledges."""
    dropped: int = 0
    """Lost to a full queue, a full or damaged outbox, a broker that threw it away, or (what may be
    lost) an absent one."""
    expired: int = 0
    """Too old when the broker returned."""
    refused_commands: int = 0
    """Retained, expired, too large, or not understood."""
    expired_commands: int = 0
    """Of the refused, those that came after their `expires_at`."""
    limited_commands: int = 0
    """Over the rate of their topic."""
    dropped_commands: int = 0
    """Pushed out of the full queue by newer ones."""
    connects: int = 0
    """Connections made."""
