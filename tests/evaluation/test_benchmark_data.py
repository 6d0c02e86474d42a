"""Published data is found and read as it is distributed, and refused where it is not whole."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from engines.evaluation.benchmarks import journal
from engines.evaluation.benchmarks.catalogue import BENCHMARKS, question
from engines.evaluation.benchmarks.data import find
from engines.evaluation.benchmarks.hub import download
from engines.evaluation.benchmarks.items import BenchmarkError
from engines.evaluation.benchmarks.sound import SoundError, decode, trimmed

VOICEBENCH, MMSU, MMAU = (BENCHMARKS[name] for name in ("voicebench", "mmsu", "mmau"))


def everything(_place: int) -> bool:
    return True


@pytest.fixture
def copy(published, tmp_path):
    return Path(shutil.copytree(published, tmp_path / "copy"))


def test_every_subset_is_found_in_the_benchmarks_order(published):
    splits = find(VOICEBENCH, published / "voicebench")
    assert [split.key for split in splits] == [
        "alpacaeval_full/test", "sd-qa/usa", "sd-qa/aus", "mmsu/law", "mmsu/physics",
        "openbookqa/test", "bbh/test", "ifeval/test", "advbench/test",
    ]  # fmt: skip
    assert {split.key: split.total for split in splits}["sd-qa/aus"] == 20
    assert [len(split.files) for split in splits][:2] == [2, 1]


def test_items_come_with_their_columns_and_a_sound_that_decodes(published):
    split = find(VOICEBENCH, published / "voicebench", ("ifeval",))[0]
    items = list(split.read(lambda place: place in {3, 24, 25, 39}))
    assert [item.key for item in items] == [f"ifeval/test/{place}" for place in (3, 24, 25, 39)]
    assert items[2].row["instruction_id_list"] == ["punctuation:no_comma"]
    assert "audio" not in items[2].row
    for item in items:
        assert 0.3 < len(decode(item.sound)) / 16_000 < 10


def test_columns_can_be_read_without_the_sounds(published):
    split = find(VOICEBENCH, published / "voicebench", ("bbh",))[0]
    items = list(split.read(everything, sound=False))
    assert len(items) == 40
    assert all(item.sound is None for item in items)


def test_sounds_are_found_though_the_rows_name_them_as_on_their_authors_machine(published):
    for benchmark in (MMSU, MMAU):
        split = find(benchmark, published / benchmark.name)[0]
        assert split.total == 40
        for item in split.read(lambda place: place < 3):
            assert len(decode(item.sound))


def test_one_file_can_be_named_instead_of_its_folder(published):
    split = find(MMAU, published / "mmau" / "mmau-test-mini.json")[0]
    assert len(decode(next(split.read(everything)).sound))


def test_nothing_outside_the_data_is_opened(copy):
    outside = copy / "outside.wav"
    soundfile.write(outside, np.zeros(1600, np.int16), 16_000)
    rows = json.loads((copy / "mmau" / "mmau-test-mini.json").read_text())
    rows[0]["audio_id"], rows[1]["audio_id"] = "../outside.wav", str(outside)
    (copy / "mmau" / "mmau-test-mini.json").write_text(json.dumps(rows))
    items = list(find(MMAU, copy / "mmau")[0].read(lambda place: place < 2))
    for item in items:
        with pytest.raises(SoundError, match=r"outside\.wav: no such file"):
            decode(item.sound)


@pytest.mark.parametrize(
    ("benchmark", "folder", "complaint"),
    [
        (VOICEBENCH, "nowhere", "no such folder"),
        (VOICEBENCH, "mmau", "holds no VoiceBench data"),
        (MMSU, "voicebench/advbench", "has no column id, question"),
        (MMAU, "mmsu/question/mmsu.jsonl", "row 1 has no choices, answer, task, difficulty"),
    ],
)
def test_a_wrong_folder_is_named(published, benchmark, folder, complaint):
    with pytest.raises(BenchmarkError, match=complaint):
        find(benchmark, published / folder)


def test_a_subset_that_is_not_there_is_named(published):
    with pytest.raises(BenchmarkError, match="no data of wildvoice"):
        find(VOICEBENCH, published / "voicebench", ("wildvoice",))
    with pytest.raises(BenchmarkError, match="no subset 'alpaca'; it has alpacaeval_full"):
        find(VOICEBENCH, published / "voicebench", ("alpaca",))


def test_a_missing_shard_a_damaged_one_and_one_without_sound_are_named(copy):
    import pyarrow.parquet as pq

    folder = copy / "voicebench"
    (folder / "bbh" / "test-00001-of-00002.parquet").unlink()
    with pytest.raises(BenchmarkError, match="1 of 2 shards of test"):
        find(VOICEBENCH, folder, ("bbh",))
    (folder / "mmsu" / "law-00000-of-00001.parquet").write_bytes(b"PAR1")
    with pytest.raises(BenchmarkError, match=r"law-00000-of-00001\.parquet is no parquet file"):
        find(VOICEBENCH, folder, ("mmsu",))
    path = folder / "sd-qa" / "usa-00000-of-00001.parquet"
    pq.write_table(pq.read_table(path).drop_columns("audio"), path)
    with pytest.raises(BenchmarkError, match="has no audio column"):
        find(VOICEBENCH, folder, ("sd-qa",))


def test_questions_are_put_as_they_were_to_diffa(published):
    row = next(find(MMSU, published / "mmsu")[0].read(everything)).row
    told = question("mmsu", row)
    assert told.startswith("Choose the most suitable answer from options A, B, C, and D")
    choices = [f"{letter}. {row[f'choice_{letter.lower()}']}" for letter in "ABCD"]
    assert told.endswith("\n\n".join(["", f"Question: {row['question']}", "\n".join(choices)]))
    row = next(find(MMAU, published / "mmau")[0].read(everything)).row
    assert question("mmau", row).endswith(f"D. {row['choices'][3]}\nAnswer:")
    assert question("voicebench", row) == ""


@pytest.mark.parametrize(
    ("sound", "complaint"),
    [(None, "no audio"), (b"", "not a recording"), (b"RIFF" * 30, "not a recording")],
)
def test_what_is_no_recording_is_told(sound, complaint):
    with pytest.raises(SoundError, match=complaint):
        decode(sound)


def test_a_long_recording_is_cut_as_whisper_cuts_it():
    wave = np.arange(32_000, dtype=np.float32)
    kept, cut = trimmed(wave, 1.5)
    assert (len(kept), cut, kept[-1]) == (24_000, True, 23_999)
    assert trimmed(wave, 2.0)[1] is False


def test_a_journal_loses_a_torn_line_and_nothing_else(tmp_path):
    path = tmp_path / "parts" / "a.jsonl"
    with journal.Journal(path) as first:
        first.add([{"key": "é1"}, {"key": "2"}])
    with path.open("ab") as file:
        file.write(b'{"key": "3", "resp')
    assert [row["key"] for row in journal.read(path)] == ["é1", "2"]
    with journal.Journal(path) as again:
        again.add([{"key": "4"}])
    assert [row["key"] for row in journal.read(path)] == ["é1", "2", "4"]


def test_a_journal_has_one_writer_and_names_a_damaged_line(tmp_path):
    path = tmp_path / "a.jsonl"
    with (
        journal.Journal(path),
        pytest.raises(BenchmarkError, match="another run is writing it"),
    ):
        journal.Journal(path)
    path.write_text('{"a": 1}\n{oops\n')
    with pytest.raises(BenchmarkError, match="line 2: damaged"):
        list(journal.read(path))


def on_the_hub(folder, published, **changed):
    """MMAU's questions as its authors lay them on the hub: packed, and with the sounds within."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = json.loads((published / "mmau" / "mmau-test-mini.json").read_text())[:3]
    within = ("id", "task", "difficulty", "sub-category")
    table = pa.table(
        {
            "context": pa.array(
                [
                    {"bytes": (published / "mmau" / row["audio_id"]).read_bytes(), "path": None}
                    for row in rows
                ],
                pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
            ),
            "instruction": [row["question"] for row in rows],
            "choices": [[f"(A) {choice}" for choice in row["choices"]] for row in rows],
            "answer": [f"(A) {row['answer']}" for row in rows],
            "other_attributes": [
                changed.get("packed")
                or json.dumps({name: row[name] for name in within} | {"category": ["Reasoning"]})
                for row in rows
            ],
        }
    )
    folder.mkdir(parents=True)
    pq.write_table(table, folder / "test_mini.parquet")
    return rows


def test_mmau_is_read_as_it_lies_on_the_hub(published, tmp_path):
    rows = on_the_hub(tmp_path / "data", published)
    (split,) = find(MMAU, tmp_path / "data")
    items = list(split.read(everything))
    assert [item.row["id"] for item in items] == [row["id"] for row in rows]
    assert items[1].row == {
        "id": "uuid-1",
        "task": "music",
        "difficulty": "medium",
        "sub-category": "Geography",
        "category": "Reasoning",
        "question": rows[1]["question"],
        "choices": [f"(A) {choice}" for choice in rows[1]["choices"]],
        "answer": f"(A) {rows[1]['answer']}",
    }
    assert len(decode(items[1].sound))
    assert question("mmau", items[1].row).startswith("You are given the audio")


def test_mmau_that_is_packed_badly_is_told_by_its_row(published, tmp_path):
    for place, packed in enumerate(("[1]", "no json")):
        on_the_hub(tmp_path / str(place), published, packed=packed)
        (split,) = find(MMAU, tmp_path / str(place))
        with pytest.raises(BenchmarkError, match=r"test_mini.parquet, row 1: "):
            list(split.read(everything))


def test_another_benchmarks_folder_is_no_folder_that_lacks_shards(published):
    with pytest.raises(BenchmarkError, match=r"several sets of shards of test .* of one benchmark"):
        find(MMAU, published / "voicebench")


def test_what_is_no_recording_is_told_the_same_way_every_time():
    for sound in (b"no sound", b"RIFF"):
        with pytest.raises(SoundError) as caught:
            decode(sound)
        assert "0x" not in str(caught.value)
        assert str(caught.value).startswith("not a recording: ")


def test_the_hub_is_asked_for_just_what_is_needed(monkeypatch, tmp_path):
    hub = pytest.importorskip("huggingface_hub")
    asked = []
    monkeypatch.setattr(hub, "snapshot_download", lambda name, **how: asked.append((name, how)))
    download(VOICEBENCH, tmp_path, ("bbh",))
    download(VOICEBENCH, tmp_path)
    download(MMSU, tmp_path)
    download(MMAU, tmp_path)
    assert [(name, how["allow_patterns"]) for name, how in asked] == [
        ("hlt-lab/voicebench", ["bbh/*"]),
        ("hlt-lab/voicebench", None),
        ("ddwang2000/MMSU", None),
        ("gamma-lab-umd/MMAU-test-mini", ["*.parquet"]),
    ]
    assert {(how["repo_type"], how["local_dir"]) for _, how in asked} == {("dataset", tmp_path)}


def test_a_hub_that_is_away_is_one_line(monkeypatch, tmp_path):
    hub = pytest.importorskip("huggingface_hub")

    def away(*_args, **_how):
        raise OSError("Name or service not known\nand so on")

    monkeypatch.setattr(hub, "snapshot_download", away)
    with pytest.raises(BenchmarkError) as caught:
        download(MMAU, tmp_path)
    assert str(caught.value) == (
        "gamma-lab-umd/MMAU-test-mini cannot be downloaded (Name or service not known); without a "
        "network, copy the data and leave --hub out"
    )
