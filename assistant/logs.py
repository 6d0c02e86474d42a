"""Logging for the whole process: one line for each thing worth knowing, on standard error."""

import logging
import sys

import structlog

from assistant.settings import LogSettings

_NOISY = ("amqtt", "transitions", "mqtt", "hassil", "aiomqtt")


def configure(settings: LogSettings) -> None:
    """Send structlog's lines, and other libraries' warnings, to standard error."""
    level = logging.getLevelNamesMapping()[settings.level.upper()]
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
    processors: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso" if as_json else "%H:%M:%S", utc=as_json),
        structlog.processors.format_exc_info if as_json else _untouched,
    ]
    _configure_others(max(level, logging.WARNING), processors, renderer)
    structlog.configure(
        processors=[*processors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # of each moment: who catches standard error for a while must not leave a closed one behind
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )


def _configure_others(
    level: int, processors: list[structlog.types.Processor], renderer: structlog.types.Processor
) -> None:
    """Let the lines of libraries, and of the engine, look like all others."""
    only_the_event = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=processors, processors=[only_the_event, renderer]
        )
    )
    logging.basicConfig(handlers=[handler], level=level)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)


def _untouched(_: object, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    return event
