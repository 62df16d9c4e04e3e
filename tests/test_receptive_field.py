"""The reach that is computed from the layers against what really changes the output."""

import itertools
import math

import numpy as np
import pytest

keras = pytest.importorskip("keras")

import tensorflow as tf  # noqa: E402
from keras import layers  # noqa: E402
from networks import GENERATORS  # noqa: E402

from deblur_keras.generators import size_multiple  # noqa: E402
from deblur_keras.generators.receptive_field import receptive_field  # noqa: E402
from deblur_keras.layers import InstanceNormalization, ReflectionPadding2D  # noqa: E402

SIDE = 96


def positive(layer):
    """Makes a layer's weights positive, so that nothing cancels."""
    for variable in layer.weights:
        variable.assign(np.random.default_rng(0).uniform(0.5, 1, variable.shape))


def chain(*parts):
    image = keras.Input((None, None, 3))
    x = image
    for part in parts:
        x = part(x)
        positive(part)
    return keras.Model(image, x)


def measured(model, side=SIDE):
    """Follows gradients: extents along both axes over all positions, and the reach."""
    multiple = size_multiple(model)
    image = tf.Variable(
        np.random.default_rng(1).uniform(0.5, 1, (1, side, side, 3)), dtype="float32"
    )
    with tf.GradientTape(persistent=True) as tape:
        output = tf.reduce_sum(model(image, training=False), -1)
        cells = multiple * output.shape[1] // side
        first = side // 2 // multiple * cells
        picked = [[output[0, first + r, first + c] for c in range(cells)] for r in range(cells)]
    sides, reach = [0, 0], 0
    begin = side // 2 // multiple * multiple
    for value in itertools.chain.from_iterable(picked):
        seen = np.abs(tape.gradient(value, image).numpy())[0].sum(-1) > 0
        for axis in (0, 1):
            where = np.flatnonzero(seen.any(1 - axis))
            assert where[0] > 0
            assert where[-1] < side - 1, "the image is too small for this network"
            sides[axis] = max(sides[axis], where[-1] - where[0] + 1)
            reach = max(reach, begin - where[0], where[-1] + 1 - begin - multiple)
    return (*sides, reach)


def conv(kernel, **options):
    return layers.Conv2D(2, kernel, **options)


CHAINS = {
    "one": [conv(3, padding="same")],
    "oblong": [conv((3, 5), padding="same")],
    "even kernel": [conv(4, padding="same")],
    "dilated": [conv(3, padding="same", dilation_rate=3)],
    "three": [conv(3, padding="same"), conv(5, padding="same"), conv(1)],
    "reflected": [ReflectionPadding2D(3), conv(7)],
    "zeros and cropping": [layers.ZeroPadding2D(((3, 1), (2, 2))), conv(3), layers.Cropping2D(1)],
    "down": [conv(3, padding="same", strides=2), conv(3, padding="same")],
    "down by three": [conv(5, padding="same", strides=3), conv(3, padding="same")],
    "down and up": [
        conv(4, padding="same", strides=2),
        conv(3, padding="same"),
        layers.Conv2DTranspose(2, 4, strides=2, padding="same"),
    ],
    "odd up": [
        conv(3, padding="same", strides=2),
        layers.Conv2DTranspose(2, 3, strides=2, padding="same"),
    ],
    "up, cropped": [
        conv(3, padding="same", strides=2),
        layers.Conv2DTranspose(2, 3, strides=2),
        layers.Cropping2D(((1, 0), (1, 0))),
    ],
    "wide up": [
        conv(2, strides=2),
        layers.Conv2DTranspose(2, 7, strides=2, padding="same"),
    ],
    "nearest": [conv(2, strides=2), layers.UpSampling2D(2), conv(3, padding="same")],
    "pooled": [layers.AveragePooling2D(2), conv(3, padding="same"), layers.UpSampling2D(2)],
    "depthwise": [layers.DepthwiseConv2D(5, padding="same")],
    "separable": [layers.SeparableConv2D(2, 3, padding="same", strides=2)],
    "finer": [
        layers.Conv2DTranspose(2, 4, strides=2, padding="same"),
        conv(4, strides=2, padding="same"),
    ],
}


@pytest.mark.parametrize("name", CHAINS)
def test_chains_of_layers_see_what_they_are_said_to(name):
    model = chain(*CHAINS[name])
    found = receptive_field(model)
    height, width, reach = measured(model)
    assert (found.height, found.width) == (height, width)
    # A window is as wide on all sides; what a chain reaches on none is 0.
    assert found.reach == max(reach, 0)


def test_branches_count_together():
    image = keras.Input((None, None, 3))
    near, far = conv(3, padding="same"), conv(9, padding="same")
    model = keras.Model(image, near(image) + far(image))
    assert receptive_field(model).height == 9


@pytest.mark.parametrize(
    "name", ["resnet-plain", "dense-plain", "unet-batch", "compact", "quarter"]
)
def test_networks_see_no_further_than_they_are_said_to(name):
    model = GENERATORS[name]()
    random = np.random.default_rng(0)
    model.set_weights([np.abs(random.normal(0.1, 0.1, w.shape)) for w in model.get_weights()])
    found = receptive_field(model)
    block = size_multiple(model)
    side = math.ceil((2 * found.reach + 3 * block) / block) * block
    begin = found.reach // block * block + block
    image = random.uniform(-0.01, 0.01, (1, side, side, 3)).astype("float32")

    def restored(pixels):
        made = model(pixels, training=False)[0, begin : begin + block, begin : begin + block]
        return keras.ops.convert_to_numpy(made)

    other = random.uniform(-0.01, 0.01, image.shape).astype("float32")
    inner = slice(begin - found.reach, begin + block + found.reach)
    other[:, inner, inner] = image[:, inner, inner]
    np.testing.assert_allclose(restored(other), restored(image), atol=1e-6)


def test_an_instance_norm_sees_the_whole_image():
    model = GENERATORS["resnet"]()
    found = receptive_field(model)
    assert found.height == found.width == found.reach == math.inf
    assert "stem_norm" in found.image_wide
    assert receptive_field(model, InstanceNormalization).reach < math.inf


def test_an_unknown_layer_is_taken_to_see_the_whole_image():
    class Own(layers.Layer):
        def call(self, inputs):
            return inputs

    assert receptive_field(chain(Own(name="own"))).image_wide == ("own",)
    assert receptive_field(chain(layers.GroupNormalization(1))).height == math.inf


def test_published_receptive_fields():
    # pix2pix: the PatchGAN of three strided layers sees 70x70.
    from deblur_keras.critics import patch_critic

    assert receptive_field(patch_critic(norm="none")).height == 70
    assert receptive_field(patch_critic(layers=1, norm="none")).height == 16
