import json
import re

import pytest
import torch
from typer.testing import CliRunner

from assistant.cli import bench
from assistant.cli.bench import app
from assistant.errors import UserError
from engines.benchmark import decode
from engines.benchmark.decode import Plan, _Lap, bench_decode, race
from engines.benchmark.plot import draw
from engines.benchmark.ways import LeftToRight, Way
from engines.memory import NotEnoughMemoryError

MODES = ["reference", "prefix", "dual", "dual-k4", "autoregressive"]


class OneOutput:
    """Records as CUDA graphs do whose outputs share memory."""

    def __init__(self):
        self.output = None

    def __call__(self, compute):
        made = compute()
        self.output = made.clone() if self.output is None else self.output.copy_(made)
        return lambda: self.output.copy_(compute()), self.output


@pytest.fixture(scope="module")
def report():
    return bench_decode(Plan("tiny", new_tokens=16, block_length=8, batches=(1, 2), rounds=1))


def test_the_benchmark_counts_passes_and_compares_with_both_baselines(report):
    for batch in (1, 2):
        rows = {row["mode"]: row for row in report["rows"] if row["batch"] == batch}
        assert {mode: row["passes"] for mode, row in rows.items()} == {
            "reference": 16,
            "prefix": 16,
            "dual": 16,
            "dual-k4": 4,
            "autoregressive": 16,
        }
        assert rows["reference"]["vs_reference"] == 1.0
        assert rows["autoregressive"]["vs_autoregressive"] == 1.0
        assert all(row["tokens_per_s"] > 0 and row["peak_mb"] > 0 for row in rows.values())
        for row in rows.values():
            assert row["tokens_per_s"] == pytest.approx(
                1000 * batch * 16 / (row["ms_per_pass"] * row["passes"])
            )
    assert report["parameters"] > report["bytes_per_pass"] / 4
    assert report["bandwidth_gb_per_s"] > 0


def test_ways_take_turns_so_that_a_busy_machine_slows_them_alike():
    order = []

    def way(name, passes):
        def run():
            for _ in range(passes):
                order.append(name)
                yield

        return Way(run, passes)

    laps = race({"a": way("a", 4), "b": way("b", 2)}, "cpu")
    assert "".join(order) == "abaaba"
    assert {name: len(lap.passes_s) for name, lap in laps.items()} == {"a": 4, "b": 2}


def test_a_way_that_spends_more_passes_than_expected_is_run_to_its_end():
    laps = race({"a": Way(lambda: iter([None] * 5), 2)}, "cpu")
    assert len(laps["a"].passes_s) == 5


def test_the_command_prints_one_object_and_draws_a_picture(tmp_path):
    picture = tmp_path / "decode.svg"
    arguments = ["decode", "--shape", "tiny", "--tokens", "8", "--rounds", "1", "--json"]
    arguments += ["--dtype", "float32", "--device", "cpu", "--plot", str(picture)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert [row["mode"] for row in report["rows"]] == MODES
    assert {"shape", "device", "dtype", "parameters", "bytes_per_pass"} <= report.keys()
    assert {"ms_per_pass", "vs_reference", "peak_mb"} <= report["rows"][0].keys()
    svg = picture.read_text()
    assert all(f">{mode}</text>" in svg for mode in MODES)


def test_a_picture_places_more_tokens_a_second_higher(report):
    rows = [{**row, "tokens_per_s": 2.0**n} for n, row in enumerate(report["rows"])]
    svg = draw({**report, "rows": rows})
    heights = [float(y) for y in re.findall(r'cy="([\d.]+)"', svg)]
    assert len(heights) == len(rows)
    assert heights == sorted(heights, reverse=True)
    assert len(set(heights)) == len(rows)


def test_the_figures_of_a_large_model_are_whole_in_a_narrow_terminal(report, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    large = {"batch": 16, "ms_per_pass": 1150.9, "ms_median_pass": 1150.7, "peak_mb": 155_163.2}
    rows = [row | large | {"tokens_per_s": 1_510.3} for row in report["rows"]]
    bench._show(report | {"rows": rows})
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    assert "…" not in shown
    for figure in ("autoregressive", "1,150.9", "1,150.7", "1,510.3", "155,163"):
        assert figure in shown


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--shape", "70b", "use one of tiny, nano, 1b, 8b"),
        ("--dtype", "float16", "dtype 'float16' is unknown"),
        ("--batch", "1,none", "write one number, or several as 1,4,16"),
        ("--batch", "0", "write one number"),
        ("--plot", "/nowhere/at/all.svg", "its folder is not there"),
    ],
)
def test_an_option_that_cannot_be_is_refused_in_one_line(option, value, message):
    result = CliRunner().invoke(app, ["decode", option, value])
    assert isinstance(result.exception, UserError)
    assert message in str(result.exception)


def test_what_is_done_once_is_not_counted(monkeypatch):
    seconds = [100.0, 1.0, 2.0, 3.0]
    ways = ("reference", "prefix", "dual", "dual-k4", "autoregressive")

    def raced(*_):
        took = seconds.pop(0)
        return {name: _Lap([took]) for name in ways}

    monkeypatch.setattr(decode, "race", raced)
    report = bench_decode(Plan("tiny", new_tokens=8, rounds=3, warm_up=1))
    assert seconds == []
    assert {row["ms_per_pass"] for row in report["rows"]} == {2000}


def test_a_batch_that_finds_no_memory_is_named(monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(decode, "race", full)
    with pytest.raises(NotEnoughMemoryError, match="batch 16 found no memory on cpu"):
        bench_decode(Plan("tiny", new_tokens=8, batches=(16,)))


def test_a_shape_that_does_not_fit_is_refused_before_it_is_made():
    with pytest.raises(NotEnoughMemoryError, match=r"about 3\d\.\d GB of memory on cpu, 8\.0 GB"):
        bench_decode(Plan("8b"), free=lambda _: 8_000_000_000)
    plan = Plan("8b", dtype=torch.bfloat16)
    with pytest.raises(NotEnoughMemoryError, match=r"needs about 1\d\.\d GB"):
        bench_decode(plan, free=lambda _: 8_000_000_000)


def test_tokens_left_to_right_survive_what_is_recorded_beside_them():
    model = decode.random_model(decode.SHAPES["tiny"], "cpu", torch.float32)
    prefix = torch.randn(5, model.config.d_model)
    plain = LeftToRight(model, 2, 8)
    recorded = LeftToRight(model, 2, 8, OneOutput())
    for reader in (plain, recorded):
        first = reader.next(reader.read(prefix), 5)
        told = first.clone()
        reader.next(first + 1, 6)
        assert torch.equal(first, told)
    torch.testing.assert_close(plain.cache.k[:, :, :7], recorded.cache.k[:, :, :7])
