import keras
import numpy as np
import pytest
import tensorflow as tf

from deblur_keras import critics, generators, losses
from deblur_keras.trainers import DeblurGAN, WassersteinGP, paper_adam

RNG = np.random.default_rng(0)
LOGGED = {
    "generator_loss",
    "critic_loss",
    "content_loss",
    "adversarial_loss",
    "gradient_penalty",
    "psnr",
    "ssim",
    "blurred_psnr",
}


def data(count=2, size=32):
    return [RNG.uniform(-1, 1, (count, size, size, 3)).astype("float32") for _ in range(2)]


def trainer(**arguments):
    keras.utils.set_random_seed(1)
    made = DeblurGAN(
        generators.resnet_generator(4, 1, dropout=0.0), critics.patch_critic(4, layers=2), seed=5
    )
    made.compile(**arguments)
    return made


def sgd(rate=0.01):
    return keras.optimizers.SGD(rate)


def test_both_optimizers_are_built_in_compile():
    made = trainer()
    for optimizer, network in (
        (made.generator_optimizer, made.generator),
        (made.critic_optimizer, made.critic),
    ):
        assert optimizer.built
        # Adam: two moments a variable, the step count and the learning rate.
        assert len(optimizer.variables) == 2 * len(network.trainable_variables) + 2


def test_defaults_are_the_authors():
    made = trainer()
    for optimizer in (made.generator_optimizer, made.critic_optimizer):
        assert float(optimizer.learning_rate) == pytest.approx(1e-4)
        assert (optimizer.beta_1, optimizer.beta_2, optimizer.epsilon) == (0.5, 0.999, 1e-8)
    assert (made.critic_steps, made.content_weight, made.adversarial.weight) == (5, 100.0, 10.0)


def test_a_step_counts_and_changes_every_trained_weight():
    made = trainer(critic_steps=3)
    networks = (made.generator, made.critic)
    before = [[w.numpy().copy() for w in n.trainable_variables] for n in networks]
    logs = made.train_on_batch(*data(), return_dict=True)
    assert set(logs) == LOGGED
    assert all(np.isfinite(value) for value in logs.values())
    assert int(made.generator_optimizer.iterations) == 1
    assert int(made.critic_optimizer.iterations) == 3
    for network, old in zip(networks, before, strict=True):
        for variable, value in zip(network.trainable_variables, old, strict=True):
            # A bias before an instance norm has no effect: its gradient is zero.
            if "kernel" in variable.path:
                assert np.abs(variable.numpy() - value).max() > 0, variable.path


def test_one_step_is_the_papers_algorithm():
    """The same step written out plainly, with its own gradients: equal weights afterwards."""
    blurred, sharp = data()
    content = losses.mean_absolute_error
    made = trainer(
        generator_optimizer=sgd(),
        critic_optimizer=sgd(),
        adversarial=WassersteinGP(weight=0.0),
        content=content,
        content_weight=3.0,
        adversarial_weight=0.5,
        critic_steps=2,
    )
    generator = keras.models.clone_model(made.generator)
    generator.set_weights(made.generator.get_weights())
    critic = keras.models.clone_model(made.critic)
    critic.set_weights(made.critic.get_weights())
    made.train_on_batch(blurred, sharp)

    restored = tf.constant(generator(blurred))
    for _ in range(2):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(critic(restored)) - tf.reduce_mean(critic(sharp))
        descend(critic, tape, loss)
    with tf.GradientTape() as tape:
        restored = generator(blurred)
        loss = -0.5 * tf.reduce_mean(critic(restored))
        loss += 3.0 * tf.reduce_mean(tf.abs(restored - sharp))
    descend(generator, tape, loss)
    for ours, plain in ((made.critic, critic), (made.generator, generator)):
        for a, b in zip(ours.get_weights(), plain.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)


def descend(network, tape, loss, rate=0.01):
    gradients = tape.gradient(loss, network.trainable_variables)
    for variable, gradient in zip(network.trainable_variables, gradients, strict=True):
        variable.assign_sub(rate * gradient)


def test_logged_losses_add_up():
    made = trainer(content="mse", content_weight=7.0, adversarial_weight=2.0)
    logs = made.train_on_batch(*data(), return_dict=True)
    total = 2.0 * logs["adversarial_loss"] + 7.0 * logs["content_loss"]
    assert logs["generator_loss"] == pytest.approx(total, rel=1e-5)


def test_both_losses_are_scaled_for_float16():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        made = trainer(critic_steps=1)
    finally:
        keras.config.set_dtype_policy("float32")
    for optimizer in (made.generator_optimizer, made.critic_optimizer):
        assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    logs = made.train_on_batch(*data(), return_dict=True)
    assert all(np.isfinite(value) for value in logs.values())


def test_evaluate_scores_without_training():
    made = trainer()
    before = made.generator.get_weights()
    logs = made.evaluate(*data(), verbose=0, return_dict=True)
    assert set(logs) == {"content_loss", "psnr", "ssim", "blurred_psnr"}
    for a, b in zip(before, made.generator.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_predict_restores():
    made = trainer()
    blurred, _ = data()
    np.testing.assert_allclose(made.predict(blurred, verbose=0), made.generator(blurred), atol=1e-6)


@pytest.mark.parametrize("mode", ["per_sample", pytest.param("pixelwise", marks=pytest.mark.slow)])
def test_the_same_seed_gives_the_same_step(mode):
    batch = data()
    runs = []
    for _ in range(2):
        made = trainer(adversarial=WassersteinGP(mode=mode), critic_steps=2)
        made.train_on_batch(*batch)
        runs.append(made.generator.get_weights())
    for a, b in zip(*runs, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-7)


def test_wrong_arguments_are_named():
    made = trainer(run_eagerly=True)
    with pytest.raises(ValueError, match="critic_steps must be at least 1"):
        made.compile(critic_steps=0)
    with pytest.raises(ValueError, match="content_weight must not be negative"):
        made.compile(content_weight=-1)
    shared = paper_adam()
    with pytest.raises(ValueError, match="an optimizer each"):
        made.compile(generator_optimizer=shared, critic_optimizer=shared)
    with pytest.raises(ValueError, match="sample weights too"):
        made.train_on_batch(*data(), sample_weight=np.ones(2))
    with pytest.raises(ValueError, match="no sharp images"):
        made.train_on_batch(data()[0])
    grey = keras.Sequential([keras.Input((None, None, 1)), keras.layers.Conv2D(1, 4)])
    with pytest.raises(ValueError, match="must take what the generator gives"):
        DeblurGAN(made.generator, grey)
