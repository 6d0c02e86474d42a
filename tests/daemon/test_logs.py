"""Log lines go to the standard error of the moment."""

import contextlib
import io

import structlog

from assistant.logs import configure
from assistant.settings import LogSettings


def test_a_stream_that_was_caught_and_closed_takes_no_more_lines(capsys):
    before = structlog.get_config()
    log = structlog.get_logger("test")
    try:
        caught = io.StringIO()
        with contextlib.redirect_stderr(caught):
            configure(LogSettings(format="json"))
            log.warning("the first")
        assert "the first" in caught.getvalue()
        caught.close()
        log.warning("the second")
        assert "the second" in capsys.readouterr().err
    finally:
        structlog.configure(**before)
