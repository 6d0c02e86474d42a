"""A run dealt to a cluster, by a stand-in for as much of Ray as is used."""

import sys
from types import ModuleType, SimpleNamespace

import pytest

from engines.evaluation.benchmarks.items import BenchmarkError
from engines.evaluation.benchmarks.running import Part
from engines.evaluation.benchmarks.spread import on_ray


class RayError(Exception):
    """What Ray raises, with what it was made of."""

    def __init__(self, text, cause=None):
        super().__init__(text)
        self.cause = cause


class Dataset:
    """Rows, and what is done with each; a row of `lost` cannot be had."""

    def __init__(self, rows, lost=()):
        self.rows, self.lost = rows, lost

    def map(self, work, *, num_gpus):
        self.work, self.num_gpus = work, num_gpus
        return self

    def iter_rows(self):
        for row in self.rows:
            if row["number"] in self.lost:
                raise RayError("long story\ntold", RayError("", MemoryError("no memory\nleft")))
            yield self.work(row)


@pytest.fixture
def cluster(monkeypatch):
    """What was asked of Ray."""
    asked = SimpleNamespace(lost=(), begun=[], sets=[], has={"CPU": 8.0})
    ray, data = ModuleType("ray"), ModuleType("ray.data")
    context = SimpleNamespace(enable_progress_bars=True)
    data.DataContext = SimpleNamespace(get_current=lambda: context)

    def from_items(rows, *, override_num_blocks):
        assert override_num_blocks == len(rows)
        asked.sets.append(Dataset(rows, asked.lost))
        return asked.sets[-1]

    data.from_items = from_items
    ray.cluster_resources = lambda: asked.has
    ray.init = lambda **settings: asked.begun.append(settings)
    ray.data, ray.exceptions = data, SimpleNamespace(RayError=RayError)
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setitem(sys.modules, "ray.data", data)
    asked.context = context
    return asked


PARTS = Part().share(3)


def dealt(tmp_path, job, ticks, *, gpu=True):
    journals = [part.journal(tmp_path) for part in PARTS]
    journals[0].parent.mkdir(exist_ok=True)
    on_ray(job, PARTS, ticks.append, journals=journals, gpu=gpu)


def writes(tmp_path, lines):
    def job(part, _tick):
        with part.journal(tmp_path).open("a") as file:
            file.write("{}\n" * lines)

    return job


def test_each_part_is_a_task_and_the_journals_tell_how_far_it_is(cluster, tmp_path):
    ticks = []
    dealt(tmp_path, writes(tmp_path, 4), ticks)
    assert sum(ticks) == 12
    dealt(tmp_path, writes(tmp_path, 1), ticks)  # what was there before is not told again
    assert sum(ticks) == 15
    (rows, _) = (each.rows for each in cluster.sets)
    assert rows == [{"number": number, "count": 3} for number in range(3)]
    assert not cluster.context.enable_progress_bars


def test_each_task_has_a_gpu_where_the_cluster_has_any(cluster, tmp_path):
    dealt(tmp_path, writes(tmp_path, 1), [])
    cluster.has["GPU"] = 2.0
    dealt(tmp_path, writes(tmp_path, 1), [])
    dealt(tmp_path, writes(tmp_path, 1), [], gpu=False)
    assert [each.num_gpus for each in cluster.sets] == [0, 1, 0]


def test_the_trouble_of_one_task_is_told_when_the_others_are_done(cluster, tmp_path):
    def job(part, tick):
        if part.number == 0:
            raise BenchmarkError("vosk is not installed")
        writes(tmp_path, 1)(part, tick)

    ticks = []
    with pytest.raises(BenchmarkError, match=r"^vosk is not installed$"):
        dealt(tmp_path, job, ticks)
    assert sum(ticks) == 2
    assert [part.journal(tmp_path).exists() for part in PARTS] == [False, True, True]


def test_an_error_of_ray_is_the_line_at_its_bottom(cluster, tmp_path):
    cluster.lost = (1,)
    with pytest.raises(BenchmarkError, match=r"^a task on Ray failed: no memory$"):
        dealt(tmp_path, writes(tmp_path, 1), [])


def test_a_full_disk_on_another_machine_is_one_line(cluster, tmp_path):
    def full(_part, _tick):
        raise OSError(28, "No space left on device")

    with pytest.raises(BenchmarkError, match="the disk is full; free some space"):
        dealt(tmp_path, full, [])


def test_without_ray_the_remedy_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(BenchmarkError, match=r"pip install 'assistant\[ray\]'"):
        dealt(tmp_path, writes(tmp_path, 1), [])
