import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from deblur_keras import critics, generators
from deblur_keras.trainers import DeblurGAN, LeastSquares, WarmUp, WassersteinGP

RNG = np.random.default_rng(0)


def data(count):
    return [RNG.uniform(-1, 1, (count, 32, 32, 3)).astype("float32") for _ in range(2)]


def trainer(dropout=0.0, **options):
    keras.utils.set_random_seed(1)
    made = DeblurGAN(
        generators.resnet_generator(4, 1, dropout=dropout),
        critics.patch_critic(4, layers=2),
        seed=5,
    )
    made.compile(
        keras.optimizers.SGD(0.01),
        keras.optimizers.SGD(0.01),
        **{"critic_steps": 2, "content_weight": 10.0, **options},
    )
    return made


def weights(made):
    return made.generator.get_weights() + made.critic.get_weights()


def assert_same(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


OBJECTIVES = WassersteinGP(), WassersteinGP(mode="pixelwise"), LeastSquares()
QUICK = (OBJECTIVES[0], 5, 3), (OBJECTIVES[2], 1, 4)
SLOW = itertools.product(OBJECTIVES, ((4, 2), (4, 4), (5, 3), (1, 4)))


@pytest.mark.parametrize(
    ("adversarial", "count", "parts"),
    [*QUICK, *(pytest.param(o, *shape, marks=pytest.mark.slow) for o, shape in SLOW)],
    ids=str,
)
def test_parts_give_the_weights_of_the_large_batch(adversarial, count, parts):
    batch = data(count)
    whole = trainer(adversarial=adversarial)
    divided = trainer(adversarial=adversarial, accumulate=parts)
    for _ in range(2):
        logs = [made.train_on_batch(*batch, return_dict=True) for made in (whole, divided)]
        assert logs[1] == pytest.approx(logs[0], rel=1e-3, abs=1e-6)
    assert_same(weights(divided), weights(whole))
    assert int(divided.critic_optimizer.iterations) == 4
    assert int(divided.generator_optimizer.iterations) == 2


@pytest.mark.slow
def test_parts_of_a_clipped_and_warming_update_are_those_of_the_large_batch():
    batch = data(3)
    shared = {"clip_norm": 0.01, "content": "mae"}
    made = [trainer(**shared), trainer(accumulate=2, **shared)]
    for each in made:
        each.fit(*batch, batch_size=3, epochs=2, verbose=0, callbacks=[WarmUp(1)])
    assert_same(weights(made[1]), weights(made[0]))


def test_the_critic_judges_the_images_that_the_generator_answers_for(monkeypatch):
    """With dropout the generator runs twice in parts, and both times has to draw the same."""
    made = trainer(dropout=0.5, accumulate=2, run_eagerly=True, critic_steps=1)
    seen = {"critic": [], "generator": []}
    update, judged = made._critic_losses, made._generator_losses

    def critic_losses(sharp, restored, alpha):
        seen["critic"].append(np.asarray(restored))
        return update(sharp, restored, alpha)

    def generator_losses(sharp, restored):
        seen["generator"].append(np.asarray(restored))
        return judged(sharp, restored)

    monkeypatch.setattr(made, "_critic_losses", critic_losses)
    monkeypatch.setattr(made, "_generator_losses", generator_losses)
    batch = data(4)
    for _ in range(2):
        made.train_on_batch(*batch)
    first, second, third, fourth = seen["generator"]
    assert len(seen["critic"]) == 4
    np.testing.assert_allclose([first, second, third, fourth], seen["critic"], atol=1e-6)
    assert np.abs(first - third).max() > 1e-3  # and others in the next step


def test_a_long_gradient_is_shortened_and_a_short_one_is_not():
    batch = data(2)
    step = {}
    for clip in (0.0, 1e-3, 1e3):
        made = trainer(clip_norm=clip, critic_steps=1)
        before = weights(made)
        made.train_on_batch(*batch)
        change = [a - b for a, b in zip(weights(made), before, strict=True)]
        cut = len(made.generator.weights)
        step[clip] = [np.sqrt(sum((c**2).sum() for c in p)) for p in (change[:cut], change[cut:])]
    assert step[1e-3] == pytest.approx([1e-5, 1e-5], rel=1e-2)  # the rate times the norm
    assert step[1e3] == pytest.approx(step[0.0], rel=1e-5)
    assert min(step[0.0]) > 1e-4


@pytest.mark.slow
def test_the_clipped_gradient_is_that_of_all_devices(mirrored):
    batch = data(4)

    def trained(strategy):
        with strategy.scope():
            made = trainer(adversarial=WassersteinGP(weight=0.0), clip_norm=0.05)
        made.fit(tf.data.Dataset.from_tensor_slices(tuple(batch)).batch(4), verbose=0)
        return weights(made)

    assert_same(trained(mirrored), trained(tf.distribute.get_strategy()))


def test_the_generator_warms_up_alone():
    batch = data(4)
    made = trainer(content="mse")
    plain = trainer(content="mse").generator
    before = made.critic.get_weights()
    logs = made.fit(
        *batch, batch_size=2, epochs=1, shuffle=False, verbose=0, callbacks=[WarmUp(1)]
    ).history
    assert set(logs) == {"generator_loss", "content_loss", "psnr", "ssim", "blurred_psnr"}
    for a, b in zip(before, made.critic.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert int(made.critic_optimizer.iterations) == 0
    # It is what a plain fit of the generator does.
    plain.compile(keras.optimizers.SGD(0.1), loss="mse")
    plain.fit(*batch, batch_size=2, epochs=1, shuffle=False, verbose=0)
    assert_same(made.generator.get_weights(), plain.get_weights())
    # Without the callback, or behind its epochs, the critic plays.
    logs = made.fit(*batch, batch_size=2, epochs=2, verbose=0, callbacks=[WarmUp(1)]).history
    assert len(logs["psnr"]) == 2 and len(logs["critic_loss"]) == 1
    assert int(made.critic_optimizer.iterations) == 4


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="accumulate must be at least 1; received 0"):
        trainer(accumulate=0)
    with pytest.raises(ValueError, match="clip_norm must not be negative; received -1"):
        trainer(clip_norm=-1)
    with pytest.raises(ValueError, match="epochs must be at least 0; received -1"):
        WarmUp(-1)
    plain = trainer().generator
    plain.compile(loss="mse")
    with pytest.raises(ValueError, match="Only a trainer with a content loss"):
        plain.fit(*data(1), verbose=0, callbacks=[WarmUp(1)])
