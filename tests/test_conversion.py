"""Networks in ONNX: the function of the Keras model, at any size, for every layer that is known."""

import math
import sys

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from keras import layers
from networks import GENERATORS

from deblur_keras import export, kernels, models, portable
from deblur_keras.engines import conversion, onnx_layers
from deblur_keras.generators import compact_generator, quarter_generator, resnet_generator
from deblur_keras.layers import ClippedAdd, InstanceNormalization, SimpleGate
from deblur_keras.models import ModelError


def shaken(model, seed=0):
    """Gives a network weights that change pictures a lot; variances stay positive."""
    random = np.random.default_rng(seed)
    for variable in model.weights:
        value = random.normal(0, 0.25, variable.shape)
        variable.assign(np.abs(value) + 0.1 if "variance" in variable.path else value)
    return model


def noise(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def run(converted, blurred):
    session = onnxruntime.InferenceSession(
        converted.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(["restored"], {"blurred": blurred})[0]


def functional(*parts):
    blurred = x = keras.Input((None, None, 3))
    for part in parts:
        x = part(x)
    return shaken(keras.Model(blurred, x, name="small"))


def test_kernels_of_8_bits_take_a_quarter_of_the_bytes(tmp_path):
    model = shaken(compact_generator((24, 48, 96), (1, 1, 1)))
    for variable in model.weights:  # or three levels amplify the last bit of a float
        variable.assign(variable / 3)
    model.save(tmp_path / "whole.keras")
    before, whole = model.get_weights(), conversion.convert(model, "small")
    path = models.save_small(model, tmp_path / "small.keras")
    loaded = models.load(path)
    for first, rounded, kept in zip(before, model.get_weights(), loaded.get_weights(), strict=True):
        limit = np.abs(first) * 2**-11
        if first.ndim == 4 and first.size >= 16384:
            limit = np.abs(first).max(axis=(0, 1, 2)) / 127  # half a step, which is a power of two
        assert (np.abs(rounded - first) <= limit + 1e-7).all()
        np.testing.assert_array_equal(rounded, kept)
        assert kept.dtype == np.float32
    assert path.stat().st_size < 0.4 * (tmp_path / "whole.keras").stat().st_size
    converted = conversion.convert(loaded, "small")
    onnx.checker.check_model(converted, full_check=True)
    assert converted.ByteSize() < 0.45 * whole.ByteSize()
    blurred = noise(1, 32, 48, 3)
    expected = np.asarray(model(blurred, training=False))
    np.testing.assert_allclose(run(converted, blurred), expected, atol=1e-4)
    model.layers[1].kernel.assign(model.layers[1].kernel + 1e5)
    with pytest.raises(ModelError, match="a weight is beyond 65024, or not finite"):
        models.save_small(model, path)
    with pytest.raises(ModelError, match=r"expected the name of a \.keras file"):
        models.save_small(model, tmp_path / "small.h5")
    assert models.load(path)  # that of before


def test_rounding_twice_is_rounding_once(tmp_path):
    model = keras.Sequential([keras.Input((None, None, 128)), layers.Conv2D(128, 1)])
    kernel = model.layers[0].kernel
    for largest in (1e-9, 63.5, 63.51, 64, 127, 127.4, 65024):
        spread = np.linspace(-largest, largest, 128 * 128).reshape(kernel.shape)
        kernel.assign(spread * np.linspace(0, 1, 128))  # one output has zeros alone
        models.save_small(model, tmp_path / "once.keras")
        once = kernel.numpy().copy()
        models.save_small(model, tmp_path / "twice.keras")
        np.testing.assert_array_equal(kernel.numpy(), once)
        np.testing.assert_array_equal(once, once.astype(np.float16))
        whole = once / kernels.levels(once, axis=-1)
        np.testing.assert_array_equal(whole, np.round(whole))
        assert np.abs(whole).max() <= 127


def test_weights_of_a_layer_that_is_called_twice_are_written_once():
    networks = [shaken(quarter_generator((8, 16), (1, 1), scales=n)) for n in (1, 2)]
    once, twice = (
        sum(math.prod(one.dims) for one in conversion.convert(model, "a").graph.initializer)
        for model in networks
    )
    new = sum(networks[1].get_layer(name).count_params() for name in ("hint", "carry"))
    assert twice - once == new


@pytest.mark.parametrize("name", GENERATORS)
def test_every_generator_at_sizes_of_any_shape(name):
    model = shaken(GENERATORS[name]())
    converted = conversion.convert(model, name)
    onnx.checker.check_model(converted, full_check=True)
    for shape in ((1, 32, 48, 3), (2, 64, 16, 3)):
        blurred = noise(*shape)
        expected = np.asarray(model(blurred, training=False))
        np.testing.assert_allclose(run(converted, blurred), expected, atol=1e-3)
        assert expected.std() > 0.3  # not nothing, nor all clipped


@pytest.mark.parametrize(
    "make",
    [
        lambda: [layers.Conv2D(3, 3, padding="same", activation="relu")],
        lambda: [layers.Conv2D(6, (4, 2), 2, "same"), layers.Conv2DTranspose(3, 2, 2)],
        lambda: (
            [
                layers.Conv2D(6, 5, strides=2, padding="same"),
                layers.UpSampling2D(2),
                layers.Conv2D(3, 1),
            ]
        ),
        lambda: [layers.Conv2D(3, 3, dilation_rate=(2, 3), padding="same", use_bias=False)],
        lambda: [layers.Conv2D(9, 3, groups=3, padding="same"), layers.Conv2D(3, 1)],
        lambda: (
            [
                layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, activation="tanh"),
                layers.Conv2D(3, 1),
            ]
        ),
        lambda: [layers.SeparableConv2D(3, (3, 5), padding="same", depth_multiplier=2)],
        lambda: [layers.Conv2D(4, 2, 2), layers.Conv2DTranspose(3, 3, 2, "same")],
        lambda: [layers.Conv2D(4, 2, 2), layers.Conv2DTranspose(3, (4, 5), 2, padding="same")],
        lambda: [layers.Conv2D(4, 4, 4), layers.Conv2DTranspose(3, 2, strides=4)],
        lambda: [layers.BatchNormalization(scale=False), layers.ReLU()],
        lambda: [layers.BatchNormalization(center=False), layers.LeakyReLU(0.3)],
        lambda: [layers.ReLU(negative_slope=0.1), layers.Rescaling(0.5, offset=0.1)],
        lambda: [layers.AveragePooling2D(2, padding="same"), layers.UpSampling2D(2)],
        lambda: [layers.MaxPooling2D((2, 4)), layers.UpSampling2D((2, 4))],
        lambda: [layers.Conv2D(3, 2, 2), layers.UpSampling2D(2, interpolation="bilinear")],
        lambda: [layers.ZeroPadding2D(((1, 2), (3, 0))), layers.Cropping2D(((0, 3), (1, 2)))],
        lambda: [layers.Conv2D(4, 1, activation="sigmoid"), layers.Conv2D(3, 1)],
        lambda: [layers.Dropout(0.5), layers.GaussianNoise(0.5), layers.Activation("softplus")],
        lambda: [layers.RMSNormalization(), InstanceNormalization()],
        lambda: [layers.Conv2D(6, 1), SimpleGate()],
        lambda: [layers.Conv2D(6, 1), layers.ReLU(), SimpleGate()],
        lambda: [layers.Conv2D(6, 1), SimpleGate("tanh")],
    ],
)
def test_layers_and_their_settings(make):
    model = functional(*make())
    blurred = noise(1, 16, 24, 3)
    expected = np.asarray(model(blurred, training=False))
    np.testing.assert_allclose(
        run(conversion.convert(model, "small"), blurred), expected, atol=1e-5
    )


def test_branches_merge_as_in_keras():
    blurred = keras.Input((None, None, 3))
    first, second = (layers.Conv2D(3, 1)(blurred) for _ in range(2))
    x = layers.Concatenate()(
        [kind()([first, second]) for kind in (layers.Subtract, layers.Multiply, layers.Maximum)]
        + [layers.Minimum()([first, second]), layers.Add()([first, second, blurred])]
    )
    model = keras.Model(blurred, ClippedAdd()([blurred, layers.Conv2D(3, 1)(x)]))
    values = noise(1, 8, 8, 3)
    expected = np.asarray(shaken(model)(values, training=False))
    np.testing.assert_allclose(run(conversion.convert(model, "m"), values), expected, atol=1e-5)


def test_a_layer_that_is_called_twice():
    blurred, shared = keras.Input((None, None, 3)), layers.Conv2D(3, 3, padding="same")
    model = shaken(keras.Model(blurred, shared(shared(blurred))))
    values = noise(1, 8, 8, 3)
    expected = np.asarray(model(values, training=False))
    np.testing.assert_allclose(run(conversion.convert(model, "m"), values), expected, atol=1e-5)


def test_gates_are_computed_in_halves_where_nothing_else_needs_the_whole():
    def kinds(model):
        return [node.op_type for node in conversion.convert(model, "m").graph.node]

    assert "Split" not in kinds(compact_generator(widths=(4,), blocks=(2,)))
    blurred = keras.Input((None, None, 3))
    both = layers.Conv2D(6, 1)(blurred)
    x = layers.Conv2D(3, 1)(layers.Concatenate()([SimpleGate()(both), both]))
    model = shaken(keras.Model(blurred, x))
    assert "Split" in kinds(model)
    values = noise(1, 8, 8, 3)
    expected = np.asarray(model(values, training=False))
    np.testing.assert_allclose(run(conversion.convert(model, "m"), values), expected, atol=1e-5)


def test_the_metadata_say_what_the_layers_would(tmp_path):
    model = compact_generator(widths=(4, 4), blocks=(1, 1))
    path, difference = export.export_onnx(model, tmp_path / "new" / "compact.onnx")
    assert difference < 1e-5
    network, digest = portable.describe(path)
    assert (network.name, network.multiple, digest) == ("compact_generator", 4, "")
    assert network.halo % 4 == 0
    assert network.halo > 0
    assert network.bytes_per_pixel > 24
    path, _ = export.export_onnx(resnet_generator(4, 1), tmp_path / "resnet.onnx")
    assert portable.describe(path)[0].halo is None  # an instance norm looks at the whole image


def test_the_file_names_the_keras_file_that_it_is_made_from(tmp_path):
    compact_generator(widths=(4,), blocks=(1,)).save(tmp_path / "a.keras")
    path, _ = export.export_onnx(tmp_path / "a.keras", tmp_path / "a.onnx")
    assert portable.describe(path)[1] == portable.sha256(tmp_path / "a.keras")
    assert portable.beside(tmp_path / "a.keras") == path


def test_exports_are_replaced_when_asked_only_and_whole(tmp_path, monkeypatch):
    model, path = compact_generator(widths=(2,), blocks=(1,)), tmp_path / "a.onnx"
    export.export_onnx(model, path)
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match="overwrite"):
        export.export_onnx(model, path)
    with pytest.raises(ValueError, match=r"ends in \.onnx"):
        export.export_onnx(model, tmp_path / "a.txt")
    monkeypatch.setattr(conversion, "LIMIT", -1)
    with pytest.raises(ModelError, match=r"differs from Keras by .* not written"):
        export.export_onnx(model, path, overwrite=True)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["a.onnx"]


def test_weights_that_are_not_finite_are_refused():
    # Engines may hide them: max(NaN, 0) is 0 in OpenVINO's ReLU.
    model = compact_generator(widths=(4,), blocks=(1,))
    model.layers[1].kernel.assign(np.full(model.layers[1].kernel.shape, np.nan))
    with pytest.raises(ModelError, match=r"'compact': its weight 'down1/kernel' is not finite"):
        conversion.convert(model, "compact")


def test_mixed_precision_is_written_in_float32(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = compact_generator(widths=(4,), blocks=(1,))
    finally:
        keras.config.set_dtype_policy("float32")
    path, difference = export.export_onnx(model, tmp_path / "mixed.onnx")
    assert difference < 2e-2
    kinds = {weight.data_type for weight in onnx.load(path).graph.initializer}
    assert kinds <= {onnx.TensorProto.FLOAT, onnx.TensorProto.INT64}


@keras.saving.register_keras_serializable("tests")
class Halved(layers.Layer):
    """A layer of a user's own."""

    def call(self, inputs):
        return inputs * 0.5 + keras.ops.roll(inputs, 1, axis=1) * 0.25


def test_a_layer_of_ones_own_goes_through_tf2onnx():
    pytest.importorskip("tf2onnx", reason="converts layers that are not known here")
    model = functional(layers.Conv2D(3, 3, padding="same"), Halved())
    values = noise(1, 16, 24, 3)
    converted = conversion.convert(model, "own")
    assert {entry.key for entry in converted.metadata_props} >= {"deblur_keras.size_multiple"}
    np.testing.assert_allclose(run(converted, values), np.asarray(model(values)), atol=1e-5)


def test_without_tf2onnx_the_layer_and_the_cure_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    model = functional(Halved(name="mine"))
    with pytest.raises(ImportError, match=r"'mine' is a Halved.*pip install \"tf2onnx"):
        conversion.convert(model, "own")
    nearest = functional(layers.UpSampling2D(2, interpolation="bicubic"), layers.Conv2D(3, 2, 2))
    with pytest.raises(ImportError, match="interpolation 'bicubic'"):
        conversion.convert(nearest, "own")
    clipped = functional(layers.ReLU(max_value=6))
    with pytest.raises(ImportError, match="max_value"):
        conversion.convert(clipped, "own")


def test_a_subclass_is_not_taken_for_its_class():
    class Shifted(layers.Conv2D):
        def call(self, inputs):
            return super().call(inputs) + 1

    with pytest.raises(onnx_layers.UnknownLayerError, match="Shifted"):
        onnx_layers.write_layer(onnx_layers.Graph(), Shifted(3, 1), ["x"], 3)


def test_without_onnx_the_cure_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match='pip install "onnx'):
        conversion.convert(compact_generator(widths=(4,), blocks=(1,)), "m")
