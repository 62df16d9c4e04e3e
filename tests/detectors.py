"""Small detectors in ONNX files, with outputs that are known."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason='needs onnx: pip install "onnx>=1.18,<2"')
pytest.importorskip("onnxruntime", reason='needs onnxruntime: pip install "onnxruntime>=1.22,<2"')

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

_TYPES = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "uint8": TensorProto.UINT8}


def constant(path, outputs, shape=(1, 3, 64, 64), dtype="float32", metadata=None):
    """Writes a network that returns the same arrays whatever it sees."""
    nodes, infos = [], []
    for name, array in outputs.items():
        array = np.asarray(array)
        nodes.append(helper.make_node("Constant", [], [name], value=numpy_helper.from_array(array)))
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        infos.append(helper.make_tensor_value_info(name, kind, array.shape))
    return _save(path, nodes, infos, [], shape, dtype, metadata)


def finder(path, form, shape=(1, 3, 64, 64), dtype="float32", bright=0.7, extra=0):
    """Writes a network that finds the one bright rectangle, as class 1 of 3 with a score of 0.8.

    Args:
        form: "yolov5", "yolov8", "yolo-final", "ssd" (pixels, labels from 1) or "tensorflow" (parts
            of the image, y first, labels from 1).
        bright: Value of the input from which a pixel belongs to the rectangle.
        extra: Rows of zeros beside the box, so that it is clear which axis is which.
    """
    channel, rows, columns = (3, 1, 2) if shape[3] == 3 else (1, 2, 3)
    height, width = shape[rows], shape[columns]
    constants = {
        "bright": np.array(bright, "float32"),
        "one": np.array(1, "float32"),
        "two": np.array(2, "float32"),
        "flat": np.array([1], "int64"),
        "height": np.array(64 if isinstance(height, str) else height, "float32"),
        "width": np.array(64 if isinstance(width, str) else width, "float32"),
        "score": np.array([0.8], "float32"),
    }
    nodes = [
        helper.make_node("Cast", ["image"], ["values"], to=TensorProto.FLOAT),
        helper.make_node("Greater", ["values", "bright"], ["above"]),
        helper.make_node("Cast", ["above"], ["mask"], to=TensorProto.FLOAT),
    ]
    for axis, others, first, last in (
        (columns, [channel, rows], "left", "right"),
        (rows, [channel, columns], "top", "bottom"),
    ):
        name = f"profile_{first}"
        nodes.append(helper.make_node("ReduceMax", ["mask"], [name], axes=others, keepdims=1))
        for side, latest in ((first, 0), (last, 1)):
            place, number = f"{side}_place", f"{side}_number"
            nodes += [
                helper.make_node(
                    "ArgMax", [name], [place], axis=axis, keepdims=1, select_last_index=latest
                ),
                helper.make_node("Cast", [place], [number], to=TensorProto.FLOAT),
            ]
            if latest:
                nodes.append(helper.make_node("Add", [number, "one"], [f"{side}_edge"]))
                number = f"{side}_edge"
            nodes.append(helper.make_node("Reshape", [number, "flat"], [side]))

    def concatenate(parts, name, shape):
        constants[f"{name}_shape"] = np.array(shape, "int64")
        nodes.append(helper.make_node("Concat", parts, [f"{name}_row"], axis=0))
        nodes.append(helper.make_node("Reshape", [f"{name}_row", f"{name}_shape"], [name]))
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    if form in ("yolov5", "yolov8"):
        for low, high, middle, side in (
            ("left", "right", "x", "w"),
            ("top", "bottom", "y", "h"),
        ):
            nodes += [
                helper.make_node("Sub", [high, low], [side]),
                helper.make_node("Add", [high, low], [f"{middle}_sum"]),
                helper.make_node("Div", [f"{middle}_sum", "two"], [middle]),
            ]
        if form == "yolov5":  # objectness 1, classes 0.1, 0.8, 0.2
            constants["classes"] = np.array([1, 0.1, 0.8, 0.2], "float32")
        else:
            constants["classes"] = np.array([0.1, 0.8, 0.2], "float32")
        count = 4 + len(constants["classes"])
        constants["rest"] = np.zeros(count * extra, "float32")
        parts = ["x", "y", "w", "h", "classes", "rest"]
        infos = [concatenate(parts, "found", (1, 1 + extra, count))]
        if form == "yolov8":
            nodes.append(helper.make_node("Transpose", ["found"], ["turned"], perm=[0, 2, 1]))
            infos = [helper.make_tensor_value_info("turned", TensorProto.FLOAT, None)]
    elif form == "yolo-final":
        constants["label"] = np.array([1], "float32")
        parts = ["left", "top", "right", "bottom", "score", "label"]
        infos = [concatenate(parts, "found", (1, 1, 6))]
    elif form == "ssd":
        constants["labels"] = np.array([2], "int64")
        infos = [concatenate(["left", "top", "right", "bottom"], "boxes", (1, 4))]
        nodes.append(helper.make_node("Identity", ["labels"], ["317"]))
        nodes.append(helper.make_node("Identity", ["score"], ["318"]))
        infos.append(helper.make_tensor_value_info("317", TensorProto.INT64, (1,)))
        infos.append(helper.make_tensor_value_info("318", TensorProto.FLOAT, (1,)))
    else:
        for side, length in zip(
            ("top", "left", "bottom", "right"), ("height", "width") * 2, strict=True
        ):
            nodes.append(helper.make_node("Div", [side, length], [f"{side}_part"]))
        parts = ["top_part", "left_part", "bottom_part", "right_part"]
        infos = [concatenate(parts, "detection_boxes:0", (1, 1, 4))]
        constants["label"] = np.array([2], "float32")
        infos.append(concatenate(["label"], "detection_classes:0", (1, 1)))
        infos.append(concatenate(["score"], "detection_scores:0", (1, 1)))
        infos.append(concatenate(["one_row"], "num_detections:0", (1,)))
        constants["one_row"] = np.array([1], "float32")
    return _save(path, nodes, infos, constants.items(), shape, dtype)


def _save(path, nodes, infos, constants, shape, dtype, metadata=None):
    source = helper.make_tensor_value_info("image", _TYPES[dtype], shape)
    graph = helper.make_graph(
        nodes,
        "detector",
        [source],
        infos,
        [numpy_helper.from_array(array, name) for name, array in constants],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    if metadata:
        helper.set_model_props(model, metadata)
    onnx.save(model, str(path))
    return path
