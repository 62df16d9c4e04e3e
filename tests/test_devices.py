import csv
import itertools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner
from networks import tiny_critic

from deblur_keras import images
from deblur_keras.cli import main
from deblur_keras.layers import ReflectionPadding2D
from deblur_keras.trainers import (
    CheckpointError,
    CycleGAN,
    DeblurGAN,
    DeviceError,
    TrainingState,
    WassersteinGP,
    devices,
)

RNG = np.random.default_rng(0)
OBJECTIVES = {
    "per_sample": WassersteinGP(),
    "pixelwise": WassersteinGP(mode="pixelwise"),
    "least-squares": "least-squares",
    "minimax": "minimax",
}


def generator():
    """Small, since what takes time here is to trace, and with reflection, which is particular."""
    image = keras.Input((None, None, 3))
    x = ReflectionPadding2D(1)(image)
    x = keras.layers.Conv2D(4, 3, activation="leaky_relu")(x)
    return keras.Model(image, keras.layers.Conv2D(3, 3, padding="same", activation="tanh")(x))


def trainer(kind, **options):
    keras.utils.set_random_seed(1)
    sgd = [keras.optimizers.SGD(0.01) for _ in range(2)]
    if kind == "cyclegan":
        made = CycleGAN(
            generator(), generator(), tiny_critic(), tiny_critic(), pool_size=20, seed=3
        )
    else:
        made = DeblurGAN(generator(), tiny_critic(), seed=3)
        options = {"critic_steps": 2, "content": "mse", "content_weight": 10.0} | options
    made.compile(*sgd, **options)
    return made


def pairs(count, batch, size=16):
    both = [RNG.uniform(-1, 1, (count, size, size, 3)).astype("float32") for _ in range(2)]
    return tf.data.Dataset.from_tensor_slices(tuple(both)).batch(batch)


def weights(made):
    parts = made.checkpoint_parts().values()
    return [w for part in parts if isinstance(part, keras.Model) for w in part.get_weights()]


def same_as_one_device(strategy, kind, data, **options):
    """Trains on one device and on several; the weights and all that is logged agree."""
    one = trainer(kind, **options)
    before = weights(one)
    with strategy.scope():
        several = trainer(kind, **options)
    logs = [made.fit(data, verbose=0).history for made in (one, several)]
    assert max(np.abs(a - b).max() for a, b in zip(before, weights(one), strict=True)) > 1e-3
    for a, b in zip(weights(one), weights(several), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)
    assert logs[0].keys() == logs[1].keys()
    for name, (value,) in logs[0].items():
        assert logs[1][name][0] == pytest.approx(value, rel=1e-4, abs=1e-5), name


@pytest.mark.parametrize(
    ("kind", "objective"),
    [
        ("deblurgan", "per_sample"),
        ("cyclegan", "least-squares"),
        *(
            pytest.param(*both, marks=pytest.mark.slow)
            for both in itertools.product(("deblurgan", "cyclegan"), OBJECTIVES)
            if both not in (("deblurgan", "per_sample"), ("cyclegan", "least-squares"))
        ),
    ],
)
def test_several_devices_train_as_one_with_the_whole_batch(mirrored, kind, objective):
    same_as_one_device(mirrored, kind, pairs(12, 4), adversarial=OBJECTIVES[objective])


# Three: shared as two and one. And seven in fours: the last batch is of three. Seven in twos: the
# last leaves nothing for the second device.
@pytest.mark.parametrize(
    ("kind", "count", "batch"),
    [
        *(("deblurgan", 9, 3), ("deblurgan", 7, 2)),
        pytest.param("cyclegan", 7, 2, marks=pytest.mark.slow),
        pytest.param("deblurgan", 7, 4, marks=pytest.mark.slow),
        pytest.param("cyclegan", 9, 3, marks=pytest.mark.slow),
        pytest.param("cyclegan", 7, 4, marks=pytest.mark.slow),
    ],
)
def test_batches_need_not_be_shared_evenly(mirrored, kind, count, batch):
    same_as_one_device(mirrored, kind, pairs(count, batch), adversarial="wgan-gp")


def test_scores_are_those_of_one_device(mirrored):
    data = pairs(5, 2)
    one = trainer("deblurgan")
    with mirrored.scope():
        several = trainer("deblurgan")
    scores = [made.evaluate(data, verbose=0, return_dict=True) for made in (one, several)]
    assert scores[0] == pytest.approx(scores[1], rel=1e-5)


def test_each_device_has_a_pool(mirrored):
    with mirrored.scope():
        made = trainer("cyclegan")
    made.fit(pairs(9, 3), verbose=0)
    assert [len(stored) for stored in made.sharp_pool.images] == [6, 3]


def test_pools_are_for_as_many_devices(mirrored, tmp_path):
    def made(pool_size):
        networks = generator(), generator(), tiny_critic(), tiny_critic()
        cycle = CycleGAN(*networks, pool_size=pool_size)
        cycle.compile()
        return cycle

    for size in (5, 0):
        with mirrored.scope():
            two = made(size)
        TrainingState(two, tmp_path / str(size)).save()
    assert TrainingState(made(0), tmp_path / "0").restore()
    with pytest.raises(CheckpointError, match="sharp_pool: devices was 2, now 1"):
        TrainingState(made(5), tmp_path / "5").restore()


def test_what_does_not_work_is_refused(mirrored):
    with mirrored.scope():
        made = trainer("deblurgan")
        with pytest.raises(ValueError, match="expected jit_compile=False under a strategy"):
            made.compile(jit_compile=True)
        with pytest.raises(ValueError, match="expected steps_per_execution=1 under a strategy"):
            made.compile(steps_per_execution=2)
        with pytest.raises(ValueError, match="expected steps_per_execution=1 under a strategy"):
            trainer("cyclegan", steps_per_execution=2)
    trainer("deblurgan", steps_per_execution=2)


def test_devices_are_chosen_by_words():
    assert devices.choose() is devices.choose("cpu") is None
    two = devices.choose("cpu:2")
    assert devices.replicas(two) == 2 and devices.replicas(None) == 1
    assert devices.choose("cpu:2") is two
    with devices.scope(two):
        assert tf.distribute.get_strategy() is two
    with devices.scope(None):
        assert not tf.distribute.has_strategy()
    for wrong in ("gpu", "0,,1", "0,0", "cpu:0", "-1", ""):
        with pytest.raises(DeviceError, match="names no devices; expected all"):
            devices.parse(wrong)
    with pytest.raises(DeviceError, match="There is no GPU 7 for --devices 7; TensorFlow sees:"):
        devices.choose("7")
    with pytest.raises(DeviceError, match="choose them before anything is computed"):
        devices.choose("cpu:3")


def test_a_batch_is_that_of_all_devices(mirrored, caplog):
    devices.check_batch(1, None)
    devices.check_batch(4, mirrored)
    assert not caplog.records
    devices.check_batch(5, mirrored)
    assert "4 or 6 would be" in caplog.text
    with pytest.raises(DeviceError, match="Use --batch 2 or a multiple of it"):
        devices.check_batch(1, mirrored)


def history(run):
    with (run / "history.csv").open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def call(*arguments):
    return CliRunner().invoke(main, ["train", *map(str, arguments)])


@pytest.mark.slow
def test_a_run_on_two_devices_is_that_on_one(tmp_path):
    for split, count in (("train", 5), ("test", 3)):
        for index in range(count):
            for side in ("blur", "sharp"):
                picture = RNG.integers(0, 256, (24, 28, 3), np.uint8)
                images.write(tmp_path / "pairs" / split / "scene" / side / f"{index}.png", picture)
    small = [
        *("--set", "generator.filters=4", "--set", "generator.blocks=1", "--set", "content=mae"),
        *("--set", "critic.filters=4", "--set", "critic.layers=2", "--set", "critic_steps=1"),
        *("--set", "generator.dropout=0.0", "--crop", "16", "--scale", "1.0", "--batch", "3"),
    ]
    start = ["deblurgan", "--data", tmp_path / "pairs", *small, "--epochs", 1]
    one, two = tmp_path / "one", tmp_path / "two"
    assert call(*start, "-o", one).exit_code == 0
    result = call(*start, "-o", two, "--devices", "cpu:2", "--sample-every", 1)
    assert result.exit_code == 0, result.output
    assert json.loads((two / "config.json").read_text())["devices"] == "cpu:2"
    assert len(history(two)) == 1 and len(list(two.glob("samples/*"))) == 2
    for name, value in history(one)[0].items():
        assert history(two)[0][name] == pytest.approx(value, rel=0.01, abs=0.01), name
    # It goes on with the same devices, and with others too.
    assert call("--resume", "-o", two, "--epochs", 2).exit_code == 0
    assert call("--resume", "-o", two, "--epochs", 3, "--devices", "cpu").exit_code == 0
    assert len(history(two)) == 3

    refused = call(*start, "-o", tmp_path / "no", "--devices", "cpu:2", "--batch", 1)
    assert refused.exit_code == 1 and "Use --batch 2 or a multiple" in refused.output
    refused = call(*start, "-o", tmp_path / "no", "--devices", "both")
    assert refused.exit_code == 2 and "names no devices; expected all" in refused.output
    assert not (tmp_path / "no").exists()
