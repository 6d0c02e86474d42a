"""Log lines go to the standard error of the moment."""

import contextlib
import io
import json
import subprocess
import sys

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


def test_lines_of_the_engine_and_of_libraries_look_like_all_others():
    program = """
import logging
from assistant.logs import configure
from assistant.settings import LogSettings
configure(LogSettings(format="json"))
logging.getLogger("engines.listening").warning("device %s was asked for", "cuda")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("engines").exception("it failed")
"""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    warned, failed = (json.loads(line) for line in run.stderr.splitlines())
    assert (warned["event"], warned["level"]) == ("device cuda was asked for", "warning")
    assert warned["timestamp"].endswith("Z")
    assert "ZeroDivisionError" in failed["exception"]
