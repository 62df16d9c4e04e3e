"""The training pass: the gradients of a plain one, whatever shortcut was taken."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from loading import load
from networks import CRITICS, GENERATORS

from deblur_keras import critics, generators
from deblur_keras.trainers import WassersteinGP
from deblur_keras.trainers.passes import Pass

RNG = np.random.default_rng(0)


def image(height=32, width=48, batch=2):
    return tf.constant(RNG.uniform(-1, 1, (batch, height, width, 3)), tf.float32)


def assert_close(ours, plain):
    """Within 1e-5 of the norm of the whole gradient."""
    scale = np.sqrt(sum(float(tf.reduce_sum(p**2)) for p in plain if p is not None))
    for a, b in zip(ours, plain, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert np.linalg.norm(a - b) < 1e-5 * scale


def gradients(run, network, x, target):
    @tf.function(autograph=False)
    def once():
        with tf.GradientTape() as tape:
            tape.watch(x)
            result = run(x)
            loss = tf.reduce_mean(tf.square(result - target))
        found = tape.gradient(loss, [x, *network.trainable_variables])
        return result, [f for f in found if f is not None]

    return once()


def without_dropout(name):
    network = GENERATORS[name]()
    for layer in network.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    return network


@pytest.mark.parametrize("name", list(GENERATORS))
def test_a_generator_gives_the_same_images_and_gradients(name):
    network = without_dropout(name)
    x, target = image(), image()
    plain = gradients(lambda x: network(x, training=True), network, x, target)
    ours = gradients(Pass(network), network, x, target)
    np.testing.assert_allclose(ours[0], plain[0], atol=1e-5)
    assert_close(ours[1], plain[1])


@pytest.mark.parametrize("name", [name for name in CRITICS if "dense" not in name])
@pytest.mark.parametrize("mode", WassersteinGP.MODES)
def test_a_penalty_has_the_same_gradients(name, mode):
    critic = CRITICS[name]()
    sharp, restored = image(), image()
    alpha = tf.fill((2, 1, 1, 1), 0.3)

    def penalty(network):
        @tf.function(autograph=False)
        def once():
            with tf.GradientTape() as tape:
                value = WassersteinGP(mode=mode).penalty(network, sharp, restored, alpha)
                loss = tf.reduce_mean(value)
            kernels = [v for v in critic.trainable_variables if "kernel" in v.path]
            return value, tape.gradient(loss, kernels)

        return once()

    plain, ours = penalty(critic), penalty(Pass(critic))
    np.testing.assert_allclose(ours[0], plain[0], rtol=1e-5)
    assert_close(ours[1], plain[1])


def test_dropout_and_batch_norms_train():
    network = generators.resnet_generator(4, 1, norm="batch", dropout=0.5)
    before = network.get_weights()
    first, second = Pass(network)(image()), Pass(network)(image())
    assert np.abs(first - second).max() > 1e-3
    moved = [np.abs(a - b).max() > 0 for a, b in zip(before, network.get_weights(), strict=True)]
    assert any(moved)
    np.testing.assert_allclose(
        *(run(image(batch=1) * 0, training=False) for run in (network, Pass(network))), atol=1e-6
    )


def test_a_network_that_is_not_functional_is_called_as_it_is():
    class Own(keras.Model):
        def call(self, x, training=False):
            return x * 2.0 if training else x

    np.testing.assert_array_equal(Pass(Own())(tf.ones((1, 2, 2, 3))), np.full((1, 2, 2, 3), 2.0))


@pytest.mark.slow
def test_the_step_of_the_benchmark_is_that_of_the_trainer():
    """The plain step that the speed is measured against changes the weights as `DeblurGAN` does."""
    benchmark = load("benchmarks/train_step.py")

    class Content:
        def extract(self, images):
            return images * 3.0

        def __call__(self, sharp, restored):
            return tf.reduce_mean(tf.square(3.0 * (sharp - restored)), axis=(1, 2, 3))

    def networks():
        keras.utils.set_random_seed(1)
        return generators.resnet_generator(4, 1, dropout=0.0), critics.patch_critic(4, layers=2)

    weights, batch = [], (image(32, 32), image(32, 32))
    for make in (benchmark.naive, benchmark.ours):
        generator, critic = networks()
        with pytest.MonkeyPatch.context() as patch:
            # One alpha for both, and steps that are as long as the gradients.
            patch.setattr(tf.random, "uniform", lambda shape: tf.fill(shape, 0.3))
            patch.setattr(keras.random, "uniform", lambda shape, seed: tf.fill(shape, 0.3))
            sgd = lambda *_: keras.optimizers.SGD(1e-3)  # noqa: E731
            patch.setattr(benchmark, "paper_adam", sgd)
            patch.setattr("deblur_keras.trainers.optimizers.paper_adam", sgd)
            make(generator, critic, Content())(*batch)
        weights.append(generator.get_weights() + critic.get_weights())
    first = [*map(np.asarray, networks()[0].get_weights() + networks()[1].get_weights())]
    for start, naive, ours in zip(first, *weights, strict=True):
        np.testing.assert_allclose(naive - start, ours - start, atol=1e-6)


@keras.saving.register_keras_serializable("tests")
class Doubling(keras.Model):
    """Does more than its layers."""

    def call(self, x, training=False):
        return 2.0 * super().call(x, training=training)


def test_networks_that_are_more_than_their_graph_are_called_as_they_are():
    x = keras.Input((None, None, 3))
    two = [keras.Input((None, None, 3)) for _ in range(2)]
    added = keras.Model(two, keras.layers.Add()(two))
    nested = keras.Model(x, added([x, keras.layers.Rescaling(3.0)(x)]))
    doubling = Doubling(x, keras.layers.Rescaling(1.5)(x))
    for network in (nested, doubling):
        one = image()
        np.testing.assert_allclose(Pass(network)(one), network(one), rtol=1e-6)
    assert Pass(doubling).trainable_variables == []
