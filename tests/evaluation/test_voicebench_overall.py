"""All nine tasks of VoiceBench, from responses to the overall figure, with a judge and PEDANT."""

import json

import pytest

from tests.evaluation import spoken
from tests.evaluation.fakes import CONTAINED
from tests.evaluation.test_benchmark_commands import evaluated, scores

JUDGED_ALIKE = ("commoneval", "wildvoice")


@pytest.fixture
def files(tmp_path):
    """Responses of every subset, forty each, named as VoiceBench names them."""
    rows: dict[str, list[dict]] = {}
    for each in spoken.items():
        rows.setdefault(f"{each.subset}-{each.split}", []).append(
            {**each.row, "response": each.answer}
        )
    for name in JUDGED_ALIKE:
        rows[f"{name}-test"] = rows["alpacaeval_full-test"]
    paths = []
    for name, held in rows.items():
        paths.append(tmp_path / f"model-{name}-audio.jsonl")
        paths[-1].write_text("".join(f"{json.dumps(row)}\n" for row in held))
    return paths


def test_the_overall_figure_is_the_mean_of_nine(files, package, server, tmp_path):
    package(CONTAINED)
    given = [word for path in files for word in ("--responses", path)]
    out = tmp_path / "out"
    printed = evaluated("voicebench", *given, "--out", out, "--judge-url", server.url)
    found = scores(out)
    assert {name: each["percent"] for name, each in found.items()} == {
        # the judge gives four points of five to all
        "alpacaeval_full": 80, "commoneval": 80, "wildvoice": 80,
        # of the twenty of the first region PEDANT takes ten, the judge all
        "sd-qa": 75,
        # three in four are right
        "mmsu": 75, "openbookqa": 75, "bbh": 75, "ifeval": 75, "advbench": 75,
    }  # fmt: skip
    assert found["sd-qa"]["metrics"] == {"panda": 50, "gpt": 100}
    assert found["sd-qa"]["by"]["split"] == {"aus": 100, "usa": 75}
    overall = json.loads((out / "scores.json").read_text())["overall"]
    assert overall == pytest.approx((3 * 80 + 6 * 75) / 9)
    assert "76.67" in printed
    report = (out / "report.md").read_text()
    (line,) = (line for line in report.splitlines() if "Overall" in line and "76.67" in line)
    assert "55.80" in line


def test_without_pedant_there_is_no_overall_figure(files, monkeypatch, server, tmp_path):
    monkeypatch.delenv("PEDANT_PYTHON", raising=False)
    given = [word for path in files for word in ("--responses", path)]
    out = tmp_path / "out"
    evaluated("voicebench", *given, "--out", out, "--judge-url", server.url)
    assert scores(out)["sd-qa"]["percent"] is None
    assert json.loads((out / "scores.json").read_text())["overall"] is None
