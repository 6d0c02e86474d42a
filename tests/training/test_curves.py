"""Learning curves: what is read from a log, and that the picture is one."""

import json
from xml.etree import ElementTree as ET

import pytest

from engines.training.curves import CurveError, draw, read_curve


def test_a_step_that_was_run_twice_counts_once_and_torn_lines_not_at_all(tmp_path):
    log = tmp_path / "lm.jsonl"
    rows = [{"step": 0, "loss": 5}, {"step": 20, "loss": 4}, {"step": 20, "loss": 3}]
    log.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"step": 4')
    assert read_curve(log, "loss") == [(0, 5.0), (20, 3.0)]


def test_every_stage_with_a_log_has_a_panel(tmp_path):
    for stage, name in (("encoder", "ctc"), ("lm", "loss")):
        rows = [json.dumps({"step": n, name: 9 / (n + 1)}) for n in range(0, 100, 20)]
        (tmp_path / f"{stage}.jsonl").write_text("\n".join(rows))
    picture = ET.fromstring(draw(tmp_path))  # noqa: S314 - our own
    panels = picture.findall("{http://www.w3.org/2000/svg}g")
    assert len(panels) == 2
    assert all(len(panel.findall("{http://www.w3.org/2000/svg}polyline")) == 2 for panel in panels)


def test_a_run_without_logs_is_named(tmp_path):
    with pytest.raises(CurveError, match="holds no logs"):
        draw(tmp_path)
