"""PEDANT (Li et al. 2024), the answer matcher of SD-QA, from the package `qa-metrics`.

The package wants an old scikit-learn, and with it an old numpy, and unpickles models that it
downloads: it is given a process of its own, and may have a Python of its own.
"""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Sequence

PYTHON = "PEDANT_PYTHON"
"""Names the Python that has `qa-metrics`, where it is not this one."""

_START_S = 600.0
_EACH_S = 1.0
_WORK = """
import json, sys
answers, sys.stdout = sys.stdout, sys.stderr
from qa_metrics.pedant import PEDANT
pedant = PEDANT()
found = [bool(pedant.evaluate([right], said, asked)) for right, said, asked in json.load(sys.stdin)]
json.dump(found, answers)
"""


class PedantError(Exception):
    """Why PEDANT cannot be asked, and what helps."""


def judge(rows: Sequence[tuple[str, str, str]]) -> list[bool]:
    """Whether each (reference, response, prompt) is right; raises `PedantError`.

    Each use fetches the package's models anew where there is a network.
    """
    if not rows:
        return []
    python = os.environ.get(PYTHON)
    if not python:
        if importlib.util.find_spec("qa_metrics") is None:
            raise PedantError(f"set {PYTHON} to a Python that has the package qa-metrics 0.2.31")
        python = sys.executable
    try:
        run = subprocess.run(
            [python, "-c", _WORK],
            input=json.dumps(rows),
            capture_output=True,
            encoding="utf-8",
            timeout=_START_S + _EACH_S * len(rows),
            check=False,
        )
    except OSError as error:
        raise PedantError(f"{PYTHON}={python}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise PedantError(f"{python} did not end within {error.timeout:.0f} s") from error
    return _found(run, python, len(rows))


def _found(run: "subprocess.CompletedProcess[str]", python: str, count: int) -> list[bool]:
    lines = run.stderr.strip().splitlines()
    if run.returncode:
        reason = lines[-1] if lines else f"exit code {run.returncode}"
        if "classifier" in reason:
            reason = (
                "the models of qa-metrics could not be downloaded; ask it once where github.com, "
                "which has them, can be reached"
            )
        raise PedantError(f"{python}: {reason}")
    try:
        found = json.loads(run.stdout)
    except json.JSONDecodeError:
        found = None
    if not isinstance(found, list) or len(found) != count:
        raise PedantError(f"{python} answered something else than {count} verdicts")
    return [bool(one) for one in found]
