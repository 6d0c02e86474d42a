import pytest

pytest.importorskip("torch")


def test_the_benchmark_counts_passes_and_compares_with_both_baselines():
    from engines.evaluation.bench import bench_decode

    report = bench_decode("tiny", new_tokens=16, block_length=8, k=4, rounds=1)
    rows = {row["mode"]: row for row in report["rows"]}
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
    assert report["parameters"] > report["bytes_per_pass"] / 4
    assert report["bandwidth_gb_per_s"] > 0
