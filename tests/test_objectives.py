import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import tiny_generator

from deblur_keras import critics, generators
from deblur_keras.trainers import DeblurGAN, objectives
from deblur_keras.trainers.objectives import LeastSquares, Minimax, WassersteinGP

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


def scores(*values):
    """Makes the score maps of two examples with two values each."""
    return np.array(values, "float32").reshape(2, 1, 2, 1)


def test_least_squares_by_hand():
    objective = LeastSquares()
    sharp, restored = scores(1.0, 3.0, 0.0, 0.0), scores(0.0, 2.0, 1.0, 1.0)
    np.testing.assert_allclose(objective.critic_loss(sharp, restored), [(2 + 2) / 2, (1 + 1) / 2])
    np.testing.assert_allclose(objective.generator_loss(restored), [1.0, 0.0])
    # Not the authors' L1: at a distance of 3 it would be 3.
    np.testing.assert_allclose(objective.generator_loss(scores(4.0, 4.0, 4.0, 4.0)), [9.0, 9.0])


def test_minimax_by_hand():
    sharp, restored = scores(0.8, 0.8, 0.5, 0.5), scores(0.1, 0.3, 0.5, 0.5)
    first = -(np.log(0.8) + (np.log(0.9) + np.log(0.7)) / 2) / 2
    cheating = -(np.log(0.1) + np.log(0.3)) / 2
    for from_logits in (False, True):
        given = [np.log(p / (1 - p)) if from_logits else p for p in (sharp, restored)]
        objective = Minimax(from_logits)
        np.testing.assert_allclose(objective.critic_loss(*given), [first, np.log(2)], rtol=1e-5)
        np.testing.assert_allclose(
            objective.generator_loss(given[1]), [cheating, np.log(2)], rtol=1e-5
        )


@pytest.mark.parametrize("logit", [-1e4, -60.0, -20.0, 20.0, 60.0, 1e4])
@pytest.mark.parametrize("from_logits", [True, False])
def test_minimax_is_stable_at_saturation(logit, from_logits):
    logits = tf.fill((1, 2), logit)
    scale = 2.0**15  # a mixed-precision loss scale must not overflow either
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(logits)
        given = logits if from_logits else tf.sigmoid(logits)
        critic_loss = scale * Minimax(from_logits).critic_loss(given, given)
        generator_loss = scale * Minimax(from_logits).generator_loss(given)
    for loss in (critic_loss, generator_loss):
        gradient = tape.gradient(loss, logits)
        assert np.isfinite(loss).all() and np.isfinite(gradient).all()
        assert np.abs(gradient).max() <= scale
    # The generator loses: it must still be told so, all the more clearly.
    if logit < 0 and (from_logits or logit > -69):
        expected = np.full((1, 2), -0.5 * scale)
        np.testing.assert_allclose(tape.gradient(generator_loss, logits), expected, rtol=1e-5)
    if from_logits:
        np.testing.assert_allclose(generator_loss, [scale * max(-logit, 0.0)], atol=1e-3)


def small_critic(head="linear"):
    return critics.dense_head_discriminator((16, 16), filters=2, units=4, norm="none", head=head)


def test_minimax_asks_the_critic_whether_it_gives_probabilities():
    assert Minimax().bind(small_critic("linear")).from_logits is True
    assert Minimax().bind(small_critic("sigmoid")).from_logits is False
    stated = Minimax(from_logits=False)
    assert stated.bind(small_critic("linear")) is stated
    tanh = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(1, 8, activation="tanh")])
    with pytest.raises(ValueError, match=r"ends in a tanh.*from_logits=True or False"):
        Minimax().bind(tanh)
    with pytest.raises(ValueError, match="cannot be followed"):
        Minimax().bind(QuadraticCritic())
    with pytest.raises(ValueError, match="logits or probabilities"):
        Minimax().generator_loss(scores(0, 0, 0, 0))


def test_wasserstein_refuses_a_sigmoid_and_says_what_to_do():
    made = DeblurGAN(generators.resnet_generator(2, 1), small_critic("sigmoid"))
    explanation = r"unbounded score.*ends in a sigmoid.*head='linear'.*'least-squares' or 'minimax'"
    with pytest.raises(ValueError, match=explanation):
        made.compile()
    behind = keras.Sequential(
        [keras.Input((None, None, 3)), keras.layers.Conv2D(1, 4), keras.layers.Activation("tanh")]
    )
    with pytest.raises(ValueError, match="ends in a tanh"):
        DeblurGAN(generators.resnet_generator(2, 1), behind).compile(adversarial="wgan-gp")
    unknown = QuadraticCritic()
    assert isinstance(WassersteinGP().bind(unknown), WassersteinGP)


CRITICS = {
    "patch": lambda: critics.patch_critic(2, layers=1),
    "cyclegan": lambda: critics.cyclegan_discriminator(2, layers=2),
    "dense-head": lambda: critics.dense_head_discriminator(16, 2, 4),
    "dense-head-linear": lambda: critics.dense_head_discriminator(
        16, 2, 4, norm="none", head="linear"
    ),
}


@pytest.mark.parametrize("adversarial", objectives.OBJECTIVES)
@pytest.mark.parametrize("critic", CRITICS)
def test_every_objective_trains_with_every_critic_that_fits(adversarial, critic):
    if (adversarial, critic) == ("wgan-gp", "dense-head"):
        return  # refused, as tested above
    keras.utils.set_random_seed(0)
    made = DeblurGAN(tiny_generator(), CRITICS[critic](), seed=0)
    made.compile(
        adversarial=adversarial,
        critic_steps=1,
        content=[(1.0, "mae"), (0.01, "total_variation")],
    )
    before = [network.get_weights() for network in (made.generator, made.critic)]
    blurred, sharp = RNG.uniform(-1, 1, (2, 2, 16, 16, 3)).astype("float32")
    logs = made.train_on_batch(blurred, sharp, return_dict=True)
    assert all(np.isfinite(value) for value in logs.values())
    for network, old in zip((made.generator, made.critic), before, strict=True):
        new = network.get_weights()
        assert all(np.isfinite(values).all() for values in new)
        assert any(np.abs(a - b).max() > 0 for a, b in zip(new, old, strict=True))


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
    with pytest.raises(ValueError, match=r"'least-squares', 'minimax', 'wgan-gp'.*'wgan'"):
        objectives.get("wgan")
    kinds = {"wgan-gp": WassersteinGP, "least-squares": LeastSquares, "minimax": Minimax}
    for name, kind in kinds.items():
        assert isinstance(objectives.get(name), kind)
