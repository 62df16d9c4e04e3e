import keras
import numpy as np
import pytest
import tensorflow as tf

from deblur_keras import critics, generators
from deblur_keras.trainers import CycleGAN, Minimax, WassersteinGP, paper_adam

RNG = np.random.default_rng(0)
LOGGED = {
    "generator_loss",
    "critic_loss",
    "adversarial_loss",
    "cycle_loss",
    "identity_loss",
    "deblur_adversarial_loss",
    "blur_adversarial_loss",
    "sharp_critic_loss",
    "blurred_critic_loss",
}
NETWORKS = ("deblur_generator", "blur_generator", "sharp_critic", "blurred_critic")


def data(count=2, size=32):
    return [RNG.uniform(-1, 1, (count, size, size, 3)).astype("float32") for _ in range(2)]


def trainer(pool_size=50, **arguments):
    keras.utils.set_random_seed(1)
    made = CycleGAN(
        *(generators.resnet_generator(4, 1, dropout=0.0, skip="none") for _ in range(2)),
        *(critics.cyclegan_discriminator(4, layers=2) for _ in range(2)),
        pool_size=pool_size,
        seed=5,
    )
    made.compile(**arguments)
    return made


def sgd(rate=0.05):
    return keras.optimizers.SGD(rate)


def test_defaults_are_the_authors():
    made = trainer()
    for optimizer in (made.generator_optimizer, made.critic_optimizer):
        assert optimizer.built
        assert float(optimizer.learning_rate) == pytest.approx(2e-4)
        assert (optimizer.beta_1, optimizer.beta_2, optimizer.epsilon) == (0.5, 0.999, 1e-8)
    assert (made.adversarial_weight, made.cycle_weight, made.identity_weight) == (1, 10, 5)
    assert repr(made.sharp_objective) == repr(made.blurred_objective) == "LeastSquares()"
    assert made.sharp_pool.size == made.blurred_pool.size == 50
    assert made.sharp_pool.seed != made.blurred_pool.seed


def test_a_step_counts_and_changes_every_trained_weight():
    made = trainer(run_eagerly=True)
    before = [getattr(made, name).get_weights() for name in NETWORKS]
    logs = made.train_on_batch(*data(), return_dict=True)
    assert set(logs) == LOGGED
    assert all(np.isfinite(value) for value in logs.values())
    assert int(made.generator_optimizer.iterations) == 1
    assert int(made.critic_optimizer.iterations) == 1
    for name, old in zip(NETWORKS, before, strict=True):
        for variable, value in zip(getattr(made, name).trainable_variables, old, strict=True):
            # A bias before an instance norm has no effect: its gradient is zero.
            if "kernel" in variable.path:
                assert np.abs(variable.numpy() - value).max() > 0, (name, variable.path)


@pytest.mark.parametrize("identity_weight", [0.0, 3.0])
def test_one_step_is_the_papers_algorithm(identity_weight):
    """The same step written out plainly, a loss and a tape a network: equal weights afterwards."""
    blurred, sharp = data()
    made = trainer(
        pool_size=0,
        generator_optimizer=sgd(),
        critic_optimizer=sgd(),
        cycle_weight=7.0,
        identity_weight=identity_weight,
    )
    deblur, blur, of_sharp, of_blurred = plain = [copy(getattr(made, name)) for name in NETWORKS]
    logs = made.train_on_batch(blurred, sharp, return_dict=True)

    mean = tf.reduce_mean
    with tf.GradientTape(persistent=True) as tape:
        made_sharp, made_blurred = deblur(blurred), blur(sharp)
        loss = mean((of_sharp(made_sharp) - 1) ** 2) + mean((of_blurred(made_blurred) - 1) ** 2)
        cycle = mean(abs(blur(made_sharp) - blurred)) + mean(abs(deblur(made_blurred) - sharp))
        identity = mean(abs(deblur(sharp) - sharp)) + mean(abs(blur(blurred) - blurred))
        loss += 7.0 * cycle + identity_weight * identity
        sharp_loss = (mean((of_sharp(sharp) - 1) ** 2) + mean(of_sharp(made_sharp) ** 2)) / 2
        blurred_loss = mean((of_blurred(blurred) - 1) ** 2) + mean(of_blurred(made_blurred) ** 2)
        blurred_loss /= 2
    descend(tape, (deblur, loss), (blur, loss), (of_sharp, sharp_loss), (of_blurred, blurred_loss))
    for name, network in zip(NETWORKS, plain, strict=True):
        for a, b in zip(getattr(made, name).get_weights(), network.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6, err_msg=name)
    assert logs["generator_loss"] == pytest.approx(float(loss), rel=1e-5)
    assert logs["sharp_critic_loss"] == pytest.approx(float(sharp_loss), rel=1e-5)
    assert logs["blurred_critic_loss"] == pytest.approx(float(blurred_loss), rel=1e-5)
    assert ("identity_loss" in logs) == bool(identity_weight)


def copy(network):
    copied = keras.models.clone_model(network)
    copied.set_weights(network.get_weights())
    return copied


def descend(tape, *steps, rate=0.05):
    gradients = [tape.gradient(loss, network.trainable_variables) for network, loss in steps]
    for (network, _), of_network in zip(steps, gradients, strict=True):
        for variable, gradient in zip(network.trainable_variables, of_network, strict=True):
            variable.assign_sub(rate * gradient)


def test_logged_losses_add_up():
    made = trainer(adversarial_weight=2.0, cycle_weight=7.0, identity_weight=3.0, run_eagerly=True)
    logs = made.train_on_batch(*data(), return_dict=True)
    total = 2 * logs["adversarial_loss"] + 7 * logs["cycle_loss"] + 3 * logs["identity_loss"]
    assert logs["generator_loss"] == pytest.approx(total, rel=1e-5)
    for whole, parts in {
        "adversarial_loss": ("deblur_adversarial_loss", "blur_adversarial_loss"),
        "critic_loss": ("sharp_critic_loss", "blurred_critic_loss"),
    }.items():
        assert logs[whole] == pytest.approx(sum(logs[part] for part in parts), rel=1e-5)


def test_critics_are_shown_the_pools():
    made = trainer(pool_size=2, generator_optimizer=sgd(0.0), run_eagerly=True)
    blurred, sharp = data(count=5)
    made.train_on_batch(blurred, sharp)
    for pool, network, given in (
        (made.sharp_pool, made.deblur_generator, blurred),
        (made.blurred_pool, made.blur_generator, sharp),
    ):
        (held,) = pool.images
        made_images = np.asarray(network(given))
        assert held.shape == (2, 32, 32, 3)
        for image in np.asarray(held):
            assert np.abs(made_images - image).max(axis=(1, 2, 3)).min() < 1e-5


def test_training_learns_to_undo():
    made = trainer(generator_optimizer=paper_adam(2e-3), critic_optimizer=paper_adam(2e-4))
    blurred = np.tanh(RNG.normal(-0.5, 0.3, (4, 16, 16, 3))).astype("float32")
    sharp = np.tanh(RNG.normal(0.5, 0.3, (4, 16, 16, 3))).astype("float32")
    history = made.fit(blurred, sharp, batch_size=1, epochs=15, verbose=0).history
    assert history["cycle_loss"][-1] < 0.6 * history["cycle_loss"][0]
    assert history["identity_loss"][-1] < 0.7 * history["identity_loss"][0]


def test_evaluate_scores_pairs_without_training():
    made = trainer()
    before = made.deblur_generator.get_weights()
    blurred, _ = data()
    sharp = np.asarray(made.deblur_generator(blurred))
    logs = made.evaluate(blurred, sharp, verbose=0, return_dict=True)
    assert set(logs) == {"psnr", "ssim", "blurred_psnr"}
    assert logs["ssim"] == pytest.approx(1.0, abs=1e-4)
    for a, b in zip(before, made.deblur_generator.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_predict_deblurs():
    made = trainer()
    blurred, _ = data()
    assert made.generator is made.deblur_generator
    expected = made.deblur_generator(blurred)
    np.testing.assert_allclose(made.predict(blurred, verbose=0), expected, atol=1e-6)


@pytest.mark.parametrize("objective", [Minimax(), WassersteinGP()])
def test_other_objectives_work_too(objective):
    batch, options = data(), {"critic_optimizer": sgd(), "run_eagerly": True}
    logs = trainer(adversarial=objective, **options).train_on_batch(*batch, return_dict=True)
    assert set(logs) == LOGGED
    assert all(np.isfinite(value) for value in logs.values())
    if isinstance(objective, WassersteinGP):
        options["critic_optimizer"] = sgd()
        bare = trainer(adversarial=WassersteinGP(weight=0.0), **options)
        without = bare.train_on_batch(*batch, return_dict=True)["critic_loss"]
        assert logs["critic_loss"] > without + 0.1  # the penalty is in it


def test_the_same_seed_gives_the_same_steps():
    batches = [data() for _ in range(4)]
    runs = []
    for _ in range(2):
        made = trainer(pool_size=1, run_eagerly=True)
        for batch in batches:
            made.train_on_batch(*batch)
        runs.append(made.sharp_critic.get_weights())
    for a, b in zip(*runs, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_wrong_arguments_are_named():
    made = trainer()
    networks = [getattr(made, name) for name in NETWORKS]
    with pytest.raises(ValueError, match="cycle_weight must not be negative"):
        made.compile(cycle_weight=-1)
    shared = paper_adam()
    with pytest.raises(ValueError, match="an optimizer each"):
        made.compile(generator_optimizer=shared, critic_optimizer=shared)
    with pytest.raises(ValueError, match="XLA cannot compile pools"):
        made.compile(jit_compile=True)
    with pytest.raises(ValueError, match="two generators must be two networks"):
        CycleGAN(networks[0], *networks[:1], *networks[2:])
    with pytest.raises(ValueError, match="two critics must be two networks"):
        CycleGAN(*networks[:3], networks[2])
    grey = keras.Sequential([keras.Input((None, None, 1)), keras.layers.Conv2D(1, 4)])
    with pytest.raises(ValueError, match="must take what the other gives"):
        CycleGAN(*networks[:3], grey)
