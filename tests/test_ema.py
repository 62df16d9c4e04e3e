import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import tiny_critic, tiny_generator
from test_state import BLURRED, SHARP

from deblur_keras.trainers import CycleGAN, DeblurGAN, MovingAverage, SaveGenerator, ema


def network(norm=False):
    layers = [keras.layers.Conv2D(3, 3, padding="same")]
    layers += [keras.layers.BatchNormalization()] if norm else []
    return keras.Sequential([keras.Input((None, None, 3)), *layers])


def test_it_is_the_average_written_out():
    random = np.random.default_rng(0)
    averaged = network()
    average = MovingAverage(averaged, decay=0.5)
    expected = [np.array(weight) for weight in averaged.get_weights()]
    for update in range(30):
        averaged.set_weights([random.normal(size=w.shape) for w in averaged.get_weights()])
        average.update()
        keep = min(0.5, (1 + update) / (10 + update))
        expected = [
            keep * e + (1 - keep) * w for e, w in zip(expected, averaged.get_weights(), strict=True)
        ]
    for a, b in zip(average.values(), expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_it_runs_and_is_kept_with_the_statistics_of_batch_norms():
    averaged = network(norm=True)
    average = MovingAverage(averaged, 0.9)
    averaged.layers[-1].moving_mean.assign([1.0, 2.0, 3.0])
    averaged.layers[0].kernel.assign(averaged.layers[0].kernel * 3.0)
    kept = ema.kept(averaged, average)
    assert kept is ema.kept(averaged, average) is not averaged
    np.testing.assert_allclose(kept(BLURRED), average(tf.constant(BLURRED)), atol=1e-6)
    assert np.abs(kept(BLURRED) - averaged(BLURRED)).max() > 0.1
    assert ema.kept(averaged) is averaged


def deblurgan():
    made = DeblurGAN(tiny_generator(), tiny_critic())
    made.compile(critic_steps=1, ema_decay=0.9)
    return made


def cyclegan():
    made = CycleGAN(tiny_generator(), tiny_generator(), tiny_critic(), tiny_critic(), pool_size=2)
    made.compile(ema_decay=0.9)
    return made


@pytest.mark.parametrize("build", [deblurgan, cyclegan])
def test_the_average_is_validated_shown_and_saved(build, tmp_path):
    keras.utils.set_random_seed(1)
    made = build()
    first = made.generator.get_weights()
    for _ in range(3):
        made.train_on_batch(BLURRED, SHARP)
    averages = [part for name, part in made.checkpoint_parts().items() if "average" in name]
    assert len(averages) == (2 if build is cyclegan else 1)
    assert int(averages[0].count.numpy()) == 3
    saver = SaveGenerator(tmp_path)
    saver.set_model(made)
    saver.save("generator.keras")
    loaded = keras.saving.load_model(tmp_path / "generator.keras")
    for a, b in zip(loaded.get_weights(), averages[0].values(), strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(loaded.get_weights(), first, strict=True):
        assert np.abs(a - b).max() > 0
    logs = made.evaluate(BLURRED, SHARP, verbose=0, return_dict=True)
    loaded.compile(loss="mse", metrics=[type(made.quality_trackers["psnr"])()])
    expected = loaded.evaluate(BLURRED, SHARP, verbose=0, return_dict=True)
    assert logs["psnr"] == pytest.approx(expected["psnr"], rel=1e-6)
    if build is cyclegan:
        assert (tmp_path / "blur_generator.keras").is_file()


@pytest.mark.slow
def test_it_averages_what_all_devices_share(mirrored):
    def trained(strategy):
        keras.utils.set_random_seed(1)
        with strategy.scope():
            made = deblurgan()
            made.compile(
                keras.optimizers.SGD(0.1),
                keras.optimizers.SGD(0.1),
                adversarial="least-squares",
                ema_decay=0.9,
            )
            made.generator.layers[2].rate = 0.0  # dropout would draw otherwise on two devices
        made.fit(tf.data.Dataset.from_tensor_slices((BLURRED, SHARP)).batch(2), verbose=0)
        return made.average.values()

    one = trained(tf.distribute.get_strategy())
    for a, b in zip(trained(mirrored), one, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("decay", [1.0, -0.1])
def test_a_decay_out_of_range_is_named(decay):
    with pytest.raises(ValueError, match=r"must lie in \(0, 1\)"):
        MovingAverage(network(), decay)
