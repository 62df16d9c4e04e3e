import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import tiny_critic, tiny_generator

from deblur_keras import curves
from deblur_keras.trainers import (
    CycleGAN,
    DeblurGAN,
    HistoryFile,
    ImagePool,
    SaveGenerator,
    StopOnDivergence,
    TrainingState,
    paper_adam,
    updates,
)

RNG = np.random.default_rng(0)
BLURRED, SHARP = (RNG.uniform(-1, 1, (6, 32, 32, 3)).astype("float32") for _ in range(2))


def deblurgan(**options):
    keras.utils.set_random_seed(1)
    made = DeblurGAN(tiny_generator(), tiny_critic(), seed=1)
    made.compile(critic_steps=2, **options)
    return made


def cyclegan(**options):
    keras.utils.set_random_seed(1)
    networks = [tiny_generator() for _ in range(2)]
    networks += [tiny_critic() for _ in range(2)]
    made = CycleGAN(*networks, pool_size=2, seed=1)
    made.compile(**options)
    return made


def pairs(*broken):
    """Six batches of one pair; those with these numbers hold a pixel that is not finite."""
    blurred = BLURRED.copy()
    blurred[list(broken), 3, 4, 1] = np.nan
    return tf.data.Dataset.from_tensor_slices((blurred, SHARP)).batch(1)


def arrays(trainer):
    """All that a step changes, but for random states."""
    parts = trainer.checkpoint_parts().values()
    return [np.asarray(v).copy() for part in parts for v in part.variables]


@pytest.mark.parametrize("make", [deblurgan, pytest.param(cyclegan, marks=pytest.mark.slow)])
def test_a_step_that_is_not_finite_changes_nothing_and_spoils_no_average(make, caplog):
    trainer = make()
    stop = StopOnDivergence(limit=2)
    trainer.fit(pairs(1, 3, 4).take(4), verbose=0, callbacks=[stop])
    assert (stop.total, trainer.vigil.bad_steps) == (2, 1)
    assert all(np.isfinite(array).all() for array in arrays(trainer))
    assert all(np.isfinite(values).all() for values in trainer.history.history.values())
    assert int(trainer.generator_optimizer.iterations) == 2
    before = arrays(trainer)
    trainer.fit(pairs(0).take(1), verbose=0, callbacks=[stop])
    if make is deblurgan:  # a pool notes each image that it has seen
        for old, new in zip(before, arrays(trainer), strict=True):
            np.testing.assert_array_equal(old, new)
    assert (
        "epoch 1, update 2: an update of the generator left out, since its loss is not finite"
        in (caplog.text)
    )
    assert "epoch 1, update 3: sound again, after 1 bad step." in caplog.text


def test_an_epoch_of_bad_steps_has_no_scores_and_is_told_briefly(tmp_path, caplog):
    trainer = deblurgan()
    history = HistoryFile(tmp_path / "history.csv")
    saver = SaveGenerator(tmp_path, "psnr", baseline="blurred_psnr")
    callbacks = [StopOnDivergence(), saver, history]
    trainer.fit(pairs(0, 1, 2).take(3), verbose=0, callbacks=callbacks)
    trainer.fit(pairs(), verbose=0, epochs=2, initial_epoch=1, callbacks=callbacks)
    first, second = curves.read(tmp_path / "history.csv")["psnr"]
    assert math.isnan(first) and second > 0
    assert math.isfinite(saver.best)
    assert caplog.text.count("since its loss is not finite") == 2  # of both networks, once
    assert "epoch 1, update 3: the same; 3 bad steps in a row." in caplog.text


@pytest.mark.slow
def test_sound_updates_are_those_without_a_vigil(monkeypatch):
    def plain(optimizer, tape, scaled, variables, *_):
        optimizer.apply(tape.gradient(scaled, variables), variables)

    watched, unwatched = deblurgan(), deblurgan()
    watched.fit(pairs(), verbose=0)
    monkeypatch.setattr(updates, "descend", plain)
    unwatched.fit(pairs(), verbose=0)
    for one, other in zip(arrays(watched), arrays(unwatched), strict=True):
        np.testing.assert_array_equal(one, other)


def test_too_many_bad_steps_in_a_row_are_explained(tmp_path):
    trainer = deblurgan(adversarial="wgan-gp")
    state = TrainingState(trainer, tmp_path / "state", every=1)
    callbacks = [StopOnDivergence(limit=3), SaveGenerator(tmp_path, "psnr"), state]
    with pytest.raises(FloatingPointError) as caught:
        trainer.fit(pairs(2, 3, 4, 5), verbose=0, callbacks=callbacks)
    message = str(caught.value)
    assert "2 updates of the critic left out, since its loss is not finite" in message
    assert "3 steps in a row were bad, since epoch 1, update 3." in message
    assert "the learning rate, 0.0001" in message
    assert "the weight of the gradient penalty, 10" in message and "precision" not in message
    again = TrainingState(deblurgan(), tmp_path / "state")
    assert again.restore() and (again.epoch, again.step) == (0, 2)  # the last good one
    assert not list(tmp_path.glob("*.keras"))


def test_a_critic_that_explodes_is_seen_at_once_though_the_average_hides_it(tmp_path):
    trainer = deblurgan()
    trainer.fit(pairs(), verbose=0)
    last = trainer.critic.layers[-1]
    last.kernel.assign(last.kernel * 1e6)
    stop = StopOnDivergence(limit=1, critic_limit=1e4)
    with pytest.raises(
        FloatingPointError, match=r"at epoch 1, update 1: the critic's loss is .*, b"
    ):
        trainer.fit(pairs(), verbose=0, callbacks=[stop])
    # What is not beyond the limit goes on, and is saved.
    state = TrainingState(trainer, tmp_path)
    trainer.fit(pairs(), verbose=0, callbacks=[StopOnDivergence(critic_limit=math.inf), state])
    assert state.epoch == 1 and trainer.vigil.bad_steps == 0


def test_nothing_that_is_not_finite_is_written(tmp_path):
    trainer = deblurgan()
    state = TrainingState(trainer, tmp_path)
    state.save()
    variable = trainer.generator.trainable_variables[3]
    variable.assign(variable * np.nan)
    saver = SaveGenerator(tmp_path, "psnr")
    saver.set_model(trainer)
    for write in (state.save, lambda: saver.save("generator.keras")):
        with pytest.raises(FloatingPointError, match=f"{variable.path} of the .* is kept|are kept"):
            write()
    assert TrainingState(trainer, tmp_path).restore()
    assert not (tmp_path / "generator.keras").exists()


@pytest.mark.slow
def test_replicas_leave_an_update_out_together(mirrored):
    with mirrored.scope():
        trainer = deblurgan()
    before = arrays(trainer)
    halves = BLURRED[:2].copy()
    halves[1] = np.nan  # on one replica alone
    stop = StopOnDivergence()
    trainer.fit(halves, SHARP[:2], batch_size=2, verbose=0, callbacks=[stop])
    assert stop.total == 1
    for old, new in zip(before, arrays(trainer), strict=True):
        np.testing.assert_array_equal(old, new)
    trainer.fit(BLURRED[:2], SHARP[:2], batch_size=2, verbose=0, callbacks=[stop])
    assert updates.count(trainer.generator_optimizer) == 1 and stop.total == 0


def test_the_scale_of_float16_is_sought_without_bad_steps():
    scaling = [keras.optimizers.LossScaleOptimizer(paper_adam(), 2.0**127) for _ in range(2)]
    trainer = deblurgan(generator_optimizer=scaling[0], critic_optimizer=scaling[1])
    stop = StopOnDivergence(limit=1)
    trainer.fit(pairs(), verbose=0, callbacks=[stop])
    assert stop.total == 0
    assert float(scaling[0].dynamic_scale) < 2.0**127


def test_a_pool_stores_no_image_that_is_not_finite():
    pool = ImagePool(size=1)
    broken = np.full((1, 2, 2, 3), np.inf, np.float32)
    assert np.isinf(pool(broken)).all() and pool.images[0].shape[0] == 0
    pool(np.ones((1, 2, 2, 3), np.float32))
    assert np.isinf(pool(broken)).all() and (pool.images[0].numpy() == 1).all()


def test_wrong_limits_are_named():
    for options in ({"limit": 0}, {"critic_limit": 0.0}, {"critic_limit": math.nan}):
        with pytest.raises(ValueError, match="limit must be at least 1 and critic_limit above 0"):
            StopOnDivergence(**options)


def test_what_was_left_out_at_the_end_is_saved_if_it_is_finite(tmp_path):
    trainer = deblurgan(ema_decay=0.5)
    saver = SaveGenerator(tmp_path, monitor=None)
    callbacks = [StopOnDivergence(), saver, TrainingState(trainer, tmp_path / "state")]
    trainer.fit(pairs(5), verbose=0, callbacks=callbacks)
    assert (tmp_path / "generator.keras").exists() and (tmp_path / "generator-last.keras").exists()
    assert TrainingState(trainer, tmp_path / "state").restore()
    assert int(trainer.average.count) == 5  # not for what was left out


def test_float16_that_overflows_on_one_replica_is_left_out_on_all(mirrored):
    keras.config.set_dtype_policy("mixed_float16")

    def overflows_on_the_second(sharp, restored):
        loss = tf.reduce_mean(tf.abs(tf.cast(restored, tf.float32) - sharp), axis=(1, 2, 3))
        return loss * tf.where(tf.reduce_mean(sharp, axis=(1, 2, 3)) > 0.5, 1e30, 1.0)

    try:
        with mirrored.scope():
            trainer = deblurgan(content=overflows_on_the_second, content_weight=1.0)
    finally:
        keras.config.set_dtype_policy("float32")
    sharp = SHARP[:2].copy()
    sharp[1] = 0.9
    scale = trainer.generator_optimizer.dynamic_scale.numpy()
    trainer.fit(tf.data.Dataset.from_tensor_slices((BLURRED[:2], sharp)).batch(2), verbose=0)
    assert all(np.isfinite(weight).all() for weight in trainer.generator.get_weights())
    assert trainer.generator_optimizer.dynamic_scale.numpy() < scale


def test_float16_that_overflows_whatever_the_scale_is_a_bad_step():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        trainer = deblurgan(content=lambda sharp, restored: never(restored))
    finally:
        keras.config.set_dtype_policy("float32")
    trainer.generator_optimizer.dynamic_scale.assign(4.0)
    with pytest.raises(FloatingPointError):
        trainer.fit(
            pairs().repeat(), steps_per_epoch=12, verbose=0, callbacks=[StopOnDivergence(3)]
        )


@tf.custom_gradient
def never(restored):
    """A finite loss whose gradient never is."""
    loss = tf.reduce_mean(tf.cast(restored, tf.float32), axis=(1, 2, 3))
    return loss, lambda upstream: tf.fill(tf.shape(restored), tf.constant(np.nan, restored.dtype))
