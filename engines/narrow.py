"""Matrices of an ONNX graph in eight bits, their inputs scaled position by position.

What stands beside a position in a batch or in its request changes nothing of it, so that answers do
not depend on what is answered beside them; onnxruntime's own dynamic quantisation takes one scale
for all of a batch. Each column of a matrix has a scale of its own.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from engines.checkpoints import CheckpointError

MOST = 63
"""Largest weight: two products with inputs of eight bits fit into sixteen bits, which processors
without VNNI add them in; with 127 they would be cut off there, and answer otherwise."""
_LEVELS = 127
_STEP, _MIDDLE, _LEAST, _LAST = "narrow_step", "narrow_middle", "narrow_least", "narrow_last"
_CONSTANTS = {
    _STEP: np.float32(1 / _LEVELS),
    _MIDDLE: np.uint8(_LEVELS + 1),
    _LEAST: np.float32(1e-12),  # a position of zeros has no scale
    _LAST: np.array([-1], dtype=np.int64),
}


def narrow(source: Path, target: Path) -> None:
    """Write a copy of a graph in which every product with a constant matrix is of integers.

    Raises `CheckpointError` for a file that is no graph, and for one without such a product.
    """
    model = _load(source)
    graph = model.graph
    constants = {each.name: each for each in graph.initializer}
    found = {
        node.output[0]: constants[node.input[1]]
        for node in graph.node
        if node.op_type == "MatMul"
        and node.input[1] in constants
        and len(constants[node.input[1]].dims) == 2
    }
    if not found:
        raise CheckpointError(
            f"{source}: no matrix in single precision; ship or convert the model without int8"
        )
    nodes: list[onnx.NodeProto] = []
    scaled: set[str] = set()
    for node in graph.node:
        if node.output[0] not in found:
            nodes.append(node)
            continue
        entering = node.input[0]
        if entering not in scaled:
            nodes += _scale(entering)
            scaled.add(entering)
        nodes += _multiply(entering, node.input[1], node.output[0])
    matrices = {each.name: each for each in found.values()}
    del graph.node[:]
    graph.node.extend(nodes)
    used = Counter(name for node in nodes for name in node.input)
    kept = [each for each in graph.initializer if used[each.name]]
    del graph.initializer[:]
    graph.initializer.extend([*kept, *_shared(), *_narrowed(matrices.values())])
    if all(each.domain != "com.microsoft" for each in model.opset_import):
        model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    onnx.save(model, target)


def _load(path: Path) -> onnx.ModelProto:
    try:
        return onnx.load(path)
    except (OSError, ValueError, DecodeError) as error:
        raise CheckpointError(f"{path}: no ONNX graph ({error}); export it again") from error


def rounded(matrix: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """A matrix [in, out] in whole numbers up to `MOST`, and the scale of each column [out]."""
    largest = np.maximum(np.abs(matrix).max(axis=0), np.float32(1e-12))
    scales = (largest / MOST).astype(np.float32)
    return np.rint(matrix / scales).astype(np.int8), scales


def _scale(name: str) -> Iterator[onnx.NodeProto]:
    """Each position of a tensor in whole numbers of 1 to 255, and its largest number."""
    make = helper.make_node
    yield make("Abs", [name], [f"{name}_size"])
    yield make("ReduceMax", [f"{name}_size", _LAST], [f"{name}_most"], keepdims=1)
    yield make("Max", [f"{name}_most", _LEAST], [f"{name}_scale"])
    yield make("Div", [name, f"{name}_scale"], [f"{name}_share"])
    yield make("QuantizeLinear", [f"{name}_share", _STEP, _MIDDLE], [f"{name}_whole"])


def _multiply(name: str, matrix: str, result: str) -> Iterator[onnx.NodeProto]:
    """The product of a scaled tensor and a matrix, back in its own scale."""
    kept = [f"{matrix}_quantized", _STEP, f"{matrix}_scale", _MIDDLE, f"{matrix}_zero_point"]
    entering = [f"{name}_whole", *kept]
    yield helper.make_node(
        "MatMulIntegerToFloat", entering, [f"{result}_share"], domain="com.microsoft"
    )
    yield helper.make_node("Mul", [f"{result}_share", f"{name}_scale"], [result])


def _shared() -> Iterator[onnx.TensorProto]:
    for name, value in _CONSTANTS.items():
        yield numpy_helper.from_array(np.asarray(value), name)


def _narrowed(matrices: Iterable[onnx.TensorProto]) -> Iterator[onnx.TensorProto]:
    for each in matrices:
        whole, scales = rounded(numpy_helper.to_array(each))
        # named as onnxruntime's own quantiser names them, for whoever reads weights off a graph
        yield numpy_helper.from_array(whole, f"{each.name}_quantized")
        yield numpy_helper.from_array(scales, f"{each.name}_scale")
        yield numpy_helper.from_array(np.array(0, dtype=np.int8), f"{each.name}_zero_point")
