"""The published reference code's own numbers, on tiny random weights (see `tests/golden`)."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

pytest.importorskip("torch")

from safetensors.torch import load_file, save_file

from assistant.cli.model import app
from engines.checkpoints import CheckpointError
from engines.evaluation.verify import verify
from engines.published import read_llada

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize(("folder", "count"), [("llada-tiny", 37), ("diffa-tiny", 17)])
def test_every_vector_of_the_reference_is_matched(folder, count):
    checks = list(verify(GOLDEN / folder))
    assert [check for check in checks if not check.passed] == []
    assert len(checks) == count


@pytest.fixture(scope="module")
def on_onnx(tmp_path_factory):
    """Exports a model and decodes with the graph."""
    from engines.backends.onnx import OnnxBackend
    from engines.export import export_lm

    def run(model):
        path = tmp_path_factory.mktemp("onnx") / "lm.onnx"
        export_lm(model, path)
        shape = model.config
        return OnnxBackend(
            path,
            mask_id=shape.mask_token_id,
            block_causal=False,
            max_sequence_length=shape.max_sequence_length,
            threads=1,
        )

    return run


def test_the_exported_graph_decodes_what_the_reference_does_guided_too(on_onnx):
    llada = on_onnx(read_llada(GOLDEN / "llada-tiny"))
    checks = {
        check.name: check
        for folder in ("llada-tiny", "diffa-tiny")
        for check in verify(GOLDEN / folder, run=lambda _: llada)
    }
    assert [check for check in checks.values() if not check.passed] == []
    guided = [
        case.get("name", f"generate.{case.get('case')}")
        for folder in ("llada-tiny", "diffa-tiny")
        for case in json.loads((GOLDEN / folder / "cases.json").read_text())
        if case.get("cfg_scale")
    ]
    assert guided
    assert all(checks[name].passed for name in guided)


def test_a_vector_that_does_not_match_is_counted_and_exits_with_1(tmp_path):
    folder = tmp_path / "llada-tiny"
    shutil.copytree(GOLDEN / "llada-tiny", folder)
    cases = json.loads((folder / "cases.json").read_text())[:2]
    cases[1]["nfe"] += 1
    (folder / "cases.json").write_text(json.dumps(cases))
    result = CliRunner().invoke(app, ["verify", str(folder)])
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1] == "2 passed, 1 failed"
    assert f"FAILED {cases[1]['name']}: 0 of 87 tokens differ" in result.stdout


@pytest.fixture
def llada(tmp_path):
    folder = tmp_path / "llada"
    shutil.copytree(GOLDEN / "llada-tiny", folder)
    return folder


def rewrite(folder, change):
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


NORM = "model.transformer.ln_f.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop(NORM), f"tensor {NORM} is missing"),
        (lambda t: t.update(surplus=t[NORM].clone()), "unknown tensor surplus"),
        (lambda t: t.update({NORM: t[NORM][:-1].clone()}), f"{NORM} is [63], not [64]"),
        (lambda t: t.update({NORM: t[NORM].int()}), f"{NORM} is torch.int32"),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(llada, change, message):
    rewrite(llada, change)
    with pytest.raises(CheckpointError) as caught:
        list(verify(llada))
    assert message in str(caught.value)


def test_a_file_that_was_downloaded_by_half_is_named(llada):
    path = llada / "model.safetensors"
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(CheckpointError, match=r"model\.safetensors: .*download it again"):
        list(verify(llada))


def test_a_sharded_model_loads_and_a_missing_shard_is_named(llada):
    tensors = load_file(llada / "model.safetensors")
    (llada / "model.safetensors").unlink()
    names = sorted(tensors)
    shards = {"model-1.safetensors": names[:9], "model-2.safetensors": names[9:]}
    for file, keys in shards.items():
        save_file({key: tensors[key] for key in keys}, llada / file)
    places = {key: file for file, keys in shards.items() for key in keys}
    (llada / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    assert next(verify(llada)).passed
    (llada / "model-2.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"model-2\.safetensors"):
        list(verify(llada))


def test_a_folder_that_holds_something_else_is_refused_in_one_line(tmp_path):
    result = CliRunner().invoke(app, ["verify", str(tmp_path)])
    assert "neither config.json nor diffa/" in str(result.exception)
    assert "\n" not in str(result.exception)


def test_the_language_model_beside_a_diffa_folder_is_found(tmp_path):
    diffa = tmp_path / "diffa-other"
    shutil.copytree(GOLDEN / "diffa-tiny", diffa)
    (diffa / "cases.json").write_text("[]")
    with pytest.raises(CheckpointError, match=r"llada-other: no language model .* --llada"):
        list(verify(diffa))
    shutil.copytree(GOLDEN / "llada-tiny", tmp_path / "llada-other")
    assert all(check.passed for check in verify(diffa))


def test_a_vector_that_is_not_there_is_named(llada):
    vectors = load_file(llada / "vectors.safetensors")
    del vectors["none.a.g64b16s32.prompt"]
    save_file(vectors, llada / "vectors.safetensors")
    with pytest.raises(CheckpointError, match=r"vectors\.safetensors: no vector none\.a"):
        list(verify(llada))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": None}, "name is no name"),
        ({"gen_length": 8}, "gen_length is no multiple of block_length"),
        ({"block_length": 0}, "block_length is no number above 0"),
        ({"steps": None}, "steps is no number above 0"),
        ({"steps": None, "threshold": "0.9"}, "a number is none"),
        ({"gen_length": 2**20, "block_length": 2**20}, "1048599 positions asked for"),
    ],
)
def test_a_case_that_is_none_is_refused_in_one_line(llada, change, message):
    case = json.loads((llada / "cases.json").read_text())[0] | change
    (llada / "cases.json").write_text(json.dumps([case]))
    with pytest.raises(CheckpointError, match=message):
        list(verify(llada))


@pytest.mark.parametrize("cases", [{"a": 1}, [1], None])
def test_cases_that_are_no_list_of_cases_are_refused(llada, cases):
    (llada / "cases.json").write_text(json.dumps(cases))
    with pytest.raises(CheckpointError, match=r"cases\.json"):
        list(verify(llada))


def test_vectors_that_are_longer_than_the_model_s_context_are_run_as_the_reference_ran_them(llada):
    config = json.loads((llada / "config.json").read_text())
    (llada / "config.json").write_text(json.dumps(config | {"max_sequence_length": 64}))
    cases = json.loads((llada / "cases.json").read_text())[:1]
    (llada / "cases.json").write_text(json.dumps(cases))
    assert [check.passed for check in verify(llada)] == [True, True]


def test_prompts_of_one_case_are_decoded_together(llada):
    """As the reference counts passes: the rows of a batch wait for each other."""
    vectors, name = load_file(llada / "vectors.safetensors"), "prefix.a.g64b32t0.5"
    for part in ("prompt", "output"):
        vectors[f"{name}.{part}"] = vectors[f"{name}.{part}"].repeat(2, 1)
    save_file(vectors, llada / "vectors.safetensors")
    cases = json.loads((llada / "cases.json").read_text())
    (llada / "cases.json").write_text(json.dumps([c for c in cases if c["name"] == name]))
    checks = list(verify(llada))
    assert [check.passed for check in checks] == [True, True]
    assert "0 of 174 tokens differ" in checks[1].detail
