import keras
import numpy as np
import pytest
import tensorflow as tf

from deblur_keras.trainers import objectives
from deblur_keras.trainers.objectives import WassersteinGP

RNG = np.random.default_rng(0)
SHARP = RNG.uniform(-1, 1, (3, 4, 5, 3)).astype("float32")
RESTORED = RNG.uniform(-1, 1, (3, 4, 5, 3)).astype("float32")
ALPHA = np.array([0.1, 0.5, 0.9], "float32").reshape(3, 1, 1, 1)


def linear_critic(weights):
    """Scores each pixel by its product with the weights (3,): the gradient is known."""
    model = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(1, 1)])
    model.layers[0].kernel.assign(np.reshape(weights, (1, 1, 3, 1)))
    return model


def test_losses_by_hand():
    objective = WassersteinGP()
    sharp = np.array([[1.0, 3.0], [0.0, 0.0]], "float32").reshape(2, 1, 2, 1)
    restored = np.array([[5.0, 7.0], [-1.0, 1.0]], "float32").reshape(2, 1, 2, 1)
    np.testing.assert_allclose(objective.critic_loss(sharp, restored), [4.0, 0.0])
    np.testing.assert_allclose(objective.generator_loss(restored), [-6.0, 0.0])


def test_pixelwise_penalty_of_a_linear_critic():
    # The gradient of the summed map is the weights at every pixel: norm 5.
    objective = WassersteinGP(weight=2.0, mode="pixelwise")
    penalty = objective.penalty(linear_critic([3.0, 4.0, 0.0]), SHARP, RESTORED, ALPHA)
    np.testing.assert_allclose(penalty, np.full(3, 2.0 * (5.0 - 1.0) ** 2), rtol=1e-5)


def test_per_sample_penalty_of_a_linear_critic():
    # The gradient of the mean over 20 pixels is weights / 20 at each: norm 5 sqrt(20) / 20.
    objective = WassersteinGP(weight=2.0, mode="per_sample")
    penalty = objective.penalty(linear_critic([3.0, 4.0, 0.0]), SHARP, RESTORED, ALPHA)
    np.testing.assert_allclose(penalty, np.full(3, 2 * (5 / np.sqrt(20) - 1) ** 2), rtol=1e-5)


@pytest.mark.parametrize("mode", WassersteinGP.MODES)
def test_penalty_vanishes_at_norm_one(mode):
    scale = 1.0 if mode == "pixelwise" else np.sqrt(20)
    critic = linear_critic(np.array([0.6, 0.0, 0.8]) * scale)
    penalty = WassersteinGP(mode=mode).penalty(critic, SHARP, RESTORED, ALPHA)
    np.testing.assert_allclose(penalty, np.zeros(3), atol=1e-5)


class QuadraticCritic:
    """D(x) = sum of squares / 2, whose gradient is x: shows where the penalty was taken."""

    def __call__(self, x, training):
        return tf.reduce_sum(tf.square(x), axis=-1, keepdims=True) / 2


@pytest.mark.parametrize("mode", WassersteinGP.MODES)
def test_penalty_is_taken_between_sharp_and_restored(mode):
    alpha = ALPHA if mode == "per_sample" else ALPHA[:1]  # one alpha a batch in the authors' code
    between = alpha * SHARP + (1 - alpha) * RESTORED
    if mode == "per_sample":
        norms = np.sqrt(np.square(between / 20).sum((1, 2, 3)))
        expected = np.square(norms - 1)
    else:
        expected = np.square(np.sqrt(np.square(between).sum(3)) - 1).mean((1, 2))
    penalty = WassersteinGP(1.0, mode).penalty(QuadraticCritic(), SHARP, RESTORED, ALPHA)
    np.testing.assert_allclose(penalty, expected, rtol=1e-4)


@pytest.mark.parametrize("mode", WassersteinGP.MODES)
def test_penalty_has_a_finite_gradient_where_the_critic_is_flat(mode):
    critic = linear_critic([0.0, 0.0, 0.0])
    with tf.GradientTape() as tape:
        penalty = WassersteinGP(1.0, mode).penalty(critic, SHARP, RESTORED, ALPHA)
    np.testing.assert_allclose(penalty, 1.0)
    gradient = tape.gradient(penalty, critic.layers[0].kernel.value)
    assert np.isfinite(gradient).all()


def test_penalty_of_one_example_does_not_depend_on_the_others():
    critic = QuadraticCritic()
    whole = WassersteinGP().penalty(critic, SHARP, RESTORED, ALPHA)
    one = WassersteinGP().penalty(critic, SHARP[1:2], RESTORED[1:2], ALPHA[1:2])
    np.testing.assert_allclose(whole[1], one[0], rtol=1e-5)


def test_alpha_is_uniform_and_one_an_example():
    alpha = objectives.draw_alpha(4000, keras.random.SeedGenerator(1)).numpy()
    assert alpha.shape == (4000, 1, 1, 1)
    assert 0 <= alpha.min() < 0.01 and 0.99 < alpha.max() < 1
    counts, _ = np.histogram(alpha, bins=10, range=(0, 1))
    assert np.abs(counts - 400).max() < 100  # five standard deviations


def test_an_objective_without_penalty_has_zero():
    class Plain(objectives.AdversarialObjective):
        def critic_loss(self, sharp_scores, restored_scores):
            return restored_scores

        def generator_loss(self, restored_scores):
            return restored_scores

    np.testing.assert_array_equal(Plain().penalty(None, SHARP, RESTORED, ALPHA), np.zeros(3))
    assert isinstance(objectives.get(Plain()), Plain)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="'per_sample' or 'pixelwise'"):
        WassersteinGP(mode="pixel")
    with pytest.raises(ValueError, match="must not be negative"):
        WassersteinGP(weight=-1)
    with pytest.raises(ValueError, match=r"'wgan-gp'.*received 'wgan'"):
        objectives.get("wgan")
    assert isinstance(objectives.get("wgan-gp"), WassersteinGP)
