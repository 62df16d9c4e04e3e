"""Kernels in 8 bits, and networks whose two forms share them."""

import json
import logging
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from deblur_keras import kernels, models, portable
from deblur_keras.generators import compact_generator, quarter_generator
from deblur_keras.restorer import Restorer


@given(
    arrays.arrays(
        np.float32,
        arrays.array_shapes(min_dims=4, max_dims=4, max_side=3),
        elements=st.floats(-60000, 60000, width=32),
    ),
    st.integers(-4, 3),
)
def test_255_levels_hold_a_kernel_and_no_coarser_ones_are_needed(kernel, axis):
    step = kernels.levels(kernel, axis)
    assert step.shape[axis] == kernel.shape[axis] == step.size
    assert (np.abs(kernel) <= 127 * step).all()
    assert (np.log2(step) % 1 == 0).all()
    others = tuple(set(range(4)) - {axis % 4})
    largest = np.abs(kernel).max(axis=others, keepdims=True)
    assert ((largest > 127 * step / 2) | (step == 2.0**-24)).all()


@pytest.fixture(scope="module", params=["quarter", "compact"])
def both(request, tmp_path_factory):
    """A .keras file, its .graph beside it, and the whole ONNX network."""
    onnx = pytest.importorskip("onnx")
    from deblur_keras.engines import conversion

    # Kernels of 8 and of 16 bits, of a gate's halves, depthwise and transposed ones.
    model = {
        "quarter": lambda: quarter_generator((24, 48), (1, 1)),
        "compact": lambda: compact_generator((24, 96), (1, 1)),
    }[request.param]()
    random = np.random.default_rng(0)
    model.set_weights([random.normal(0, 0.05, v.shape) for v in model.get_weights()])
    path = models.save_small(model, tmp_path_factory.mktemp("small") / "a.keras")
    whole = conversion.convert(models.load(path), "a", portable.sha256(path))
    left = onnx.ModelProto()
    left.CopyFrom(whole)
    path.with_suffix(".graph").write_bytes(kernels.leave_out(left, path))
    return path, whole


def test_what_was_left_out_comes_back(both):
    import onnx

    path, whole = both
    graph = path.with_suffix(".graph")
    assert portable.beside(path) == graph
    again = onnx.ModelProto.FromString(kernels.content(graph))
    onnx.checker.check_model(again)

    def tensors(model):
        return {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}

    expected, found = tensors(whole), tensors(again)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
    assert {"int8", "float16"} <= {array.dtype.name for array in expected.values()}
    # The note itself takes some of what leaving the kernels out saves.
    assert graph.stat().st_size < whole.ByteSize() / 2


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_it_restores_as_tensorflow_does(both, engine):
    pytest.importorskip(engine)
    image = np.random.default_rng(1).integers(0, 256, (40, 64, 3)).astype(np.uint8)
    restored, expected = (
        Restorer(both[0], engine=one)(image).astype(int) for one in (engine, "tensorflow")
    )
    assert np.abs(restored - expected).max() <= 1
    assert np.abs(expected - image).max() > 5


def test_an_onnx_file_is_taken_as_it_is(tmp_path):
    assert kernels.content(tmp_path / "a.onnx") == tmp_path / "a.onnx"


def test_a_graph_of_other_weights_is_told_and_not_used(both, tmp_path, caplog):
    shutil.copy(both[0].with_suffix(".graph"), tmp_path / "a.graph")
    compact_generator((4,), (1,)).save(tmp_path / "a.keras")
    with caplog.at_level(logging.WARNING):
        restore = Restorer(tmp_path / "a.keras")
    assert restore.engine == "tensorflow"
    assert "made from another a.keras" in caplog.text


@pytest.mark.parametrize("note", ['{"x": ["nowhere", 0, 4, "int8"]}', "[", '{"x": 1}'])
def test_a_note_that_leads_nowhere_is_told_and_tensorflow_restores(both, tmp_path, caplog, note):
    import onnx

    pytest.importorskip("onnxruntime")
    path = shutil.copy(both[0], tmp_path / "a.keras")
    graph = onnx.load(both[0].with_suffix(".graph"))
    *entries, seal = graph.metadata_props
    entry = next(one for one in entries if one.key.endswith("kernels"))
    assert json.loads(entry.value)
    entry.value = note
    graph.metadata_props.remove(seal)
    (tmp_path / "a.graph").write_bytes(portable.seal(graph.SerializeToString()))
    with caplog.at_level(logging.WARNING):
        restore = Restorer(path)
    assert restore.engine == "tensorflow"
    assert "its kernels are not found in a.keras" in caplog.text


def test_a_graph_that_was_damaged_is_told_and_tensorflow_restores(both, tmp_path, caplog):
    path = shutil.copy(both[0], tmp_path / "a.keras")
    damaged = bytearray(both[0].with_suffix(".graph").read_bytes())
    damaged[len(damaged) // 3] ^= 64
    (tmp_path / "a.graph").write_bytes(damaged)
    with caplog.at_level(logging.WARNING):
        assert Restorer(path).engine == "tensorflow"
    assert "a.graph" in caplog.text


def test_a_graph_by_itself_is_no_model(both, tmp_path):
    graph = both[0].with_suffix(".graph")
    with pytest.raises(models.ModelError, match=r"holds no kernels; give the \.keras file"):
        Restorer(graph)
    with pytest.raises(models.ModelError, match="has no kernels"):
        Restorer(shutil.copy(graph, tmp_path / "renamed.onnx"))
