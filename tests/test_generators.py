import cv2
import keras
import numpy as np
import pytest
from networks import GENERATORS, NETWORKS
from scipy import signal

from deblur_keras import generators

RNG = np.random.default_rng(0)


def batch(height=32, width=64, count=1):
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


@pytest.mark.parametrize(
    ("arguments", "parameters", "trained"),
    [
        ({}, 54_409_603, 54_409_603),
        # pix2pix prints 54.414 M; the moving averages of its 4,928 channels are not trained.
        ({"norm": "batch", "skip": "none"}, 54_413_955 + 2 * 4_928, 54_413_955),
    ],
)
def test_parameter_counts_of_pix2pix(arguments, parameters, trained):
    model = generators.unet_generator(**arguments)
    assert model.count_params() == parameters
    assert sum(np.prod(variable.shape) for variable in model.trainable_variables) == trained
    assert generators.size_multiple(model) == 256
    assert sum("dropout" in layer.name for layer in model.layers) == 3


def test_deblurgan_bce_has_24_convolutions():
    model = generators.resnet_generator(norm="batch", upsampling="resize")
    assert sum(isinstance(layer, keras.layers.Conv2D) for layer in model.layers) == 24


def test_dense_generator_is_what_the_paper_says_and_light():
    model = generators.dense_generator()
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds.count("SeparableConv2D") == 2 + 9
    transposed = [layer for layer in model.layers if "Transpose" in type(layer).__name__]
    assert [layer.kernel_size for layer in transposed] == [(3, 1), (1, 3)] * 2
    assert kinds.count("Concatenate") == 9
    sums = [layer for layer in model.layers if type(layer).__name__ == "Add"]
    partners = [{tensor._keras_history.operation.name for tensor in x.input} for x in sums]
    assert partners == [{"transition_relu", "down2_relu"}, {"up1_relu", "down1_relu"}]

    resnet = generators.resnet_generator()
    assert model.count_params() == 214_307 < 1_500_000
    cost, reference = (generators.multiply_adds(x, 720, 1280) for x in (model, resnet))
    assert cost < reference / 10


def test_dense_generator_keeps_the_variance_without_norms():
    model = generators.dense_generator(norm="none", skip="none")
    block = keras.Model(model.input, model.get_layer("transition_conv").output)
    assert 0.2 < np.std(block(batch(64, 96))) < 5.0


def test_dense_generator_is_aligned():
    """A dot on the coarsest grid comes out as its own mirror image: nothing is shifted."""
    model = generators.dense_generator(4, 4, 2, norm="none", skip="none")
    model.set_weights([np.full(w.shape, 0.05 * (len(w.shape) > 1)) for w in model.weights])
    dot = np.zeros((1, 64, 64, 3), "float32")
    dot[0, 32, 32] = 1.0
    around = np.asarray(model(dot))[0, 16:49, 16:49]
    assert 1e-6 < around.max() < 0.9
    for axis in (0, 1):
        np.testing.assert_allclose(around, np.flip(around, axis), rtol=1e-4, atol=1e-9)


def random_weights(model, scale):
    """Draws all weights; variances must stay positive, or NaN would agree with NaN."""
    return [
        RNG.uniform(0.5, 1.5, w.shape) if "variance" in w.path else RNG.normal(0, scale, w.shape)
        for w in model.weights
    ]


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
        """ConvTranspose2d(kernel 3 or 4, stride 2, padding 1, to twice the size) by definition."""
        kernel, bias = self.weights[name]
        height, width, _ = x.shape
        out = np.zeros((2 * height, 2 * width, kernel.shape[2]))
        for row in range(height):
            for column in range(width):
                for ky in range(len(kernel)):
                    for kx in range(len(kernel)):
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


class PyTorchUnet(PyTorchResnet):
    """The authors' nested U-Net blocks, as they are written: each returns its input beside it."""

    def __call__(self, image, levels):
        self.levels = levels
        return np.clip(image + np.tanh(self.block(image, 1)), -1, 1)

    def block(self, x, level):
        # LeakyReLU works in place there, so that the skip has been through it too.
        kept = x if level == 1 else np.where(x > 0, x, 0.2 * x)
        y = self.conv(self.pad(kept, 1, "constant"), f"down{level}_conv", stride=2)
        if level < self.levels:
            y = self.block(y if level == 1 else self.norm(y), level + 1)
        y = self.transposed(np.maximum(y, 0), f"up{level}_conv")
        return y if level == 1 else np.concatenate([self.norm(y), kept], axis=-1)


def test_unet_generator_is_the_authors_network():
    model = generators.unet_generator(filters=2, levels=4)
    model.set_weights(random_weights(model, 0.3))
    image = batch(16, 32)
    expected = PyTorchUnet(model)(image[0].astype("float64"), levels=4)
    np.testing.assert_allclose(model(image, training=False)[0], expected, atol=1e-4)
    assert np.abs(expected - image[0]).mean() > 0.1  # the network did something


@pytest.mark.parametrize("name", GENERATORS)
def test_restores_any_multiple_within_range(name):
    model = GENERATORS[name]()
    for height, width in ((16, 16), (32, 48)):
        restored = np.asarray(model(batch(height, width)))
        assert restored.shape == (1, height, width, 3)
        assert np.abs(restored).max() <= 1.0
        assert np.isfinite(restored).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_survives_saving_in_safe_mode_and_cloning(name, tmp_path):
    model = NETWORKS[name]()
    model.set_weights(random_weights(model, 0.1))
    image = batch()
    expected = np.asarray(model(image))
    assert np.isfinite(expected).all()
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
        random = np.random.default_rng(0)
        model = generators.resnet_generator(
            4, 1, norm="none", upsampling=upsampling, dropout=0.0, skip="none"
        )
        # Means over the inputs, more or less: nothing dies in a ReLU or saturates in the tanh.
        for layer in model.layers:
            if layer.weights:
                shape = layer.kernel.shape
                layer.kernel.assign(random.uniform(0, 2 / np.prod(shape[:-1]), shape))
        inside = np.asarray(model(image))[0, 24:40, 24:40]
        assert 0.01 < inside.mean() < 0.99
        return np.abs(np.diff(inside, axis=0)).max()

    assert roughness("resize") < 1e-5 < 1e-2 < roughness("transpose")


@pytest.mark.parametrize("build", [generators.compact_generator, generators.quarter_generator])
def test_the_librarys_own_generators_start_near_the_identity(build):
    image = batch()
    restored = build((8, 16), (1, 1))(image)
    assert np.abs(restored - image).mean() < 0.1


@pytest.mark.parametrize("build", [generators.compact_generator, generators.quarter_generator])
def test_a_deeper_generator_begins_with_what_another_has_learned(build):
    image, trained = batch(), build((8, 16), (1, 1))
    for variable in trained.weights:
        variable.assign(RNG.normal(0, 0.3, variable.shape))
    expected = trained(image)
    deeper = build((8, 16), (2, 3))
    generators.begin_with(deeper, trained)
    np.testing.assert_allclose(deeper(image), expected, atol=1e-5)
    again = build((8, 16), (2, 3), name="again")
    generators.begin_with(again, deeper)
    np.testing.assert_array_equal(again(image), deeper(image))


def test_the_same_layers_see_a_reduced_image_first_and_their_correction_is_a_hint_and_kept():
    once, image = generators.quarter_generator((8, 16), (1, 1), scales=1), batch()
    for weight in once.weights:
        weight.assign(RNG.normal(0, 0.1, weight.shape))
    twice = generators.quarter_generator((8, 16), (1, 1), scales=2)
    generators.begin_with(twice, once)
    np.testing.assert_allclose(twice(image), once(image), atol=1e-5)  # it weighs nothing

    # Put together by hand of the first convolution and of all that is behind it.
    hint = twice.get_layer("hint")
    kernel = RNG.normal(0, 0.1, hint.kernel.shape).astype("float32")
    hint.kernel.assign(kernel)
    # Bilinear enlarging: halfway between pixels of twice the size, a quarter from the next.
    bilinear = np.outer([1, 3, 3, 1], [1, 3, 3, 1])[..., None, None] / 16 * np.eye(3)
    twice.get_layer("carry").kernel.assign(0.5 * bilinear)
    down, head = once.get_layer("down1"), once.get_layer("head")
    behind = keras.Model(down.output, head.output)
    reduced = image.reshape(-1, image.shape[1] // 2, 2, image.shape[2] // 2, 2, 3).mean((2, 4))
    first = behind(down(reduced))
    # A pixel of the correction is two of the image: the same kernel at twice the scale.
    hinted = down(image) + keras.ops.conv(first, kernel, strides=2, padding="same")
    height, width = image.shape[1:3]
    enlarged = np.stack(
        [
            cv2.resize(np.pad(each, [(1, 1), (1, 1), (0, 0)]), (width + 4, height + 4))
            for each in np.asarray(first)
        ]
    )[:, 2:-2, 2:-2]  # beyond the border there is nothing to add
    expected = np.clip(image + behind(hinted) + 0.5 * enlarged, -1, 1)
    np.testing.assert_allclose(twice(image), expected, atol=1e-5)
    assert np.abs(twice(image) - once(image)).mean() > 1e-3


def test_a_generator_cannot_begin_with_one_that_looks_more_often():
    thrice = generators.quarter_generator((4, 8, 8), (1, 1, 1), scales=3)
    for weight in thrice.weights:
        weight.assign(RNG.normal(0, 0.2, weight.shape))
    generator = generators.quarter_generator((4, 8, 8), (1, 1, 1), scales=2)
    before = generator.get_weights()
    with pytest.raises(generators.UnfitError, match="makes other images"):
        generators.begin_with(generator, thrice)
    for now, then in zip(generator.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize(
    ("trained", "unfit"),
    [
        (
            lambda: generators.quarter_generator((8, 8), (1, 1)),
            r"down2 .2x2x8x8 and 8 instead of 2x2x8x16 and 16.",
        ),
        (lambda: generators.quarter_generator((8, 16), (2, 1)), "encoder1_2_expand, encoder1_2"),
        (lambda: generators.resnet_generator(4, 1), "stem_conv"),
        (lambda: generators.quarter_generator((8,), (1,)), "down2"),
        (lambda: generators.quarter_generator((8, 16), (2, 1), scales=3), "encoder1_2_expand"),
    ],
)
def test_a_generator_cannot_begin_with_one_of_another_kind(trained, unfit):
    generator, image = generators.quarter_generator((8, 16), (1, 1)), batch()
    before = generator(image)
    with pytest.raises(ValueError, match=f"is not a generator that quarter_generator .*{unfit}"):
        generators.begin_with(generator, trained())
    np.testing.assert_array_equal(generator(image), before)


def test_a_generator_cannot_begin_with_one_that_makes_other_images_or_is_broken():
    generator, image = generators.resnet_generator(4, 1), batch()
    before = generator(image)
    with pytest.raises(generators.UnfitError, match="with them it makes other images"):
        generators.begin_with(generator, generators.resnet_generator(4, 1, skip="none"))
    trained = generators.resnet_generator(4, 1)
    trained.weights[0].assign(np.nan + trained.weights[0])
    with pytest.raises(generators.UnfitError, match="weights of stem_conv are not finite"):
        generators.begin_with(generator, trained)
    np.testing.assert_array_equal(generator(image), before)


def strided(*strides):
    """Builds a model that convolves with these strides, one after the other."""
    image = x = keras.Input((None, None, 3))
    for stride in strides:
        x = keras.layers.Conv2D(3, stride, strides=stride)(x)
    return keras.Model(image, x)


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda: generators.resnet_generator(4, 1), 4),
        (lambda: generators.resnet_generator(4, 1, upsampling="resize"), 4),
        (lambda: generators.compact_generator((4, 4, 4), (1, 1, 1)), 8),
        (lambda: generators.quarter_generator((4, 4, 4), (1, 1, 1), scales=1), 16),
        (lambda: generators.quarter_generator((4, 4, 4), (1, 1, 1), scales=3), 64),
        (lambda: generators.dense_generator(4, 4, 1), 4),
        (lambda: generators.unet_generator(4, levels=5), 32),
        (lambda: strided((2, 1), (1, 3)), 6),
        (lambda: keras.Sequential([keras.Input((None, None, 3)), strided((4, 4))]), 4),
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
    ("build", "height", "width", "giga"),
    [
        (generators.resnet_generator, 256, 256, 49.6),
        (generators.resnet_generator, 720, 1280, 697),
        (generators.resnet_generator, 360, 640, 174),
        (generators.dense_generator, 720, 1280, 23.9),
    ],
)
def test_multiply_adds_of_the_papers(build, height, width, giga):
    cost = generators.multiply_adds(build(), height, width) / 1e9
    assert cost == pytest.approx(giga, abs=0.5 if giga > 100 else 0.05)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (keras.layers.Conv2D(5, (3, 2), strides=2, padding="same"), 4 * 5 * (3 * 2 * 6 * 5)),
        (keras.layers.Conv2D(4, 3, groups=2, padding="same"), 8 * 10 * (9 * 3 * 4)),
        (keras.layers.DepthwiseConv2D(3, depth_multiplier=2), 6 * 8 * (9 * 6 * 2)),
        (keras.layers.SeparableConv2D(5, 3), 6 * 8 * (9 * 6 + 6 * 5)),
        (keras.layers.Conv2DTranspose(5, 3, strides=2), 8 * 10 * (9 * 6 * 5)),
        (keras.layers.Dense(7), 8 * 10 * (6 * 7)),
        (keras.layers.BatchNormalization(), 0),
    ],
)
def test_multiply_adds_by_hand(layer, expected):
    """At 8x10 with six channels, alone and inside another model."""
    image = keras.Input((None, None, 6))
    model = keras.Model(image, layer(image))
    assert generators.multiply_adds(model, 8, 10) == expected
    again = keras.Input((None, None, 6))
    twice = keras.Model(again, [model(again), model(again)])
    assert generators.multiply_adds(twice, 8, 10) == 2 * expected
    assert generators.multiply_adds(keras.Sequential([image, model]), 8, 10) == expected


def test_weights_of_a_layer_that_is_called_twice_count_once_and_its_work_twice():
    once, twice = (generators.quarter_generator((4, 8), (1, 1), scales=n) for n in (1, 2))
    costs = generators.layer_costs(twice, 64, 64)
    assert sum(cost.parameters for cost in costs) == twice.count_params()
    hint = next(cost for cost in costs if cost.layer.name == "hint")
    assert hint.multiply_adds == 16 * 16 * 8 * 8 * 3 * 4
    carry = next(cost for cost in costs if cost.layer.name == "carry")
    assert carry.multiply_adds == 32 * 32 * 4 * 4 * 3 * 3
    work = [generators.multiply_adds(once, side, side) for side in (64, 32)]
    assert (
        generators.multiply_adds(twice, 64, 64)
        == sum(work) + hint.multiply_adds + carry.multiply_adds
    )


def test_layer_costs_are_those_of_layers_with_weights():
    class Halves(keras.layers.Layer):
        def call(self, x):
            return x[:, :, : x.shape[2] // 2], x[:, :, x.shape[2] // 2 :]

    image = keras.Input((8, 10, 3))
    left, right = Halves()(image)
    conv = keras.layers.Conv2D(4, 3, padding="same", name="conv")
    both = keras.layers.Concatenate(axis=2)([conv(left), conv(right)])
    costs = generators.layer_costs(keras.Model(image, both), 8, 10)
    # Called twice, each on half of the image: 40 pixels of 3 * 3 * 3 * 4.
    assert [cost.layer.name for cost in costs] == ["conv", "conv"]
    assert [cost.output_shape for cost in costs] == [(8, 5, 4)] * 2
    assert [cost.parameters for cost in costs] == [3 * 3 * 3 * 4 + 4, 0]
    assert [cost.multiply_adds for cost in costs] == [40 * 108] * 2


def test_multiply_adds_refuses_what_it_cannot_count():
    image = keras.Input((8, 8, 3))
    unknown = keras.Model(image, keras.layers.EinsumDense("bhwc,cd->bhwd", (8, 8, 4))(image))
    with pytest.raises(ValueError, match="EinsumDense"):
        generators.multiply_adds(unknown, 8, 8)
    with pytest.raises(ValueError, match=r"\(8, 8, 3\); received height 16"):
        generators.multiply_adds(unknown, 16, 8)
    with pytest.raises(ValueError, match="functional"):
        generators.multiply_adds(keras.layers.Dense(2), 8, 8)


@pytest.mark.parametrize(
    "arguments",
    [{"norm": "layer"}, {"upsampling": "bilinear"}, {"skip": "add"}, {"dropout": 1.0}],
)
def test_wrong_arguments_are_named(arguments):
    with pytest.raises(ValueError, match=f"{next(iter(arguments))}.*received"):
        generators.resnet_generator(**arguments)
    for build in (generators.compact_generator, generators.quarter_generator):
        with pytest.raises(ValueError, match="same length"):
            build(widths=(4, 8), blocks=(1,))
    for wrong in (0, 1.5, 2.0, "2", None, True):
        with pytest.raises(ValueError, match="scales must be a whole number, at least 1; received"):
            generators.quarter_generator(scales=wrong)


@pytest.mark.parametrize(
    ("build", "arguments"),
    [
        (generators.dense_generator, {"norm": "layer"}),
        (generators.dense_generator, {"skip": "add"}),
        (generators.dense_generator, {"depth": 0}),
        (generators.dense_generator, {"growth": 1.5}),
        (generators.unet_generator, {"norm": "layer"}),
        (generators.unet_generator, {"levels": 1}),
        (generators.unet_generator, {"dropout": -0.1}),
    ],
)
def test_wrong_arguments_of_the_others_are_named(build, arguments):
    with pytest.raises(ValueError, match=f"{next(iter(arguments))}.*received"):
        build(**arguments)
