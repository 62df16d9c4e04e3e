import os
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import tiny_critic, tiny_generator

from deblur_keras import datasets, images
from deblur_keras.trainers import (
    CheckpointError,
    CycleGAN,
    DeblurGAN,
    HistoryFile,
    LinearDecay,
    SampleSheets,
    SaveGenerator,
    TrainingState,
    WarmUp,
    interruption,
    paper_adam,
)

STEPS, EPOCHS = 4, 3
RNG = np.random.default_rng(0)
BLURRED, SHARP = (RNG.uniform(-1, 1, (2, 32, 32, 3)).astype("float32") for _ in range(2))


def deblurgan(first=1, compiled=None, **options):
    keras.utils.set_random_seed(first)
    made = DeblurGAN(tiny_generator(dropout=0.5, **options), tiny_critic(), seed=first)
    made.compile(critic_steps=2, **compiled or {})
    return made


def steadied(first=1):
    """With all that keeps a state of its own, or changes what a step does; see `warm_up`."""
    return deblurgan(first, {"accumulate": 2, "ema_decay": 0.9, "clip_norm": 1.0})


def warm_up(kind):
    return WarmUp(1 if kind == "steadied" else 0)


def _pair_of_each():
    generators = [tiny_generator(dropout=0.5) for _ in range(2)]
    return [*generators, *(tiny_critic() for _ in range(2))]


def cyclegan(first=1, seed=1):
    keras.utils.set_random_seed(first)
    made = CycleGAN(*_pair_of_each(), pool_size=3, seed=seed)
    made.compile()
    return made


TRAINERS = {"deblurgan": deblurgan, "steadied": steadied, "cyclegan": cyclegan}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Five pairs."""
    root = tmp_path_factory.mktemp("pairs")
    for index in range(5):
        for side in ("blur", "sharp"):
            picture = RNG.integers(0, 256, (40, 44, 3), np.uint8)
            images.write(root / side / f"{index}.png", picture)
    return root


def stream(kind, folder, begin):
    shared = {"crop": 32, "batch": 2, "scale": 1.0, "repeat": True, "first_batch": begin}
    if kind == "cyclegan":
        return datasets.unpaired(folder / "blur", folder / "sharp", **shared)
    return datasets.paired(folder, **shared)


@pytest.fixture(autouse=True)
def heeded():
    """Heeds Ctrl-C, which shells tell programs in the background to ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Signal(keras.callbacks.Callback):
    """Sends Ctrl-C to the process itself at a place in the run."""

    def __init__(self, place=None):
        super().__init__()
        self.place = place
        self.epoch = None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def _at(self, *place):
        if place == self.place:
            self.place = None
            os.kill(os.getpid(), signal.SIGINT)

    def on_train_batch_begin(self, batch, logs=None):
        self._at("update", self.epoch, batch)

    def on_test_batch_begin(self, batch, logs=None):
        self._at("validation", self.epoch, batch)

    def on_epoch_end(self, epoch, logs=None):
        self._at("end", epoch)


def fit(kind, folder, run, place=None, first=1, **limits):
    """Trains what is in the run folder to the end, or up to the place."""
    trainer = TRAINERS[kind](first)
    state = TrainingState(trainer, run / "state", **limits)
    state.restore()
    saver = SaveGenerator(run, monitor="val_psnr")
    state.watch(saver)
    callbacks = [
        LinearDecay(2e-4, constant_epochs=1, decay_epochs=EPOCHS),
        warm_up(kind),
        saver,
        SampleSheets(run / "samples", (BLURRED[:1], SHARP[:1]), every=3),
        HistoryFile(run / "history.csv"),
        Signal(place),
        state,
    ]
    with state.interruptible():
        trainer.fit(
            stream(kind, folder, state.batches),
            **{"steps_per_epoch": STEPS, "epochs": EPOCHS, "initial_epoch": state.epoch},
            validation_data=tf.data.Dataset.from_tensor_slices((BLURRED, SHARP)).batch(1),
            **{"callbacks": callbacks, "verbose": 0},
        )
    return trainer, state


def everything(trainer):
    """All numbers of a trainer by name."""
    parts = dict(trainer.checkpoint_parts(), metrics=trainer)
    values = {}
    for name, part in parts.items():
        variables = part.metrics_variables if name == "metrics" else part.variables
        values |= {f"{name} {i}": np.asarray(variable) for i, variable in enumerate(variables)}
    seeds = [v for v in trainer.variables if v.name == "seed_generator_state"]
    values |= {f"seed {i}": np.asarray(seed) for i, seed in enumerate(seeds)}
    return values


@pytest.fixture(
    scope="module",
    params=[pytest.param(k, marks=[pytest.mark.slow] * (k == "steadied")) for k in TRAINERS],
)
def whole(request, folder, tmp_path_factory):
    """A run that nobody stopped."""
    run = tmp_path_factory.mktemp("whole")
    return request.param, run, *fit(request.param, folder, run)


PLACES = {
    ("update", 0, 0): (0, 1, 1),
    ("update", 1, 1): (1, 2, 6),
    ("update", 1, STEPS - 1): (1, STEPS, 8),  # before the validation
    ("validation", 1, 0): (1, STEPS, 8),
    ("end", 1): (2, 0, 8),
}


def test_a_stopped_run_ends_bit_for_bit_like_a_whole_one(whole, folder, tmp_path):
    kind, run, trainer, state = whole
    for first, (place, expected) in enumerate(PLACES.items(), 1):
        # Each time as in a new process: other networks, which the restored ones are to replace.
        with pytest.raises(KeyboardInterrupt):
            fit(kind, folder, tmp_path, place, first)
        stopped = TRAINERS[kind](first=3)
        between = TrainingState(stopped, tmp_path / "state")
        assert between.restore()
        assert (between.epoch, between.step, between.batches) == expected
        assert int(stopped.generator_optimizer.iterations) == expected[2]
    again, after = fit(kind, folder, tmp_path, first=7)
    reached = everything(again)
    for name, value in everything(trainer).items():
        np.testing.assert_array_equal(reached[name], value, err_msg=name)
    assert (after.epoch, after.step, after.batches) == (EPOCHS, 0, EPOCHS * STEPS)
    assert after.best == state.best
    assert (tmp_path / "history.csv").read_text() == (run / "history.csv").read_text()
    for sheet in sorted((run / "samples").iterdir()):
        same = tmp_path / "samples" / sheet.name
        assert same.read_bytes() == sheet.read_bytes()
    assert len(list((tmp_path / "samples").iterdir())) == 4


def test_a_stopped_fit_goes_on_in_the_same_process(whole, folder, tmp_path):
    kind, _, trainer, _ = whole
    again = TRAINERS[kind]()
    state = TrainingState(again, tmp_path)
    schedule = LinearDecay(2e-4, constant_epochs=1, decay_epochs=EPOCHS)
    validation = tf.data.Dataset.from_tensor_slices((BLURRED, SHARP)).batch(1)
    for place in (("update", 0, 1), ("update", 2, 2), None):
        with state.interruptible():
            try:
                again.fit(
                    stream(kind, folder, state.batches),
                    **{"steps_per_epoch": STEPS, "epochs": EPOCHS, "verbose": 0},
                    initial_epoch=state.epoch,
                    validation_data=validation,
                    callbacks=[schedule, warm_up(kind), Signal(place), state],
                )
                assert place is None
            except KeyboardInterrupt:
                assert place is not None
    reached = everything(again)
    for name, value in everything(trainer).items():
        np.testing.assert_array_equal(reached[name], value, err_msg=name)


def test_other_callbacks_see_the_whole_epoch(folder, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit("deblurgan", folder, tmp_path, ("update", 0, 2))
    trainer = deblurgan(first=2)
    state = TrainingState(trainer, tmp_path / "state")
    state.restore()
    assert state.place() == "epoch 1, 3 of its 4 updates done"
    seen = []
    note = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(
            (batch, int(trainer.generator_optimizer.iterations), logs["psnr"])
        )
    )
    trainer.fit(
        stream("deblurgan", folder, state.batches),
        **{"steps_per_epoch": STEPS, "verbose": 0, "callbacks": [note, state]},
    )
    assert [entry[:2] for entry in seen] == [(0, 3), (1, 3), (2, 3), (3, 4)]
    assert seen[0][2] == seen[1][2] == seen[2][2] > 0
    assert state.place() == "1 epoch done"


@pytest.mark.parametrize(
    ("limits", "at"),
    [
        ({"every": 3, "minutes": None}, [3, 4, 6, 8, 9, 12]),
        ({"minutes": 1e-9}, [*range(1, 13)]),
        pytest.param({"minutes": 60}, [4, 8, 12], marks=pytest.mark.slow),
    ],
)
def test_checkpoints_come_as_often_as_asked_for(limits, at, folder, tmp_path, monkeypatch):
    written = []
    save = TrainingState.save

    def noting(state):
        save(state)
        written.append(state.batches)

    monkeypatch.setattr(TrainingState, "save", noting)
    fit("deblurgan", folder, tmp_path, **limits)
    assert list(dict.fromkeys(written)) == at


@pytest.mark.parametrize("limits", [{"every": 0}, {"minutes": -1.0}])
def test_limits_out_of_range_are_named(limits, tmp_path):
    with pytest.raises(ValueError, match="must be above 0, or None; received"):
        TrainingState(deblurgan(), tmp_path, **limits)


def test_an_update_that_was_cut_off_is_not_saved(folder, tmp_path, caplog):
    trainer = deblurgan()
    state = TrainingState(trainer, tmp_path, every=1)

    class Crash(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer.fit(
            stream("deblurgan", folder, 0),
            **{"steps_per_epoch": STEPS, "verbose": 0, "callbacks": [Crash(), state]},
        )
    state.save()
    assert "An update was cut off" in caplog.text
    again = TrainingState(deblurgan(), tmp_path)
    assert again.restore() and again.batches == 2


def test_the_second_signal_stops_at_once(folder, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(interruption, "_ECHO", 0.0)
    trainer = deblurgan()
    state = TrainingState(trainer, tmp_path)

    def twice(batch, logs=None):
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), state.interruptible():
        trainer.fit(
            stream("deblurgan", folder, 0),
            **{"steps_per_epoch": STEPS, "verbose": 0},
            callbacks=[keras.callbacks.LambdaCallback(on_train_batch_begin=twice), state],
        )
    assert signal.getsignal(signal.SIGTERM) is before
    assert caplog.text.count("SIGTERM: stopping when the running update has ended") == 1
    assert not list(tmp_path.iterdir())


def test_a_fit_that_does_not_fit_is_refused(folder, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit("deblurgan", folder, tmp_path, ("update", 1, 1))
    trainer = deblurgan(first=2)
    state = TrainingState(trainer, tmp_path / "state")
    state.restore()
    data = stream("deblurgan", folder, state.batches)
    shared = {"verbose": 0, "epochs": EPOCHS, "callbacks": [state]}
    with pytest.raises(ValueError, match=r"expected fit\(initial_epoch=1\), received 0"):
        trainer.fit(data, steps_per_epoch=STEPS, **shared)
    with pytest.raises(ValueError, match=r"has 4 steps, of which 2 are done; .* received 5"):
        trainer.fit(data, steps_per_epoch=5, initial_epoch=1, **shared)
    state.begin_epoch_anew()
    trainer.fit(data, steps_per_epoch=5, initial_epoch=1, **shared)
    assert (state.epoch, state.batches) == (3, 6 + 5 * 2)


def test_a_folder_may_have_any_name(tmp_path):
    first = deblurgan()
    TrainingState(first, tmp_path / "b[1] *?").save()
    second = deblurgan(first=2)
    assert TrainingState(second, tmp_path / "b[1] *?").restore()
    for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_other_networks_and_optimizers_are_refused_with_the_difference(tmp_path):
    TrainingState(deblurgan(), tmp_path).save()
    with pytest.raises(
        CheckpointError, match=r"generator: \S*kernel was \[3, 3, 3, 4\], now .* 8\]"
    ):
        TrainingState(deblurgan(filters=8), tmp_path).restore()
    sgd = DeblurGAN(tiny_generator(dropout=0.5), tiny_critic())
    sgd.compile(keras.optimizers.SGD(), paper_adam())
    with pytest.raises(CheckpointError, match=r"generator_optimizer had .* variables, now"):
        TrainingState(sgd, tmp_path).restore()
    with pytest.raises(CheckpointError, match=r"its parts were generator, critic, .* now deblur_"):
        TrainingState(cyclegan(), tmp_path).restore()
    TrainingState(cyclegan(), tmp_path / "cycle").save()
    with pytest.raises(CheckpointError, match="sharp_pool: seed was 2, now 14; blurred_pool"):
        TrainingState(cyclegan(seed=7), tmp_path / "cycle").restore()


def test_nothing_to_restore_is_said(tmp_path):
    state = TrainingState(deblurgan(), tmp_path)
    assert not state.restore()
    assert (state.epoch, state.step, state.batches, state.best) == (0, 0, 0, -np.inf)


def old_state(trainer, directory, epoch, best):
    """Writes what the library wrote before it kept the place within an epoch."""
    seeds = [v.value for v in trainer.variables if v.name == "seed_generator_state"]
    checkpoint = tf.train.Checkpoint(
        **trainer.checkpoint_parts(),
        random_states=seeds,
        epoch=tf.Variable(epoch, dtype=tf.int64),
        best=tf.Variable(best, dtype=tf.float64),
    )
    tf.train.CheckpointManager(checkpoint, str(directory), max_to_keep=2).save()


@pytest.mark.parametrize(  # there was nothing else
    "kind", ["deblurgan", pytest.param("cyclegan", marks=pytest.mark.slow)]
)
def test_a_state_of_an_earlier_version_begins_its_epoch_anew(kind, folder, tmp_path, caplog):
    old = TRAINERS[kind]()
    old.fit(stream(kind, folder, 0), steps_per_epoch=STEPS + 1, verbose=0)
    old_state(old, tmp_path / "state", epoch=1, best=20.5)
    trainer = TRAINERS[kind](first=2)
    state = TrainingState(trainer, tmp_path / "state")
    assert state.restore()
    assert "an epoch that is unfinished begins anew" in caplog.text
    assert (state.epoch, state.step, state.batches, state.best) == (1, 0, STEPS + 1, 20.5)
    ours, theirs = everything(trainer), everything(old)
    for name in ours:
        if not name.startswith("metrics"):
            np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    trainer, state = fit(kind, folder, tmp_path, first=2)
    assert (state.epoch, state.batches) == (EPOCHS, STEPS + 1 + 2 * STEPS)
    assert state.best > 20.5 or state.best == 20.5
    # And an old one of other networks is refused as well.
    other = deblurgan(filters=8)
    old_state(other, tmp_path / "other", epoch=1, best=20.5)
    with pytest.raises(CheckpointError, match="not a checkpoint of these networks"):
        TrainingState(TRAINERS[kind](), tmp_path / "other").restore()


@pytest.mark.parametrize("kind", ["deblurgan", pytest.param("cyclegan", marks=pytest.mark.slow)])
@pytest.mark.slow
def test_a_run_continues_exactly_on_mirrored_devices(mirrored, kind, folder, tmp_path):
    def run(place=None, first=1):
        with mirrored.scope():
            trainer = TRAINERS[kind](first)
        state = TrainingState(trainer, tmp_path / str(place is None) / "state")
        state.restore()
        history = HistoryFile(tmp_path / str(place is None) / "history.csv")
        with state.interruptible():
            trainer.fit(
                stream(kind, folder, state.batches),
                **{"steps_per_epoch": STEPS, "epochs": 2, "initial_epoch": state.epoch},
                **{"callbacks": [history, Signal(place), state], "verbose": 0},
            )
        return trainer

    whole = run()
    with pytest.raises(KeyboardInterrupt):
        run(("update", 1, 1))
    (tmp_path / "True").rename(tmp_path / "whole")
    (tmp_path / "False").rename(tmp_path / "True")
    again = run(first=2)
    for a, b in zip(whole.generator.get_weights(), again.generator.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    rows = [
        np.genfromtxt(tmp_path / name / "history.csv", delimiter=",", skip_header=1)
        for name in ("whole", "True")
    ]
    np.testing.assert_allclose(rows[0], rows[1], rtol=1e-6)
