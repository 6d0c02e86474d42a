"""The files a distribution is made of agree with each other."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pydantic import BaseModel

from assistant.settings import Settings

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted([*(ROOT / "script").iterdir(), ROOT / ".ci" / "run"])
UNITS = sorted((ROOT / "systemd").iterdir())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PINS = (ROOT / "constraints.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_sound(script: Path) -> None:
    assert script.stat().st_mode & 0o100
    assert script.read_text(encoding="utf-8").startswith("#!/usr/bin/env bash\n")
    checker = [shutil.which("shellcheck")] if shutil.which("shellcheck") else ["bash", "-n"]
    done = subprocess.run([*checker, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_dependency_is_pinned_within_its_range() -> None:
    pinned = dict(re.findall(r"^([\w.-]+)==([\w.]+)$", PINS, re.MULTILINE))
    extras = PROJECT["optional-dependencies"]
    wanted = [*PROJECT["dependencies"]]
    for extra in ("mic", "train", "test", "lint", "evaluate", "peers"):
        wanted += extras[extra]

    for requirement in map(Requirement, wanted):
        version = pinned[canonicalize_name(requirement.name)]
        assert version in requirement.specifier


def test_the_pins_name_versions_and_no_place() -> None:
    assert [line for line in PINS.splitlines() if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []


def test_the_default_install_has_no_torch() -> None:
    assert not any(Requirement(each).name == "torch" for each in PROJECT["dependencies"])


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_a_unit_sets_only_settings_that_exist(unit: Path) -> None:
    names = re.findall(r"^Environment=ASSISTANT_(\w+)=", unit.read_text("utf-8"), re.MULTILINE)
    for name in names:
        section: type[BaseModel] = Settings
        *path, last = name.lower().split("__")
        for part in path:
            annotation = section.model_fields[part].annotation
            assert isinstance(annotation, type)
            section = annotation
        assert last in section.model_fields


@pytest.mark.parametrize("name", ["assistant.service", "assistant-system.service"])
def test_a_unit_is_watched_and_stops_for_good_only_on_the_users_mistake(name: str) -> None:
    lines = (ROOT / "systemd" / name).read_text(encoding="utf-8").splitlines()

    assert {"Type=notify", "WatchdogSec=30", "Restart=on-failure"} <= set(lines)
    assert "RestartPreventExitStatus=2" in lines
    assert "StartLimitIntervalSec=0" in lines
