import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import tiny_critic, tiny_generator

from deblur_keras import datasets, images
from deblur_keras.trainers import (
    CycleGAN,
    DeblurGAN,
    LinearDecay,
    SampleSheets,
    SaveGenerator,
    TellMishaps,
    TrainingState,
)

RNG = np.random.default_rng(0)
BLURRED, SHARP = (RNG.uniform(-1, 1, (2, 32, 32, 3)).astype("float32") for _ in range(2))


def trainer(seed=1):
    keras.utils.set_random_seed(seed)
    made = DeblurGAN(tiny_generator(), tiny_critic(), seed=seed)
    made.compile(critic_steps=2)
    return made


@pytest.mark.parametrize(
    ("epoch", "rate"), [(1, 1e-4), (151, 1e-4), (152, 9.933e-5), (300, 6.67e-7), (301, 0.0)]
)
def test_linear_decay_has_the_authors_values(epoch, rate):
    schedule = LinearDecay()
    made = trainer()
    schedule.set_model(made)
    schedule.on_epoch_begin(epoch - 1)
    for optimizer in (made.generator_optimizer, made.critic_optimizer):
        assert float(optimizer.learning_rate) == pytest.approx(rate, rel=1e-3, abs=1e-12)


def test_linear_decay_of_a_plain_model_and_of_two_rates():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    schedule = LinearDecay(1.0, constant_epochs=0, decay_epochs=4)
    model.fit(np.ones((1, 1)), np.ones((1, 1)), epochs=3, verbose=0, callbacks=[schedule])
    assert model.history.history["learning_rate"] == [1.0, 0.75, 0.5]
    assert float(model.optimizer.learning_rate) == 0.5

    made = trainer()
    schedule = LinearDecay((2e-4, 1e-4), constant_epochs=0, decay_epochs=2)
    schedule.set_model(made)
    schedule.on_epoch_begin(1)
    assert float(made.generator_optimizer.learning_rate) == pytest.approx(1e-4)
    assert float(made.critic_optimizer.learning_rate) == pytest.approx(5e-5)


def test_linear_decay_names_wrong_arguments():
    with pytest.raises(ValueError, match="decay_epochs at least 1"):
        LinearDecay(decay_epochs=0)
    with pytest.raises(ValueError, match="positive rate or two"):
        LinearDecay(initial=0.0)


def test_save_generator_keeps_the_best_and_the_last(tmp_path):
    made = trainer()
    saver = SaveGenerator(tmp_path, monitor="psnr")
    saver.set_model(made)
    outputs = []
    for epoch, psnr in enumerate([20.0, 22.0, 21.0, math.nan]):
        made.generator.set_weights([w + 0.01 for w in made.generator.get_weights()])
        saver.on_epoch_end(epoch, {"psnr": psnr})
        outputs.append(np.asarray(made.generator(BLURRED)))
    for name, expected in (("generator", outputs[1]), ("generator-last", outputs[3])):
        loaded = keras.saving.load_model(tmp_path / f"{name}.keras")
        np.testing.assert_allclose(loaded(BLURRED), expected, atol=1e-6)
    assert saver.best == 22.0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "generator-last.keras",
        "generator.keras",
    ]


def test_the_best_is_not_the_epoch_with_the_easiest_crops(tmp_path):
    made = trainer()
    saver = SaveGenerator(tmp_path, monitor="psnr", baseline="blurred_psnr")
    saver.set_model(made)
    for epoch, (psnr, blurred) in enumerate([(24.0, 23.5), (30.0, 30.2), (25.0, 24.0)]):
        saver.on_epoch_end(epoch, {"psnr": psnr, "blurred_psnr": blurred})
    assert saver.best == 1.0 and saver.measure == "psnr - blurred_psnr"
    state = TrainingState(made, tmp_path / "state")
    state.watch(saver)
    state.save()
    for monitor, baseline, best in (("psnr", "blurred_psnr", 1.0), ("val_psnr", None, -math.inf)):
        again = TrainingState(trainer(), tmp_path / "state")
        assert again.restore()
        other = SaveGenerator(tmp_path, monitor, baseline=baseline)
        again.watch(other)  # of other images than before it would mean nothing
        assert other.best == again.best == best


def test_save_generator_names_what_was_logged(tmp_path):
    saver = SaveGenerator(tmp_path)
    with pytest.raises(ValueError, match=r"'val_psnr', which was not logged; .*\['psnr'\]"):
        saver.on_epoch_end(0, {"psnr": 1.0})


def test_sample_sheets_come_at_the_steps_asked_for(tmp_path):
    made = trainer()
    sheets = SampleSheets(tmp_path, (BLURRED, SHARP), every=2)
    made.fit(BLURRED, SHARP, batch_size=1, epochs=2, verbose=0, callbacks=[sheets])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "step-0000002.png",
        "step-0000004.png",
    ]
    assert images.read(tmp_path / "step-0000004.png").shape[1] > 3 * 32


def test_training_state_restores_networks_and_both_optimizers(tmp_path):
    first = trainer(seed=1)
    state = TrainingState(first, tmp_path)
    saver = SaveGenerator(tmp_path / "weights", monitor="psnr")
    state.watch(saver)
    first.fit(BLURRED, SHARP, batch_size=1, epochs=2, verbose=0, callbacks=[saver, state])

    second = trainer(seed=2)
    again = TrainingState(second, tmp_path)
    assert again.restore()
    assert (again.epoch, again.step, again.batches) == (2, 0, 4)
    assert again.best == saver.best > 0
    for name in ("generator", "critic", "generator_optimizer", "critic_optimizer"):
        old, new = getattr(first, name), getattr(second, name)
        for a, b in zip(old.variables, new.variables, strict=True):
            np.testing.assert_array_equal(np.asarray(a), np.asarray(b), err_msg=a.path)
    assert int(second.critic_optimizer.iterations) == 8
    np.testing.assert_array_equal(first.seed_generator.state, second.seed_generator.state)


def test_callbacks_work_on_mirrored_devices(mirrored, tmp_path):
    with mirrored.scope():
        made = trainer()
    state = TrainingState(made, tmp_path / "state", every=1)
    sheets = SampleSheets(tmp_path / "samples", (BLURRED, SHARP), every=1)
    saver = SaveGenerator(tmp_path, monitor="psnr")
    pairs = tf.data.Dataset.from_tensors((BLURRED, SHARP))
    made.fit(pairs, verbose=0, callbacks=[LinearDecay(), saver, state, sheets])
    second = trainer(seed=2)  # goes on with one device
    again = TrainingState(second, tmp_path / "state")
    assert again.restore() and again.epoch == 1
    for a, b in zip(made.generator.get_weights(), second.generator.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def said(caplog):
    """What the library has logged; TensorFlow has its own worries."""
    return [record.getMessage() for record in caplog.records if "deblur_keras" in record.name]


def test_mishaps_are_told_by_the_epochs_of_the_run(tmp_path, caplog):
    def stream(name, broken, **options):
        for side in ("blur", "sharp"):
            picture = np.full((8, 8, 3), len(side), np.uint8)
            for number in range(4):
                images.write(tmp_path / name / side / f"{number}.png", picture)
        made = datasets.paired(tmp_path / name, crop=8, scale=1.0, **options)
        for number in broken:
            (tmp_path / name / "blur" / f"{number}.png").write_bytes(b"broken")
        return made

    training = stream("a", [0, 2])
    mixed = datasets.mix([stream("b", [1], repeat=True), stream("c", [], repeat=True)], seed=1)
    list(training)  # before the run, for something else
    assert "epoch 1: 2 of 4 crops are of" in caplog.text
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(3, 1)])
    model.compile("sgd", "mse")
    streams = {"training": training, "validation": stream("d", [3]), "tests": BLURRED, "more": None}
    caplog.clear()
    callback = TellMishaps(streams)
    model.fit(
        training, epochs=2, verbose=0, callbacks=[callback], validation_data=streams["validation"]
    )
    lines = said(caplog)
    (named,) = [line for line in lines if "in its place" in line]
    assert "d/blur/3.png" in named
    lines.remove(named)
    of_training = (
        "2 of 4 crops made for training are of another image than planned; 2 images so far"
    )
    of_validation = (
        "1 of 4 crops made for validation is of another image than planned; 1 image so far"
    )
    for number, line in enumerate((of_training, of_validation) * 2):
        assert lines[number] == f"epoch {number // 2 + 1}: {line} could not be used"
    names = ", ".join(str(tmp_path / "a" / "blur" / f"{number}.png") for number in (0, 2))
    assert lines[4] == (
        "in all: 4 of 8 crops made for training are of another image than planned; 2 images could"
        f" not be used: {names}"
    )
    assert len(lines) == 6 and lines[5].startswith("in all: 2 of 8 crops made for validation are")

    # Of a mix, where no pass ever ends.
    caplog.clear()
    callback = TellMishaps({"training": mixed})
    model.fit(mixed, epochs=3, steps_per_epoch=9, verbose=0, callbacks=[callback])
    lines = said(caplog)
    assert lines[-1].startswith("in all: ") and "b/blur/1.png" in lines[-1]
    told = [line.partition(":")[0] for line in lines if line.startswith("epoch")]
    assert told == sorted(told) and len(told) >= 2


def test_nothing_is_told_when_all_images_are_used(caplog):
    model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(3, 1)])
    model.compile("sgd", "mse")
    callbacks = [TellMishaps({"training": BLURRED})]
    model.fit(BLURRED, SHARP, epochs=2, verbose=0, callbacks=callbacks)
    assert not said(caplog)


def cycle(first=1):
    keras.utils.set_random_seed(first)
    networks = [tiny_generator(), tiny_generator()]
    networks += [tiny_critic(), tiny_critic()]
    made = CycleGAN(*networks, pool_size=2, seed=1)
    made.compile()
    return made


@pytest.mark.slow
def test_every_callback_serves_a_cyclegan_too(tmp_path):
    first = cycle()
    state = TrainingState(first, tmp_path / "state")
    callbacks = [
        LinearDecay(2e-4, constant_epochs=1, decay_epochs=2),
        SaveGenerator(tmp_path),
        SampleSheets(tmp_path / "samples", (BLURRED, SHARP), every=2),
        state,
    ]
    state.watch(callbacks[1])
    first.fit(
        *(BLURRED, SHARP),
        batch_size=1,
        epochs=3,
        validation_data=(BLURRED, SHARP),
        callbacks=callbacks,
        verbose=0,
    )
    assert first.history.history["learning_rate"] == pytest.approx([2e-4, 2e-4, 1e-4])
    assert float(first.critic_optimizer.learning_rate) == pytest.approx(1e-4)
    assert state.best == max(first.history.history["val_psnr"])
    assert len(list((tmp_path / "samples").iterdir())) == 3
    assert sorted(path.name for path in tmp_path.glob("*.keras")) == [
        "blur_generator-last.keras",
        "blur_generator.keras",
        "generator-last.keras",
        "generator.keras",
    ]
    for name in ("deblur_generator", "blur_generator"):
        path = tmp_path / f"{name.removeprefix('deblur_')}-last.keras"
        loaded = keras.saving.load_model(path).get_weights()
        for a, b in zip(loaded, getattr(first, name).get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)

    second = cycle(first=2)
    again = TrainingState(second, tmp_path / "state")
    assert again.restore() and again.epoch == 3
    for name, old in first.checkpoint_parts().items():
        new = second.checkpoint_parts()[name]
        assert len(old.variables) == len(new.variables) > 0
        for a, b in zip(old.variables, new.variables, strict=True):
            np.testing.assert_array_equal(np.asarray(a), np.asarray(b), err_msg=name)
    assert int(second.generator_optimizer.iterations) == 6
    assert second.sharp_pool.images[0].shape == (2, 32, 32, 3)


def test_without_pairs_the_latest_is_kept_and_sheets_have_no_sharp_column(tmp_path):
    made = cycle()
    saver = SaveGenerator(tmp_path, monitor=None)
    sheets = [
        SampleSheets(tmp_path / name, (BLURRED, sharp))
        for name, sharp in (("pairs", SHARP), ("unpaired", None))
    ]
    for callback in (saver, *sheets):
        callback.set_model(made)
    for epoch in range(2):
        made.generator.set_weights([w + 0.01 for w in made.generator.get_weights()])
        saver.on_epoch_end(epoch, {})
    loaded = keras.saving.load_model(tmp_path / "generator.keras")
    np.testing.assert_allclose(loaded(BLURRED), made.generator(BLURRED), atol=1e-6)
    assert saver.best == -math.inf
    for callback in sheets:
        callback.on_train_end()
    pairs, unpaired = (
        images.read(tmp_path / name / "step-0000000.png") for name in ("pairs", "unpaired")
    )
    assert unpaired.shape[1] < 0.75 * pairs.shape[1]
