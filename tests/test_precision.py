import keras
import numpy as np
import pytest
import skimage.data
import tensorflow as tf

from deblur_keras import Restorer, critics, export, generators
from deblur_keras.trainers import (
    CycleGAN,
    DeblurGAN,
    SaveGenerator,
    TrainingState,
    WassersteinGP,
    precision,
)

RNG = np.random.default_rng(0)
BLURRED, SHARP = (RNG.uniform(-1, 1, (2, 32, 32, 3)).astype("float32") for _ in range(2))
MIXED = ("mixed_bfloat16", "mixed_float16")


def generator():
    return generators.resnet_generator(4, 1, dropout=0.0)


def deblurgan(policy, seed=1, **options):
    keras.utils.set_random_seed(seed)
    with precision.networks_in(policy):
        made = DeblurGAN(generator(), critics.patch_critic(4, layers=2), seed=seed)
    made.compile(**{"critic_steps": 2, **options})
    return made


def cyclegan(policy, seed=1):
    keras.utils.set_random_seed(seed)
    with precision.networks_in(policy):
        networks = [generator(), generator()]
        networks += [critics.cyclegan_discriminator(4, layers=2) for _ in range(2)]
    made = CycleGAN(*networks, pool_size=2, seed=seed)
    made.compile()
    return made


TRAINERS = {"deblurgan": deblurgan, "cyclegan": cyclegan}


@pytest.mark.parametrize(
    ("kind", "policy"),
    [
        *(("deblurgan", policy) for policy in MIXED),
        *(pytest.param("cyclegan", policy, marks=pytest.mark.slow) for policy in MIXED),
    ],
)
def test_what_is_kept_and_logged_is_float32(kind, policy):
    made = TRAINERS[kind](policy)
    assert keras.config.dtype_policy().name == "float32"
    assert policy.removeprefix("mixed_") in precision.compute_types(made.generator)
    assert made.generator(BLURRED).dtype == tf.float32
    logs = made.train_on_batch(BLURRED, SHARP, return_dict=True)
    assert all(np.isfinite(value) for value in logs.values())
    scaling = keras.optimizers.LossScaleOptimizer
    for optimizer in (made.generator_optimizer, made.critic_optimizer):
        assert isinstance(optimizer, scaling) == (policy == "mixed_float16")
    variables = [*made.trainable_variables, *made.generator_optimizer.variables]
    assert {v.dtype for v in variables if "float" in v.dtype} == {"float32"}


@pytest.mark.parametrize("policy", MIXED)
@pytest.mark.parametrize("mode", WassersteinGP.MODES)
def test_the_penalty_is_that_of_float32(policy, mode):
    # Scores of a map so large, and of slopes so small, that float16 alone would lose them.
    objective = WassersteinGP(mode=mode)
    alpha = tf.fill((2, 1, 1, 1), 0.3)
    found = {}
    for each in ("float32", policy):
        keras.utils.set_random_seed(3)
        with precision.networks_in(each):
            critic = critics.patch_critic(4, layers=2)
        critic.layers[-1].kernel.assign(critic.layers[-1].kernel * 1e-4)
        with tf.GradientTape() as tape:
            penalty = tf.reduce_mean(objective.penalty(critic, SHARP, BLURRED, alpha))
        kernels = [v for v in critic.trainable_variables if "kernel" in v.path]
        gradients = tape.gradient(penalty, kernels)
        found[each] = np.concatenate([np.ravel(gradient) for gradient in gradients])
        assert penalty.dtype == tf.float32
    error = np.linalg.norm(found[policy] - found["float32"]) / np.linalg.norm(found["float32"])
    assert error < (0.2 if policy == "mixed_bfloat16" else 0.05)


def test_gradients_that_overflow_are_left_out_and_halve_the_scale():
    made = deblurgan("mixed_float16", critic_steps=1)
    for optimizer in (made.generator_optimizer, made.critic_optimizer):
        optimizer.dynamic_scale.assign(2.0**100)
    before = made.generator.get_weights() + made.critic.get_weights()
    made.train_on_batch(BLURRED, SHARP)
    for a, b in zip(before, made.generator.get_weights() + made.critic.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    for optimizer in (made.generator_optimizer, made.critic_optimizer):
        assert float(optimizer.dynamic_scale) == 2.0**99
        assert int(optimizer.iterations) == 0


@pytest.mark.parametrize("kind", ["deblurgan", pytest.param("cyclegan", marks=pytest.mark.slow)])
@pytest.mark.slow
def test_the_scale_of_float16_is_continued(kind, tmp_path):
    def run(made, steps):
        for _ in range(steps):
            made.train_on_batch(BLURRED, SHARP)
        return made

    def begun(seed):
        made = TRAINERS[kind]("mixed_float16", seed)
        made.generator_optimizer.dynamic_growth_steps = 3
        return made

    whole = run(begun(1), 4)
    half = run(begun(1), 2)
    TrainingState(half, tmp_path).save()
    again = begun(1 if kind == "cyclegan" else 2)  # pools belong to their seed
    assert TrainingState(again, tmp_path).restore()
    run(again, 2)
    for role in ("generator_optimizer", "critic_optimizer"):
        ours, theirs = getattr(again, role).variables, getattr(whole, role).variables
        assert {"step_counter", "dynamic_scale"} <= {variable.name for variable in ours}
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=a.path)
    for a, b in zip(whole.generator.get_weights(), again.generator.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_is_saved_computes_in_float32(tmp_path):
    made = deblurgan("mixed_bfloat16")
    saver = SaveGenerator(tmp_path)
    saver.set_model(made)
    for _ in range(2):  # the second time from the weights of that time
        made.train_on_batch(BLURRED, SHARP)
        saver.save("generator.keras")
    loaded = keras.saving.load_model(tmp_path / "generator.keras")
    assert precision.compute_types(loaded) == {"float32"}
    assert [layer.name for layer in loaded.layers] == [la.name for la in made.generator.layers]
    for a, b in zip(loaded.get_weights(), made.generator.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    # The same as if it had been trained in float32, and close to what was trained.
    keras.utils.set_random_seed(0)
    plain = generator()
    plain.set_weights(made.generator.get_weights())
    np.testing.assert_array_equal(loaded(BLURRED), plain(BLURRED))
    np.testing.assert_allclose(loaded(BLURRED), made.generator(BLURRED), atol=0.02)
    photograph = RNG.integers(0, 256, (37, 51, 3), "uint8")
    np.testing.assert_array_equal(
        Restorer(tmp_path / "generator.keras")(photograph), Restorer(plain)(photograph)
    )
    _, difference = export.export_onnx(loaded, tmp_path / "generator.onnx")
    assert difference < 1e-4


def test_a_policy_that_does_not_exist_is_named():
    with (
        pytest.raises(ValueError, match="one of float32, mixed_bfloat16, mixed_float16; received"),
        precision.networks_in("bfloat8"),
    ):
        pass


def trained_psnr(policy, seed, steps):
    """Trains a tiny generator to sharpen crops of a photograph; returns its PSNR on others."""
    picture = skimage.data.astronaut().astype("float32") / 127.5 - 1
    soft = tf.nn.avg_pool2d(picture[None], 5, 1, "SAME").numpy()[0]
    places = np.random.default_rng(7).integers(0, 512 - 32, (steps * 2 + 16, 2))
    blurred, sharp = (
        np.stack([side[y : y + 32, x : x + 32] for y, x in places]) for side in (soft, picture)
    )
    keras.utils.set_random_seed(seed)
    with precision.networks_in(policy):
        made = DeblurGAN(
            generators.resnet_generator(8, 1, dropout=0.0),
            critics.patch_critic(8, layers=2),
            seed=seed,
        )
    fast = (keras.optimizers.Adam(1e-3, 0.5), keras.optimizers.Adam(1e-3, 0.5))
    made.compile(*fast, critic_steps=2, content="mse", content_weight=100.0)
    made.fit(blurred[:-16], sharp[:-16], batch_size=2, shuffle=False, verbose=0)
    # float16 leaves some updates out while it looks for its scale.
    assert int(made.generator_optimizer.iterations) >= steps - 20
    return made.evaluate(blurred[-16:], sharp[-16:], verbose=0, return_dict=True)["psnr"]


@pytest.mark.slow
def test_a_few_steps_of_bfloat16_end_near_float32():
    # Seeds 1 to 3 are 27.5, 25.7 and 25.3 dB in float32: they differ more than precisions do.
    exact, mixed = (trained_psnr(policy, 1, 12) for policy in ("float32", "mixed_bfloat16"))
    assert mixed == pytest.approx(exact, abs=1.2)


@pytest.mark.slow
@pytest.mark.parametrize("policy", MIXED)
def test_200_steps_end_within_the_noise_of_float32(policy):
    """The noise is what another seed of the weights and of the penalty changes.

    A GAN amplifies rounding: the same seed ends half a decibel elsewhere when a sum is made in
    another order. So it is means over six seeds that are compared, by their standard error.
    """
    exact, mixed = (
        np.array([trained_psnr(each, seed, 200) for seed in range(1, 7)])
        for each in ("float32", policy)
    )
    difference = mixed.mean() - exact.mean()
    error = np.sqrt((exact.var(ddof=1) + mixed.var(ddof=1)) / 6)
    print(f"float32 {exact.round(2)}, {policy} {mixed.round(2)} dB")
    print(f"difference of the means {difference:+.2f}, its standard error {error:.2f} dB")
    assert abs(difference) < 3 * error
