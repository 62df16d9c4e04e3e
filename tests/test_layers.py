import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deblur_keras import layers

RNG = np.random.default_rng(0)


def test_reflection_padding_by_hand():
    row = np.arange(3, dtype="float32").reshape(1, 1, 3, 1) + np.zeros((1, 3, 1, 1), "float32")
    padded = layers.ReflectionPadding2D(2)(row)
    assert padded.shape == (1, 7, 7, 1)
    np.testing.assert_array_equal(padded[0, 0, :, 0], [2, 1, 0, 1, 2, 1, 0])


@given(st.integers(0, 3), st.integers(4, 9), st.integers(4, 9))
@settings(max_examples=20, deadline=None)
def test_reflection_padding_is_numpys(padding, height, width):
    image = RNG.normal(size=(1, height, width, 2)).astype("float32")
    edge = (padding, padding)
    expected = np.pad(image, ((0, 0), edge, edge, (0, 0)), mode="reflect")
    np.testing.assert_array_equal(layers.ReflectionPadding2D(padding)(image), expected)


def test_reflection_padding_names_a_too_small_input():
    with pytest.raises(ValueError, match="height of at least 4 pixels"):
        keras.Sequential([keras.Input((3, 8, 3)), layers.ReflectionPadding2D(3)])
    with pytest.raises(ValueError, match="whole number"):
        layers.ReflectionPadding2D(1.5)


def test_instance_normalization_is_the_textbook_formula():
    x = RNG.normal(3.0, 5.0, size=(2, 6, 7, 4)).astype("float32")
    mean = x.mean(axis=(1, 2), keepdims=True)
    expected = (x - mean) / np.sqrt(x.var(axis=(1, 2), keepdims=True) + 1e-5)
    np.testing.assert_allclose(layers.InstanceNormalization()(x), expected, atol=1e-5)


def test_instance_normalization_of_one_image_ignores_the_others():
    x = RNG.normal(size=(3, 5, 5, 2)).astype("float32")
    layer = layers.InstanceNormalization()
    np.testing.assert_allclose(layer(x)[1:2], layer(x[1:2]), atol=1e-6)


@pytest.mark.parametrize("value", [0.0, 1.0, 1e4, -3e4])
@pytest.mark.parametrize("dtype", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_instance_normalization_of_a_constant_is_zero(value, dtype):
    constant = np.full((1, 64, 64, 3), value, "float32")
    result = layers.InstanceNormalization(dtype=dtype)(constant)
    np.testing.assert_array_equal(np.asarray(keras.ops.cast(result, "float32")), 0.0)


def test_instance_normalization_computes_in_float32_under_mixed_precision():
    # 2049 has no float16 neighbour 2050: statistics in float16 would lose the signal.
    x = 1000.0 + RNG.normal(size=(1, 32, 32, 1)).astype("float32")
    half = layers.InstanceNormalization(dtype="mixed_float16")(x.astype("float16"))
    assert half.dtype == "float16"
    full = layers.InstanceNormalization()(x.astype("float16").astype("float32"))
    np.testing.assert_allclose(keras.ops.cast(half, "float32"), full, atol=5e-3)


def test_clipped_add():
    image, correction = np.array([[[[0.9]]], [[[-0.5]]]]), np.array([[[[0.3]]], [[[0.25]]]])
    np.testing.assert_allclose(layers.ClippedAdd()([image, correction]).numpy().ravel(), [1, -0.25])


def test_simple_gate_multiplies_the_halves():
    x = np.array([2.0, 3.0, 5.0, 7.0], "float32").reshape(1, 1, 1, 4)
    np.testing.assert_array_equal(layers.SimpleGate()(x).numpy().ravel(), [10.0, 21.0])
    with pytest.raises(ValueError, match="even number of channels"):
        layers.SimpleGate().compute_output_shape((1, 2, 2, 3))


def test_a_gate_with_an_activation_is_bounded_by_the_first_half():
    x = np.array([2.0, -3.0, 0.5, 1e30], "float32").reshape(1, 1, 1, 4)
    expected = [2.0 * np.tanh(0.5), -3.0]
    np.testing.assert_allclose(layers.SimpleGate("tanh")(x).numpy().ravel(), expected, rtol=1e-6)


def test_channel_scale_starts_at_its_initial_value():
    layer = layers.ChannelScale(0.25)
    np.testing.assert_array_equal(layer(np.ones((1, 2, 2, 3), "float32")), 0.25)
    assert layer.count_params() == 3


@pytest.mark.parametrize(
    "layer",
    [
        layers.ReflectionPadding2D(2),
        layers.InstanceNormalization(epsilon=1e-3),
        layers.ChannelScale(0.5),
        layers.SimpleGate(),
        layers.SimpleGate("tanh"),
        layers.ClippedAdd(),
    ],
)
def test_config_round_trip(layer):
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    restored = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(restored) is type(layer)
