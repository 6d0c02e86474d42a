"""Integer matrices: close to the floats they stand for, and blind to what is beside a position."""

import shutil

import numpy as np
import onnx
import onnxruntime
import pytest
from typer.testing import CliRunner

pytest.importorskip("torch")

from assistant.cli.model import app
from assistant.errors import UserError
from engines.backends import Query
from engines.backends.onnx import OnnxBackend
from engines.narrow import MOST, narrow, rounded
from engines.schedule import Schedule
from tests.engines.test_backends import GUIDED, REQUESTS, responses


@pytest.fixture(scope="module")
def narrowed(tiny_folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("narrow") / "lm.onnx"
    narrow(tiny_folder / "lm.onnx", path)
    return path


def backend(path):
    return OnnxBackend(path, mask_id=1, block_causal=True, max_sequence_length=256, threads=1)


def proposals(backend, requests):
    """What is proposed for the first pass of some requests, together."""
    queries = []
    for request in requests:
        state = backend.admit(request.context, Schedule(4, 4))
        response = np.full(4, backend.mask_id)
        queries.append(Query(state, response, -len(request.context), 4, np.arange(4)))
    return backend.propose(queries)


def test_a_request_is_answered_to_the_bit_as_if_it_were_alone(narrowed):
    model = backend(narrowed)
    together = proposals(model, REQUESTS)
    for request, beside in zip(REQUESTS, together, strict=True):
        (alone,) = proposals(model, [request])
        np.testing.assert_array_equal(beside.tokens, alone.tokens)
        np.testing.assert_array_equal(beside.log_probability, alone.log_probability)
    whole = [*REQUESTS, *GUIDED]
    assert responses(model, whole) == [responses(model, [each])[0] for each in whole]


def test_the_command_narrows_a_folder_once(tiny_folder, narrowed, tmp_path):
    folder = tmp_path / "tiny"
    shutil.copytree(tiny_folder, folder)
    done = CliRunner().invoke(app, ["narrow", str(folder)])
    assert done.exit_code == 0, done.output
    assert (folder / "lm.onnx").read_bytes() == narrowed.read_bytes()
    assert len(list(folder.iterdir())) == len(list(tiny_folder.iterdir()))
    again = CliRunner().invoke(app, ["narrow", str(folder)])
    assert isinstance(again.exception, UserError)
    assert "lm.onnx: no matrix in single precision" in str(again.exception)
    (folder / "lm.onnx").write_bytes(b"no graph")
    broken = CliRunner().invoke(app, ["narrow", str(folder)])
    assert "lm.onnx: no ONNX graph" in str(broken.exception)


def test_every_matrix_is_narrow_and_keeps_a_scale_for_each_column(tiny_folder, narrowed):
    before, after = (onnx.load(path).graph for path in (tiny_folder / "lm.onnx", narrowed))
    held = {each.name: each for each in after.initializer}
    products = [node for node in after.node if node.op_type == "MatMulIntegerToFloat"]
    assert len(products) == 2 * 7 + 1
    for node in products:
        matrix, scales = held[node.input[1]], held[node.input[3]]
        assert matrix.data_type == onnx.TensorProto.INT8
        assert list(scales.dims) == list(matrix.dims)[1:]
    left = [node for node in after.node if node.op_type == "MatMul"]
    assert len(left) == sum(node.op_type == "MatMul" for node in before.node) - len(products)
    assert not any(name in held for node in left for name in node.input)


def test_weights_leave_room_for_two_products_in_sixteen_bits():
    matrix = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)
    matrix[:, 1] *= 100
    matrix[:, 2] = 0
    whole, scales = rounded(matrix)
    assert 2 * 255 * MOST < 2**15
    assert np.abs(whole).max(axis=0).tolist() == [MOST, MOST, 0]
    assert (np.abs(whole * scales - matrix) <= scales / 2 * 1.001).all()


def product(folder, matrix):
    """A graph that does nothing but multiply, in integers."""
    value, make = onnx.helper.make_tensor_value_info, onnx.helper.make_node
    sizes = [["B", size] for size in matrix.shape]
    graph = onnx.helper.make_graph(
        [make("MatMul", ["x", "matrix"], ["y"])],
        "product",
        [value("x", onnx.TensorProto.FLOAT, sizes[0])],
        [value("y", onnx.TensorProto.FLOAT, sizes[1])],
        [onnx.numpy_helper.from_array(matrix, "matrix")],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)])
    model.ir_version = 9
    onnx.save(model, folder / "whole.onnx")
    narrow(folder / "whole.onnx", folder / "narrow.onnx")
    session = onnxruntime.InferenceSession(folder / "narrow.onnx")
    return lambda rows: session.run(None, {"x": rows})[0]


def test_a_product_is_as_exact_as_its_steps_allow_in_rows_and_columns_of_any_size(tmp_path):
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(40, 96)).astype(np.float32) * np.geomspace(1e-3, 1e3, 40)[:, None]
    matrix = rng.normal(size=(96, 24)).astype(np.float32) * np.geomspace(1e-2, 1e2, 24)
    rows, matrix = rows.astype(np.float32), matrix.astype(np.float32)
    found = product(tmp_path, matrix)(rows)
    half_row = np.abs(rows).max(axis=1, keepdims=True) / 127 / 2
    half_column = np.abs(matrix).max(axis=0, keepdims=True) / MOST / 2
    allowed = half_row @ np.abs(matrix).sum(axis=0, keepdims=True)
    allowed = allowed + np.abs(rows).sum(axis=1, keepdims=True) @ half_column
    allowed = allowed + 96 * half_row * half_column
    assert (np.abs(found - rows @ matrix) <= allowed * 1.001).all()


def test_a_position_of_zeros_stays_zero_and_large_ones_are_no_trouble(tmp_path):
    rows = np.array([[0, 0, 0, 0], [1e6, -1e6, 0, 5e5], [1e-6, 0, 0, 0]], dtype=np.float32)
    result = product(tmp_path, np.eye(4, dtype=np.float32))(rows)
    np.testing.assert_array_equal(result[0], 0)
    np.testing.assert_allclose(result, rows, rtol=0.01, atol=1e-9)
