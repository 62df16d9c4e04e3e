import keras
import numpy as np
import pytest
from networks import GENERATORS, NETWORKS
from scipy import signal

from deblur_keras import generators

RNG = np.random.default_rng(0)


def batch(height=32, width=48, count=1):
    return RNG.uniform(-1, 1, size=(count, height, width, 3)).astype("float32")


@pytest.mark.parametrize(
    ("arguments", "parameters"),
    [
        ({}, 11_378_179),
        ({"blocks": 6}, 7_837_699),
        ({"norm": "batch", "upsampling": "resize"}, 11_399_171),
    ],
)
def test_parameter_counts_of_the_papers(arguments, parameters):
    assert generators.resnet_generator(**arguments).count_params() == parameters


class PyTorchResnet:
    """DeblurGAN's generator in NumPy and SciPy, with PyTorch's conventions of padding."""

    def __init__(self, model):
        self.weights = {
            layer.name: layer.get_weights() for layer in model.layers if layer.get_weights()
        }

    def conv(self, x, name, stride=1):
        kernel, bias = self.weights[name]
        channels = [
            sum(
                signal.correlate2d(x[:, :, i], kernel[:, :, i, o], mode="valid")
                for i in range(kernel.shape[2])
            )
            + bias[o]
            for o in range(kernel.shape[3])
        ]
        return np.stack(channels, axis=-1)[::stride, ::stride]

    def transposed(self, x, name):
        """ConvTranspose2d(kernel 3, stride 2, padding 1, output_padding 1) from its definition."""
        kernel, bias = self.weights[name]
        height, width, _ = x.shape
        out = np.zeros((2 * height, 2 * width, kernel.shape[2]))
        for row in range(height):
            for column in range(width):
                for ky in range(3):
                    for kx in range(3):
                        y, z = 2 * row - 1 + ky, 2 * column - 1 + kx
                        if 0 <= y < 2 * height and 0 <= z < 2 * width:
                            out[y, z] += kernel[ky, kx] @ x[row, column]
        return out + bias

    @staticmethod
    def norm(x):
        return (x - x.mean((0, 1))) / np.sqrt(x.var((0, 1)) + 1e-5)

    @staticmethod
    def pad(x, size, mode):
        return np.pad(x, ((size, size), (size, size), (0, 0)), mode=mode)

    def __call__(self, image, blocks):
        x = self.conv(self.pad(image, 3, "reflect"), "stem_conv")
        x = np.maximum(self.norm(x), 0)
        for name in ("down1_conv", "down2_conv"):
            x = self.conv(self.pad(x, 1, "constant"), name, stride=2)
            x = np.maximum(self.norm(x), 0)
        for index in range(1, blocks + 1):
            y = self.conv(self.pad(x, 1, "reflect"), f"block{index}_conv1")
            y = np.maximum(self.norm(y), 0)
            y = self.conv(self.pad(y, 1, "reflect"), f"block{index}_conv2")
            x = x + self.norm(y)
        for name in ("up1_conv", "up2_conv"):
            x = np.maximum(self.norm(self.transposed(x, name)), 0)
        x = np.tanh(self.conv(self.pad(x, 3, "reflect"), "head_conv"))
        return np.clip(image + x, -1, 1)


def test_resnet_generator_is_the_pytorch_network():
    model = generators.resnet_generator(filters=4, blocks=2)
    # Weights and biases large enough that a misplaced pixel or an ignored bias shows.
    model.set_weights([RNG.normal(0, 0.3, w.shape) for w in model.get_weights()])
    image = batch(12, 20)
    expected = PyTorchResnet(model)(image[0].astype("float64"), blocks=2)
    np.testing.assert_allclose(model(image, training=False)[0], expected, atol=1e-4)
    assert np.abs(expected - image[0]).mean() > 0.1  # the network did something


@pytest.mark.parametrize("name", GENERATORS)
def test_restores_any_multiple_within_range(name):
    model = GENERATORS[name]()
    for height, width in ((16, 16), (24, 40)):
        restored = np.asarray(model(batch(height, width)))
        assert restored.shape == (1, height, width, 3)
        assert np.abs(restored).max() <= 1.0
        assert np.isfinite(restored).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_survives_saving_in_safe_mode_and_cloning(name, tmp_path):
    model = NETWORKS[name]()
    model.set_weights([RNG.normal(0, 0.1, w.shape) for w in model.get_weights()])
    image = batch()
    expected = np.asarray(model(image))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_allclose(loaded(image), expected, atol=1e-6)
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    np.testing.assert_allclose(clone(image), expected, atol=1e-6)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_gives_finite_float32_close_to_float32(name, policy):
    full = NETWORKS[name]()
    keras.config.set_dtype_policy(policy)
    try:
        mixed = NETWORKS[name]()
    finally:
        keras.config.set_dtype_policy("float32")
    mixed.set_weights(full.get_weights())
    image = batch()
    result = mixed(image)
    assert result.dtype == "float32"
    np.testing.assert_allclose(result, full(image), atol=0.1)


@pytest.mark.parametrize("name", GENERATORS)
def test_constant_image_stays_finite(name):
    restored = np.asarray(GENERATORS[name]()(np.full((1, 32, 32, 3), 0.5, "float32")))
    assert np.isfinite(restored).all()


def test_weights_are_drawn_from_the_papers_normal():
    kernel = generators.resnet_generator().get_layer("block5_conv1").kernel.numpy()
    assert abs(kernel.mean()) < 1e-4
    assert abs(kernel.std() - 0.02) < 1e-4


def test_dropout_acts_in_training_alone():
    model = generators.resnet_generator(filters=8, blocks=2, dropout=0.5)
    model.set_weights([RNG.normal(0, 0.1, w.shape) for w in model.get_weights()])
    image = batch()
    np.testing.assert_array_equal(model(image, training=False), model(image, training=False))
    assert np.abs(model(image, training=True) - model(image, training=True)).max() > 1e-3


def test_resized_upsampling_leaves_no_checkerboard():
    """A constant input gives a flat interior: each output pixel sees the same weights."""
    image = np.full((1, 64, 64, 3), 0.25, "float32")

    def roughness(upsampling):
        keras.utils.set_random_seed(3)
        model = generators.resnet_generator(
            4, 1, norm="none", upsampling=upsampling, dropout=0.0, skip="none"
        )
        model.set_weights([RNG.normal(0.05, 0.2, w.shape) for w in model.get_weights()])
        inside = np.asarray(model(image))[0, 24:40, 24:40]
        return np.abs(np.diff(inside, axis=0)).max()

    assert roughness("resize") < 1e-5 < roughness("transpose")


def test_compact_generator_starts_near_the_identity():
    image = batch()
    restored = generators.compact_generator((8, 16), (1, 1))(image)
    assert np.abs(restored - image).mean() < 0.1


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda: generators.resnet_generator(4, 1), 4),
        (lambda: generators.resnet_generator(4, 1, upsampling="resize"), 4),
        (lambda: generators.compact_generator((4, 4, 4), (1, 1, 1)), 8),
        (lambda: keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(3, 3)]), 1),
    ],
)
def test_size_multiple(build, expected):
    assert generators.size_multiple(build()) == expected


def test_size_multiple_needs_a_functional_model():
    class Subclass(keras.Model):
        pass

    with pytest.raises(ValueError, match="functional"):
        generators.size_multiple(Subclass())


@pytest.mark.parametrize(
    "arguments",
    [{"norm": "layer"}, {"upsampling": "bilinear"}, {"skip": "add"}, {"dropout": 1.0}],
)
def test_wrong_arguments_are_named(arguments):
    with pytest.raises(ValueError, match=f"{next(iter(arguments))}.*received"):
        generators.resnet_generator(**arguments)
    with pytest.raises(ValueError, match="same length"):
        generators.compact_generator(widths=(4, 8), blocks=(1,))
