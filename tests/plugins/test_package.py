"""A plugin package as somebody else would publish it, installed by pip."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent / "package"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder where the package is installed, and what makes Python look there."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    shutil.copytree(PACKAGE, source / "kettle", ignore=shutil.ignore_patterns("__pycache__"))
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(target)]
    subprocess.run([*command, str(source / "kettle")], check=True)
    return source / "kettle", {**os.environ, "PYTHONPATH": str(target), "COLUMNS": "200"}


def test_it_is_found_by_its_entry_point(installed, tmp_path):
    _, env = installed
    program = "from assistant.__main__ import main; main()"
    command = [sys.executable, "-c", program, "plugins", "list", "--folder", str(tmp_path)]
    listed = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    [line] = [line for line in listed.stdout.splitlines() if "kettle" in line and "boil" in line]
    assert "loaded" in line


def test_its_own_tests_pass_with_the_fixture_of_the_assistant(installed):
    source, env = installed
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    tested = subprocess.run(
        command, cwd=source, env=env, capture_output=True, text=True, check=False
    )
    assert "1 passed" in tested.stdout, tested.stdout + tested.stderr
