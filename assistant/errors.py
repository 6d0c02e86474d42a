"""The errors that cross rooms: transient ones are retried, permanent ones are told."""


class AssistantError(Exception):
    """Something went wrong that a person can read about in one line."""


class UserError(AssistantError):
    """The user's mistake; the command line exits with code 2 and prints only the message."""


class TransientError(AssistantError):
    """Trying again later can help: a microphone unplugged, a broker away."""
