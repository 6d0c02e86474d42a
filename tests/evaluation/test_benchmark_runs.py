"""Runs are resumed, shared and refused as they should be, and a killed one ends like any other."""

import errno
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from engines.evaluation.benchmarks import journal
from engines.evaluation.benchmarks.catalogue import BENCHMARKS
from engines.evaluation.benchmarks.data import find
from engines.evaluation.benchmarks.items import BenchmarkError
from engines.evaluation.benchmarks.own import grouped
from engines.evaluation.benchmarks.running import Part, answered, chosen, settled, work
from tests.evaluation.fakes import FakeAnswerer

ROOT = Path(__file__).parents[2]
VOICEBENCH = BENCHMARKS["voicebench"]


@pytest.fixture
def splits(published):
    return find(VOICEBENCH, published / "voicebench", ("advbench", "mmsu"))


def responses(splits, out) -> dict[str, dict]:
    places = {split.key: sorted(chosen(split, None)) for split in splits}
    groups = grouped(splits, places, answered(out), out, "fake")
    return {each.key: dict(each.row) for _, found in groups for each in found}


def test_every_item_is_answered_once_and_written_in_voicebenchs_own_format(splits, tmp_path):
    fake, ticks = FakeAnswerer(), []
    work(splits, fake, tmp_path, tick=ticks.append)
    assert (len(fake.asked), sum(ticks)) == (80, 80)
    rows = responses(splits, tmp_path)
    assert rows["mmsu/law/0"] == {
        "question_id": "1",
        "prompt": "What is the capital of Italy? A: Dublin. B: Rome. C: Beijing. D: Amman.",
        "reference": "B",
        "response": "The answer is B: it is so.",
    }
    path = tmp_path / "responses" / "fake-mmsu-law-audio.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["question_id"] for line in lines] == [str(n) for n in range(1, 40, 2)]


def test_a_run_goes_on_where_it_stopped(splits, tmp_path):
    class GivesUp(FakeAnswerer):
        def answer(self, items):
            for number, group in enumerate(super().answer(items)):
                yield group
                if number == 4:
                    raise OSError(errno.ENOSPC, "No space left on device")

    first = GivesUp()
    with pytest.raises(OSError, match="No space"):
        work(splits, first, tmp_path)
    assert len(answered(tmp_path)) == 20
    second = FakeAnswerer()
    work(splits, second, tmp_path)
    assert set(first.asked[:20]).isdisjoint(second.asked)
    assert len(second.asked) == 60
    third = FakeAnswerer()
    work(splits, third, tmp_path)
    assert third.asked == []


def test_parts_share_the_items_whoever_took_which_before(splits, tmp_path):
    one, two, rest = FakeAnswerer(), FakeAnswerer(), FakeAnswerer()
    work(splits, one, tmp_path, part=Part.parse("1/3"))
    for part in Part.parse("2/3").share(2):
        work(splits, two, tmp_path, part=part)
    assert set(one.asked).isdisjoint(two.asked)
    work(splits, rest, tmp_path)
    assert sorted([*one.asked, *two.asked, *rest.asked]) == sorted(responses(splits, tmp_path))
    assert abs(len(one.asked) - len(two.asked)) <= len(splits)
    for wrong in ("0/3", "4/3", "a/b", "3"):
        with pytest.raises(BenchmarkError, match="write i/n"):
            Part.parse(wrong)


def test_a_limit_is_spread_over_each_split(splits, tmp_path):
    fake = FakeAnswerer()
    work(splits, fake, tmp_path, limit=4)
    assert fake.asked == [
        *(f"mmsu/law/{place}" for place in (0, 5, 10, 15)),
        *(f"mmsu/physics/{place}" for place in (0, 5, 10, 15)),
        *(f"advbench/test/{place}" for place in (0, 10, 20, 30)),
    ]


@pytest.mark.parametrize("limit", [None, 20, 10, 1])
def test_parts_are_alike_in_size_however_many_items_are_asked_for(published, limit):
    splits = find(VOICEBENCH, published / "voicebench")
    wanted = {(split.key, place) for split in splits for place in chosen(split, limit)}
    for count in (2, 3, 4):
        parts = [
            {(split.key, place) for split in splits for place in chosen(split, limit, part)}
            for part in Part().share(count)
        ]
        assert set().union(*parts) == wanted
        assert sum(map(len, parts)) == len(wanted)
        assert min(map(len, parts)) >= len(wanted) / count / 3
    halves = [chosen(splits[0], limit, part) for part in (Part(0, 2), Part(1, 2))]
    for number, half in enumerate(halves):
        shared = [chosen(splits[0], limit, part) for part in Part(number, 2).share(3)]
        assert set().union(*shared) == half


def begin(out, *, model="a", decoding="16"):
    with settled(out, {"model": model, "decoding": decoding}):
        pass


def test_a_folder_of_another_run_is_refused(tmp_path):
    begin(tmp_path)
    begin(tmp_path)
    with pytest.raises(BenchmarkError, match=r"was begun with another decoding \(16, now 4\)"):
        begin(tmp_path, decoding="4")
    with pytest.raises(BenchmarkError, match=r"with another decoding, model .a, now b. .see"):
        begin(tmp_path, model="b", decoding="4" * 60)


def test_a_folder_that_was_begun_in_vain_may_be_begun_anew(splits, tmp_path):
    with pytest.raises(BenchmarkError, match="no model"), settled(tmp_path, {"model": "wrong"}):
        raise BenchmarkError("no model")
    begin(tmp_path)
    with (
        pytest.raises(BenchmarkError, match="away"),
        settled(tmp_path, {"model": "a", "decoding": "16"}),
    ):
        raise BenchmarkError("away")
    with pytest.raises(BenchmarkError, match="another model"):
        begin(tmp_path, model="b")  # it was not begun by the one that failed
    out = tmp_path / "answered"

    def stops():
        work(splits, FakeAnswerer(), out, limit=1)
        raise BenchmarkError("away")

    with pytest.raises(BenchmarkError, match="away"), settled(out, {"model": "a"}):
        stops()
    with pytest.raises(BenchmarkError, match="begun with another"):
        begin(out, model="b")


def test_an_undecodable_sound_is_told_and_does_not_stop_the_run(published, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = tmp_path / "data" / "advbench"
    folder.mkdir(parents=True)
    audio = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    sounds = [{"bytes": b"no sound", "path": None}, {"bytes": None, "path": "gone.wav"}, None]
    table = pa.table({"prompt": ["a", "b", "c"], "audio": pa.array(sounds, audio)})
    pq.write_table(table, folder / "test-00000-of-00001.parquet")
    splits = find(VOICEBENCH, folder.parent)
    work(splits, FakeAnswerer(), tmp_path / "out")
    errors = [row["error"] for row in responses(splits, tmp_path / "out").values()]
    assert errors[0].startswith("not a recording")
    assert errors[1:] == ["gone.wav: no such file", "the item has no audio"]


def test_a_full_disk_loses_no_finished_work(splits, tmp_path, monkeypatch):
    work(splits, FakeAnswerer(), tmp_path, limit=8)
    kept = answered(tmp_path)

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        work(splits, FakeAnswerer(), tmp_path)
    monkeypatch.undo()
    assert kept.keys() <= answered(tmp_path).keys()
    work(splits, FakeAnswerer(), tmp_path)
    assert len(answered(tmp_path)) == 80


def killed(data: Path, out: Path, after: int) -> list[str]:
    """Run the fake as a program and kill it once it has been asked so many items."""
    command = [sys.executable, "-m", "tests.evaluation.fakes", str(data), str(out), str(after)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        line = process.stdout.readline()
        if line.strip() == "stopped":
            process.kill()
            return []
        process.stdin.close()
        return json.loads(line)


def test_a_run_that_is_killed_twice_ends_like_an_undisturbed_one(published, tmp_path):
    data, torn, whole = published / "voicebench", tmp_path / "torn", tmp_path / "whole"
    killed(data, torn, 50)
    finished = set(answered(torn))
    assert 40 <= len(finished) <= 50
    with (torn / "parts" / "1-of-1.jsonl").open("ab") as file:
        file.write(b'{"key": "bbh/test/0", "resp')  # as a kill in the middle of a line leaves it
    killed(data, torn, 70)
    assert finished < set(answered(torn))
    finished = set(answered(torn))
    asked = killed(data, torn, 0)
    assert finished.isdisjoint(asked)
    assert len(finished) + len(asked) == 280
    killed(data, whole, 0)
    splits = find(VOICEBENCH, data)
    assert responses(splits, torn) == responses(splits, whole)
    for path in (whole / "responses").iterdir():
        assert path.read_bytes() == (torn / "responses" / path.name).read_bytes()


WEIGHED = """
import sys
from pathlib import Path
from engines.evaluation.benchmarks.catalogue import BENCHMARKS
from engines.evaluation.benchmarks.data import find
from engines.evaluation.benchmarks.running import work
from tests.evaluation.fakes import FakeAnswerer

class Weighing(FakeAnswerer):
    def answer(self, items):
        for group in super().answer(items):
            status = Path("/proc/self/status").read_text()
            print(int(status.split("VmRSS:")[1].split()[0]) / 1000)
            yield group

data = Path(sys.argv[1])
work(find(BENCHMARKS["voicebench"], data), Weighing({}), data.parent / "out")
"""


def test_memory_is_flat_however_many_items_there_are(tmp_path):
    """What the process takes of the machine, mapped files included, over 100 MB of sounds."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    noise = np.random.default_rng(0).integers(-9999, 9999, (20, 125_000), np.int16)
    sounds = []
    for samples in noise:
        file = io.BytesIO()
        soundfile.write(file, samples, 16_000, format="WAV")
        sounds.append({"bytes": file.getvalue(), "path": None})
    folder = tmp_path / "data" / "advbench"
    folder.mkdir(parents=True)
    audio = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"prompt": ["a"] * 20, "audio": pa.array(sounds, audio)})
    path = folder / "test-00000-of-00001.parquet"
    with pq.ParquetWriter(path, table.schema, use_dictionary=False, compression="none") as writer:
        for _ in range(20):
            writer.write_table(table)
    assert path.stat().st_size > 100e6
    command = [sys.executable, "-c", WEIGHED, str(folder.parent)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    weighed_mb = [float(line) for line in done.stdout.splitlines()]
    assert len(weighed_mb) == 100
    assert max(weighed_mb) < weighed_mb[4] + 10


def test_an_interrupted_write_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "report.md"
    journal.write_whole(path, ["whole"])

    def breaks() -> Iterator[str]:
        yield "half"
        raise BenchmarkError("no")

    with pytest.raises(BenchmarkError):
        journal.write_whole(path, breaks())
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]
