"""Logging for the whole process: one line for each thing worth knowing, on standard error."""

import logging
import sys

import structlog

from assistant.settings import LogSettings

_NOISY = ("amqtt", "transitions", "mqtt", "hassil", "aiomqtt")


def configure(settings: LogSettings) -> None:
    """Send structlog's lines, and other libraries' warnings, to standard error."""
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    logging.basicConfig(stream=sys.stderr, level=max(level, logging.WARNING), format="%(message)s")
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)
    on_terminal = sys.stderr.isatty()
    as_json = settings.format == "json" or (settings.format == "auto" and not on_terminal)
    renderer = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(
            colors=on_terminal,
            pad_event_to=0,
            # the richer ones print local variables, passwords among them
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso" if as_json else "%H:%M:%S", utc=as_json),
            structlog.processors.format_exc_info if as_json else _untouched,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # of each moment: who catches standard error for a while must not leave a closed one behind
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )


def _untouched(_: object, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    return event
