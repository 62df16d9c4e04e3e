import keras
import numpy as np
import pytest

from deblur_keras import critics


def test_parameters_and_map_of_the_reference():
    critic = critics.patch_critic()
    assert critic.count_params() == 2_764_737
    assert critic.compute_output_shape((1, 256, 256, 3)) == (1, 35, 35, 1)


def test_five_layers_are_the_full_critic_of_the_second_version():
    critic = critics.patch_critic(layers=5)
    assert critic.count_params() == 11_154_369
    assert critic.compute_output_shape((1, 256, 256, 3)) == (1, 11, 11, 1)


def test_without_norm_a_score_sees_70_pixels_alone():
    critic = critics.patch_critic(filters=4, norm="none")
    image = np.zeros((1, 256, 256, 3), "float32")
    changed = image.copy()
    changed[0, 128, 128] = 1.0
    difference = np.abs(np.asarray(critic(changed) - critic(image)))[0, :, :, 0] > 0
    rows = np.flatnonzero(difference.any(axis=1))
    # A score every 8 pixels, and each sees 70: at most 9 of them see one pixel.
    assert 1 <= len(rows) <= 9
    assert not difference[0].any()


def test_the_score_is_unbounded():
    critic = critics.patch_critic(filters=4)
    critic.get_layer("score").bias.assign([100.0])
    score = critic(np.random.default_rng(0).normal(size=(1, 64, 64, 3)).astype("float32"))
    assert np.asarray(score).min() > 50


def test_cyclegan_discriminator_is_the_papers():
    discriminator = critics.cyclegan_discriminator()
    assert discriminator.count_params() == 2_764_737
    assert discriminator.compute_output_shape((1, 256, 256, 3)) == (1, 16, 16, 1)
    convolutions = [x for x in discriminator.layers if isinstance(x, keras.layers.Conv2D)]
    assert [x.strides[0] for x in convolutions] == [2, 2, 2, 2, 1]
    assert [x.filters for x in convolutions] == [64, 128, 256, 512, 1]
    norms = [x.name for x in discriminator.layers if "norm" in x.name]
    assert norms == ["conv2_norm", "conv3_norm", "conv4_norm"]


def test_dense_head_discriminator_is_the_papers():
    discriminator = critics.dense_head_discriminator()
    assert discriminator.count_params() == 3_098_370
    convolutions = [x for x in discriminator.layers if isinstance(x, keras.layers.Conv2D)]
    assert [x.filters for x in convolutions] == [64, 64, 128, 256, 512, 1]
    assert [x.strides[0] for x in convolutions] == [2, 2, 2, 2, 1, 1]
    norms = [x.name for x in discriminator.layers if "norm" in x.name]
    assert norms == [f"conv{index}_norm" for index in (2, 3, 4, 5)]
    assert discriminator.output_shape == (None, 1)
    with pytest.raises(ValueError, match="shape"):
        discriminator(np.zeros((1, 128, 128, 3), "float32"))


def test_linear_head_is_the_logit_of_the_sigmoid():
    probability = critics.dense_head_discriminator((32, 48), 4, 8)
    logit = critics.dense_head_discriminator((32, 48), 4, 8, head="linear")
    logit.set_weights(probability.get_weights())
    images = np.random.default_rng(0).uniform(-1, 1, (3, 32, 48, 3)).astype("float32")
    expected = 1 / (1 + np.exp(-np.asarray(logit(images))))
    np.testing.assert_allclose(probability(images), expected, atol=1e-6)


def ending(*layers):
    return keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Conv2D(1, 4), *layers])


class Unknown(keras.Model):
    """A model that cannot be followed."""

    def call(self, x):
        return x


@pytest.mark.parametrize(
    ("build", "activation"),
    [
        (lambda: ending(), "linear"),
        (lambda: ending(keras.layers.Activation("sigmoid")), "sigmoid"),
        (lambda: ending(keras.layers.Activation("linear"), keras.layers.Flatten()), "linear"),
        (lambda: ending(keras.layers.Dense(1, activation="sigmoid")), "sigmoid"),
        (
            lambda: ending(
                keras.layers.Activation("sigmoid"), keras.layers.GlobalAveragePooling2D()
            ),
            "sigmoid",
        ),
        (lambda: ending(ending_model("tanh")), "tanh"),
        (lambda: ending(keras.layers.Softmax()), "softmax"),
        (lambda: ending(keras.layers.LeakyReLU()), "leaky_relu"),
        (lambda: ending(keras.layers.Activation("sigmoid"), keras.layers.Dense(1)), "linear"),
        (lambda: operation(keras.ops.sigmoid), "sigmoid"),
        (lambda: operation(lambda x: keras.ops.mean(keras.ops.sigmoid(x), (1, 2))), "sigmoid"),
        (Unknown, None),
    ],
)
def test_output_activation(build, activation):
    assert critics.output_activation(build()) == activation


def ending_model(activation):
    score = keras.Input((None, None, 1))
    return keras.Model(score, keras.layers.Conv2D(1, 2, activation=activation)(score))


def operation(function):
    image = keras.Input((None, None, 3))
    return keras.Model(image, function(keras.layers.Conv2D(1, 2)(image)))


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"norm must be one of 'instance', 'none'.*'batch'"):
        critics.cyclegan_discriminator(norm="batch")
    with pytest.raises(ValueError, match="layers must be at least 1"):
        critics.cyclegan_discriminator(layers=0)
    with pytest.raises(ValueError, match=r"head must be one of 'sigmoid', 'linear'.*'tanh'"):
        critics.dense_head_discriminator(head="tanh")
    with pytest.raises(ValueError, match="norm must be one of 'batch'"):
        critics.dense_head_discriminator(norm="layer")
    with pytest.raises(ValueError, match="norm must be"):
        critics.patch_critic(norm="batch")
    with pytest.raises(ValueError, match="layers must be at least 1"):
        critics.patch_critic(layers=0)
