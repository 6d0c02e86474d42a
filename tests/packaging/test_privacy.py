"""Running a model tells nobody and leaves nothing in the home folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
QUIET_ANYWAY = ("ORT_", "XDG_", "CI", "TF_BUILD", "GITHUB_ACTIONS")
"""Variables that keep onnxruntime quiet, or its files elsewhere, whatever we do."""

RUN_A_MODEL = """
import {package}, onnxruntime
onnxruntime.InferenceSession("assistant/audio/silero_vad.onnx")
"""


@pytest.mark.parametrize("package", ["assistant", "engines"])
def test_running_a_model_leaves_no_telemetry_behind(package: str, tmp_path: Path) -> None:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(QUIET_ANYWAY)}

    subprocess.run(
        [sys.executable, "-c", RUN_A_MODEL.format(package=package)],
        cwd=ROOT,
        env=inherited | {"HOME": str(tmp_path)},
        check=True,
        timeout=60,
    )

    assert list(tmp_path.rglob("*")) == []
