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
_A_PROCESS = 500
"""So many responses are worth another process."""
_WORK = """
import json, multiprocessing, sys
answers, sys.stdout = sys.stdout, sys.stderr
from qa_metrics.pedant import PEDANT
pedant = PEDANT()
try:
    from sklearn import set_config
except ImportError:
    pass
else:  # what is checked anew for each response is a quarter of the time
    set_config(assume_finite=True, skip_parameter_validation=True)

def right(row):
    return bool(pedant.evaluate([row[0]], row[1], row[2]))

rows, workers = json.load(sys.stdin), int(sys.argv[1])
if workers > 1:
    # forked, for the package would fetch its models once more for each
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        found = pool.map(right, rows, 50)
else:
    found = [right(row) for row in rows]
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
    workers = min(len(os.sched_getaffinity(0)), 1 + len(rows) // _A_PROCESS)
    try:
        run = subprocess.run(
            [python, "-c", _WORK, str(workers)],
            input=json.dumps(rows),
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
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
                "the models of qa-metrics could not be downloaded; ask it once where github.com "
                "can be reached, or put them into its folder classifier"
            )
        raise PedantError(f"{python}: {reason}")
    try:
        found = json.loads(run.stdout)
    except json.JSONDecodeError:
        found = None
    if not isinstance(found, list) or len(found) != count:
        raise PedantError(f"{python} answered something else than {count} verdicts")
    return [bool(one) for one in found]
