import csv
import dataclasses
import json
import os
import re
import shutil
import signal
from pathlib import Path

import keras
import numpy as np
import pytest
import skimage.data
import tensorflow as tf
from click.testing import CliRunner
from tensorflow.python.framework import config as tf_config

from deblur_keras import (
    Restorer,
    blur,
    datasets,
    feeds,
    generators,
    images,
    locks,
    recipes,
    run_config,
    runs,
    trainers,
)
from deblur_keras.cli import main
from deblur_keras.datasets import archives, catalog

SMALL = [
    *("--set", "generator.filters=4", "--set", "generator.blocks=1", "--set", "content=mse"),
    *("--set", "critic_steps=1", "--set", "critic.filters=4", "--set", "critic.layers=1"),
    *("--set", "critic.norm=none", "--crop", "32", "--scale", "1.0"),
]
SMALL_CYCLE = [
    *("--set", "generator.filters=4", "--set", "generator.blocks=1", "--set", "critic.filters=4"),
    *("--set", "critic.layers=2", "--crop", "32"),
]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """GoPro's tree of four training pairs and one test pair, and a folder of sharp photographs."""
    root = tmp_path_factory.mktemp("photographs")
    picture = skimage.data.astronaut()
    kernels = blur.random_psfs(5, seed=1, size=32, max_length=20.0)
    for index in range(5):
        scene = root / "pairs" / ("test" if index == 4 else "train") / "scene"
        sharp = picture[64 * index : 64 * index + 48, 100:160]
        images.write(scene / "sharp" / f"{index}.png", sharp)
        images.write(scene / "blur" / f"{index}.png", blur.motion_blur(sharp, kernels[index]))
        images.write(root / "sharp" / f"{index}.png", sharp)
    return root


def call(*arguments):
    return CliRunner().invoke(main, ["train", *map(str, arguments)])


def history(run):
    with (run / "history.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_run_writes_its_folder_and_goes_on(photographs, tmp_path):
    run = tmp_path / "run"
    start = ["--data", photographs / "pairs", "-o", run, *SMALL, "--epochs", 2, "--batch", 2]
    result = call(*start, "--sample-every", 3)
    assert result.exit_code == 0, result.output
    assert f"deblur-keras deblur photo.jpg --model {run / 'generator.keras'}" in result.output
    # Four updates from random weights: nothing to be used, and that is said.
    assert re.search(
        r"have \d+\.\d\d dB, .* given \d+\.\d\d dB: it makes them worse", result.output
    )
    for name in ("config.json", "generator.keras", "generator-last.keras", "state", "tensorboard"):
        assert (run / name).exists(), name
    for name in ("README.md", "curves.png", "samples.gif"):
        assert (run / name).stat().st_size > 1000, name
    assert not (run / locks.NAME).exists()
    assert re.search(r"^epoch 2/2: generator .* validation \d+\.\d\d dB", result.output, re.M)
    assert [p.name for p in sorted((run / "samples").iterdir())] == [
        "step-0000003.png",
        "step-0000004.png",
    ]
    stored = json.loads((run / "config.json").read_text())
    assert stored["recipe"]["generator"]["filters"] == 4
    rows = history(run)
    assert len(rows) == 2
    expected = {"generator_loss", "critic_loss", "gradient_penalty", "val_psnr", "learning_rate"}
    assert expected <= set(rows[0])
    restored = Restorer(run / "generator.keras")(np.zeros((33, 17, 3), "uint8"))
    assert restored.shape == (33, 17, 3)
    boards = list((run / "tensorboard" / "train").glob("events*"))
    events = [e for b in boards for e in tf.compat.v1.train.summary_iterator(str(b))]
    assert "samples" in {value.tag for event in events for value in event.summary.value}
    blurred = [rows[epoch]["val_blurred_psnr"] for epoch in (0, 1)]
    assert blurred[0] == blurred[1] and 10 < float(blurred[0]) < 50

    with locks.exclusive(run):
        occupied = call("--resume", "-o", run, "--epochs", 3)
    assert occupied.exit_code == 1 and "is in use by another run" in occupied.output
    refused = call(*start)
    assert refused.exit_code == 1
    assert "is not empty" in refused.output and "--resume" in refused.output
    finished = call("--resume", "-o", run)
    assert finished.exit_code == 1
    assert "has finished its 2 epochs" in finished.output

    longer = call("--resume", "-o", run, "--epochs", 3)
    assert longer.exit_code == 0, longer.output
    assert [int(row["epoch"]) for row in history(run)] == [0, 1, 2]
    trainer = run_config.read(run).recipe.build()
    state = trainers.TrainingState(trainer, run / "state")
    assert state.restore() and state.epoch == 3
    assert int(trainer.generator_optimizer.iterations) == 6

    changed = call("--resume", "-o", run, "--epochs", 4, "--crop", 16)
    assert changed.exit_code == 1
    assert "--crop was 32, now 16" in changed.output


def test_a_run_begins_with_trained_weights_and_goes_on_without_them(photographs, tmp_path):
    run, file = tmp_path / "run", tmp_path / "trained.keras"
    trained = generators.quarter_generator((4,), (1,))
    for variable in trained.weights:
        variable.assign(np.random.default_rng(0).normal(0, 0.3, variable.shape))
    trained.save(file)
    tiny = ["--set", "generator=quarter", "--set", "generator.widths=[4]", "--crop", 32]
    tiny += ["--set", "adversarial_weight=0", "--set", "content=mse", "--set", "ema=0.5"]
    tiny += ["--data", photographs / "pairs", "--learning-rate", 1e-9]
    tiny += ["--steps-per-epoch", 3]
    begin = [*tiny, "--set", "generator.blocks=[1]", "--start", file, "--epochs", 1, "-o", run]
    result = call(*begin)
    assert result.exit_code == 0, result.output
    notes = (run / "README.md").read_text()
    assert f"- generator: quarter, from {file}" in notes and "- epochs: 1 of 3 updates" in notes

    file.rename(tmp_path / "elsewhere.keras")
    result = call("--resume", "-o", run, "--epochs", 2)
    assert result.exit_code == 0, result.output
    kept = keras.saving.load_model(run / "generator.keras").get_weights()
    for weight, expected in zip(kept, trained.get_weights(), strict=True):
        np.testing.assert_allclose(weight, expected, atol=1e-6)

    missing = call(*begin)
    assert missing.exit_code == 2 and "trained.keras: no such model" in missing.output
    tiny += ["--set", "generator.blocks=[1]", "--start", "default"]
    unfit = call(*tiny, "-o", tmp_path / "unfit")
    assert unfit.exit_code == 1
    assert "default is not a generator that quarter_generator can begin with" in unfit.output
    assert "--set generator=KIND" in unfit.output
    assert not (tmp_path / "unfit").exists()


@pytest.mark.slow
def test_the_compact_generator_on_photographs_alone(photographs, tmp_path):
    run = tmp_path / "run"
    result = call(
        *["--photographs", photographs / "sharp", "-o", run, "--set", "generator=compact"],
        *["--set", "content=mae", "--crop", 32, "--epochs", 1, "--steps-per-epoch", 2],
        *["--set", "critic_steps=1", "--set", "adversarial_weight=0"],
    )
    assert result.exit_code == 0, result.output
    assert keras.saving.load_model(run / "generator.keras").name == "compact_generator"
    assert "adversarial_weight is 0: the critic is not trained." in result.output
    assert "critic_loss" not in history(run)[0]


def test_pairs_and_photographs_are_mixed_two_to_one(photographs):
    recipe = recipes.get("deblurgan").override({"crop": 16, "scale": 1.0})
    sources = feeds.Sources(str(photographs / "pairs"), str(photographs / "sharp"))
    feed = feeds.feed(recipe, feeds.find(recipe, sources))
    assert feed.steps == 4 * 3
    assert feed.validation.cardinality().numpy() == 1
    assert next(iter(feed.training))[0].shape == (1, 16, 16, 3)


CAMERA = {
    **{"rotation": 2.0, "highlights": (1.0, 4.0), "shot_noise": 0.02},
    **{"read_noise": (0.0, 0.01), "jpeg": (60, 90), "max_length": (2.0, 9.0)},
    **{"objects": 0.5, "defocus": 0.5, "intensity": (0.0, 0.001)},
}


def same(first, second, batches):
    for one, other in zip(first.take(batches), second.take(batches), strict=True):
        for side, expected in zip(one, other, strict=True):
            np.testing.assert_array_equal(side, expected)


VIDEO = {"late": (0.0, 0.0625), "frames": (3, 5), "duty": 0.2, "paths": "smooth"}


@pytest.mark.parametrize("camera", [{}, CAMERA, {"grid": 2, **VIDEO}])
def test_photographs_are_blurred_as_the_recipe_says(camera, photographs):
    recipe = recipes.get("deblurgan").override({"crop": 16, "crops_per_image": 2, **camera})
    found = feeds.find(recipe, feeds.Sources(photographs=str(photographs / "sharp")))
    feed = feeds.feed(recipe, found, seed=3)
    assert feed.steps == 2 * 5
    expected = datasets.synthetic(
        photographs / "sharp", crop=16, seed=3, crops_per_image=2, **camera
    )
    same(feed.training, expected, 10)
    fixed = datasets.synthetic(photographs / "sharp", crop=16, seed=3, fixed=True, **camera)
    samples = zip(*feed.samples, strict=True)
    np.testing.assert_array_equal(list(samples), [*fixed.unbatch().as_numpy_iterator()])


def test_several_crops_an_image_make_epochs_longer(photographs):
    changes = {"crop": 16, "scale": 1.0, "batch": 2, "crops_per_image": 3}
    recipe = recipes.get("deblurgan").override(changes)
    pairs = feeds.Sources(str(photographs / "pairs"))
    both = feeds.Sources(str(photographs / "pairs"), str(photographs / "sharp"))
    assert feeds.feed(recipe, feeds.find(recipe, pairs)).steps == 4 * 3 / 2
    assert feeds.feed(recipe, feeds.find(recipe, both)).steps == 4 * 3 * 3 / 2
    # Twelve updates are two passes over the pairs, three crops of each in both.
    found = feeds.find(recipe, pairs)
    later, _ = feeds.training(recipe, found, steps_per_epoch=12, first_batch=12)
    third = datasets.paired(
        found.pairs, crop=16, batch=2, scale=1.0, crops_per_image=3, first_epoch=2
    )
    same(later, third, 6)
    # A last batch that one pass does not fill is filled from the next one.
    uneven = recipe.override({"batch": 5})
    feed = feeds.feed(uneven, found)
    assert feed.steps == 3
    assert {len(batch[0]) for batch in feed.training.take(4)} == {5}


@pytest.mark.parametrize("name", ["deblurgan", "cyclegan"])
@pytest.mark.parametrize("cache", [True, "folder"])
def test_a_cache_changes_no_crop_and_holds_validation_too(
    name, cache, photographs, tmp_path, caplog
):
    recipe = recipes.get(name).override({"crop": 16, "scale": 1.0, "batch": 2})
    found = feeds.find(recipe, feeds.Sources(str(photographs / "pairs")))
    place = str(tmp_path / "cache") if cache == "folder" else cache
    with caplog.at_level("INFO"):
        cached = feeds.feed(recipe, found, cache=place)
    # Of a CycleGAN each side is cached by itself.
    told = [record.getMessage().partition(" takes ")[0] for record in caplog.records]
    where = f"in {place}" if cache == "folder" else "in memory"
    training = ["4 pairs"] if name == "deblurgan" else ["4 photographs"] * 2
    assert told == [f"caching {what} {where}" for what in [*training, "1 pair"]]
    plain = feeds.feed(recipe, found)
    for _ in range(2):
        same(cached.training, plain.training, 2)
        same(cached.validation, plain.validation, 1)
    if cache == "folder":
        assert len(list(tmp_path.glob("cache/*.npy"))) == (5 if name == "deblurgan" else 9)


@pytest.mark.slow
def test_what_streams_can_do_is_recorded_and_used_again(photographs, tmp_path, caplog):
    run, cache = tmp_path / "run", tmp_path / "cache"
    result = call(
        *["--data", photographs / "pairs", "--photographs", photographs / "sharp", "-o", run],
        *[*SMALL, "--epochs", 1, "--batch", 4, "--crops-per-image", 2, "--rotation", 1],
        *["--highlights", "1-4", "--jpeg", "60-90", "--cache", cache, "--max-bad", 3],
    )
    assert result.exit_code == 0, result.output
    assert result.output.count(f"caching 4 pairs in {cache} takes 69 kB") == 1
    assert "caching" not in caplog.text  # where other packages print lines of their own
    stored = json.loads((run / "config.json").read_text())
    assert (stored["cache"], stored["max_bad"]) == (str(cache), 3)
    expected = {"crops_per_image": 2, "rotation": 1.0, "highlights": [1.0, 4.0], "grid": 1}
    assert expected.items() <= stored["recipe"].items()
    assert stored["recipe"]["jpeg"] == [60, 90]

    configured = run_config.read(run)
    assert configured.recipe.highlights == (1.0, 4.0)
    longer = call("--resume", "-o", run, "--epochs", 2, "--max-bad", 4)
    assert longer.exit_code == 0, longer.output
    assert "caching 5 photographs, 5 of them there already" in longer.output
    again = run_config.read(run)
    assert (again.max_bad, again.cache) == (4, str(cache))
    # Older runs know nothing of it.
    for name in ("cache", "max_bad", "split"):
        del stored[name]
    for name in ("crops_per_image", "highlights", "jpeg"):
        del stored["recipe"][name]
    (run / "config.json").write_text(json.dumps(stored))
    older = run_config.read(run)
    assert (older.cache, older.max_bad, older.recipe.jpeg) == (False, 10, 0)
    changed = call("--resume", "-o", run, "--epochs", 3, "--crops-per-image", 2)
    assert changed.exit_code == 1
    assert "--crops-per-image was 1, now 2" in changed.output


def test_more_broken_images_than_allowed_end_a_run_in_one_line(photographs, tmp_path):
    pairs = tmp_path / "pairs"
    shutil.copytree(photographs / "pairs", pairs)
    for number in (1, 2):
        broken = pairs / "train" / "scene" / "blur" / f"{number}.png"
        broken.write_bytes(broken.read_bytes()[:600])
    start = ["--data", pairs, *SMALL, "--epochs", 1]
    result = call(*start, "-o", tmp_path / "run", "--max-bad", 1)
    assert result.exit_code == 1
    assert "another one is used in its place (1 of at most 1)" in result.output
    (line,) = [line for line in result.output.splitlines() if line.startswith("Error: ")]
    assert line.startswith("Error: 2 images could not be used, and max_bad allows 1; the last one")
    assert str(pairs) in line and line.endswith("or raise max_bad")
    assert result.output.endswith(f"{line}\n")
    # As it says: with a higher limit the run goes on.
    result = call("--resume", "-o", tmp_path / "run", "--max-bad", 2)
    assert result.exit_code == 0, result.output
    for when in ("epoch 1", "in all"):  # crops are made ahead of the updates
        line = r"\d of \d+ crops made for training are of another image than planned; 2 images"
        assert len(re.findall(f"{when}: {line}", result.output)) == 1


def test_broken_images_are_counted_when_epochs_are_no_passes_over_the_images(photographs, tmp_path):
    pairs = tmp_path / "pairs"
    shutil.copytree(photographs / "pairs", pairs)
    broken = pairs / "train" / "scene" / "blur" / "1.png"
    broken.write_bytes(broken.read_bytes()[:600])
    result = call(
        *["--data", pairs, *SMALL, "-o", tmp_path / "run", "--epochs", 2, "--steps-per-epoch", 3]
    )
    assert result.exit_code == 0, result.output
    counted = " of another image than planned; 1 image "
    (last,) = [line for line in result.output.splitlines() if line.startswith("in all: ")]
    assert re.match(rf"in all: \d+ of \d+ crops made for training (is|are){counted}", last)
    assert last.endswith(f" could not be used: {broken}")
    epochs = [line for line in result.output.splitlines() if re.match(r"epoch \d: ", line)]
    assert 1 <= len(epochs) <= 2 and all(counted in line for line in epochs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Nothing to train on"),
        (["--data", "{root}/sharp"], "found no image pairs"),
        (
            ["--data", "{root}/pairs", "--crop", 30],
            "a multiple of 4 pixels; received a crop of 30. Use 28",
        ),
        (
            ["--data", "{root}/pairs", "--set", "content=perceptual", "--vgg", "{broken}"],
            "readable .h5",
        ),
        (["--resume"], "No run in"),
    ],
)
def test_what_cannot_be_trained_is_explained(arguments, message, photographs, tmp_path):
    broken = tmp_path / "vgg.h5"
    broken.write_bytes(b"no HDF5")
    filled = [str(argument).format(root=photographs, broken=broken) for argument in arguments]
    result = call("--set", "content=mse", *filled, "-o", tmp_path / "run")
    assert result.exit_code == 1
    assert message in result.output
    assert not (tmp_path / "run").exists()  # it can be started again


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", 0], "--epochs"),
        (["--set", "batch"], "Expected FIELD=VALUE"),
        (["--set", "filters=3"], "Unknown field of the recipe 'deblurgan': 'filters'"),
        (
            ["--set", "generator=compact", "--set", "generator.skip=none"],
            "The compact generator has no skip: options of the resnet one",
        ),
        (["--cache", "disk"], "say in which folder"),
        (["--cache", "{root}/sharp/0.png"], "is a file"),
        (["--max-bad", -1], "--max-bad"),
        (["--rotation", 1], "--rotation: there are no photographs that would be blurred"),
        (["--set", "objects=0.3"], "--set objects: there are no photographs that would be"),
        (["--rotation", 1, "--set", "grid=2"], "rotation and grid exclude each other"),
        (["--shot-noise", "0.2-0.1"], "runs backwards; write 0.1-0.2"),
        (["--jpeg", "101"], "is not within 1 to 100"),
        (["--set", "learning_rate=-1"], "learning_rate must be a finite number above 0"),
    ],
)
def test_wrong_options_are_wrong_usage(arguments, message, photographs, tmp_path):
    filled = [str(argument).format(root=photographs) for argument in arguments]
    result = call("--data", photographs / "pairs", "-o", tmp_path / "run", *filled)
    assert result.exit_code == 2
    assert message in result.output


def test_a_run_that_dies_at_its_first_step_goes_on(photographs, tmp_path, monkeypatch):
    run = tmp_path / "run"

    def crash(self, batch, logs=None):
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(trainers.SampleSheets, "on_train_batch_end", crash)
        result = call("--data", photographs / "pairs", "-o", run, *SMALL, "--epochs", 1)
    assert result.exit_code == 1 and "power cut" in result.output
    notes = (run / "README.md").read_text()
    assert "The last checkpoint has: 0 epochs done, of 1 epochs." in notes
    assert "> power cut" in notes and "train --resume" in notes
    assert "generator.keras" not in notes  # there is none to be used
    # Also from another folder, and with data that have moved.
    monkeypatch.chdir(tmp_path)
    result = call("--resume", "-o", "run", "--data", photographs / "pairs" / "train" / "scene")
    assert result.exit_code == 0, result.output


def test_a_disk_that_is_full_from_the_beginning_is_named(photographs, tmp_path, monkeypatch):
    def refuse(*_):
        raise tf.errors.ResourceExhaustedError(None, None, "state-1: No space left on device")

    monkeypatch.setattr(trainers.checkpoints.Checkpoints, "write", refuse)
    result = call("--data", photographs / "pairs", "-o", tmp_path / "run", *SMALL, "--epochs", 1)
    assert result.exit_code == 1
    assert result.output.endswith(
        f"Error: {tmp_path / 'run'} cannot be written to: No space left on device; free some, or "
        "write to another disk. Nothing was trained yet.\n"
    )


def test_a_folder_of_other_things_is_not_called_a_run(photographs, tmp_path):
    (tmp_path / "holiday.jpg").touch()
    result = call("--data", photographs / "pairs", "-o", tmp_path, *SMALL)
    assert result.exit_code == 1
    assert f"{tmp_path} is not empty. Choose another folder." in result.output


def test_a_run_that_diverges_stops_and_keeps_what_was_good(photographs, tmp_path, monkeypatch):
    def poison(self, data):
        return {"generator_loss": float("nan"), "psnr": 20.0}

    run = tmp_path / "run"
    monkeypatch.setattr(trainers.DeblurGAN, "train_step", poison)
    result = call("--data", photographs / "pairs", "-o", run, *SMALL)
    assert result.exit_code == 1
    assert "diverged at epoch 1, update 1: generator_loss no longer finite" in result.output
    assert not (run / "generator.keras").exists()
    assert (run / "state" / "checkpoint").exists()


def test_a_run_that_needs_too_much_memory_says_what_would_fit(photographs, tmp_path, monkeypatch):
    def overflow(self, data):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(trainers.DeblurGAN, "train_step", overflow)
        patch.setattr(trainers.fitting, "_budget", lambda: None)
        result = call("--data", photographs / "pairs", "-o", run, *SMALL, "--batch", 4)
    assert result.exit_code == 1
    (line,) = [line for line in result.output.splitlines() if line.startswith("Error: ")]
    assert "Out of memory with crops of 32x32 px, 4 an update." in line
    assert "; --set accumulate=4 or --batch 2 should fit. These are estimates." in line
    assert trainers.TrainingState(run_config.read(run).recipe.build(), run / "state").restore()


@pytest.mark.slow
def test_a_deterministic_run_is_told_so_for_good(photographs, tmp_path):
    start = ["--data", photographs / "pairs", *SMALL, "--epochs", 1, "--steps-per-epoch", 2]
    start += ["--deterministic", "--seed", 5]
    try:
        for name in ("one", "other"):
            assert not tf_config.is_op_determinism_enabled()
            assert call(*start, "-o", tmp_path / name).exit_code == 0
            assert tf_config.is_op_determinism_enabled()
            tf_config.disable_op_determinism()
        same_runs(tmp_path / "one", tmp_path / "other")
        stored = run_config.read(tmp_path / "one")
        assert stored.deterministic and stored.seed == 5  # and so it goes on
        changed = dataclasses.replace(stored, deterministic=False)
        with pytest.raises(run_config.RunError, match="--deterministic was True, now False"):
            runs.train(changed, tmp_path / "one", resume=True)
    finally:
        tf_config.disable_op_determinism()


@pytest.mark.parametrize("recipe", ["deblurgan", "cyclegan"])
@pytest.mark.parametrize("sources", [("pairs", None), (None, "sharp"), ("pairs", "sharp")], ids=str)
def test_a_continued_stream_goes_on_with_the_very_next_batch(recipe, sources, photographs):
    if recipe == "cyclegan" and sources[0] is None:
        pytest.skip("a CycleGAN needs blurred photographs")
    recipe = recipes.get(recipe).override({"crop": 16, "scale": 1.0, "batch": 3})
    folders = [source and str(photographs / source) for source in sources]
    found = feeds.find(recipe, feeds.Sources(*folders))
    whole = feeds.feed(recipe, found, seed=3).training
    for begin in (1, 7):
        later = feeds.feed(recipe, found, seed=3, first_batch=begin).training
        same(later, whole.skip(begin), 6)


def stop(monkeypatch, updates, number=signal.SIGINT):
    """Sends a signal to this process when so many updates are done."""
    before = trainers.SampleSheets.on_train_batch_end

    def send(callback, batch, logs=None):
        before(callback, batch, logs)
        if int(callback.model.generator_optimizer.iterations) == updates:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(trainers.SampleSheets, "on_train_batch_end", send)
    # Shells tell programs in the background to ignore it.
    monkeypatch.setattr(signal, "getsignal", lambda _: signal.default_int_handler)


def weights(run, best=False):
    name = "generator.keras" if best else "generator-last.keras"
    return keras.saving.load_model(run / name).get_weights()


def same_runs(run, other):
    """Compares what two run folders hold, but for their times."""
    for best in (True, False):
        for a, b in zip(weights(run, best), weights(other, best), strict=True):
            np.testing.assert_array_equal(a, b)
    assert (run / "history.csv").read_text() == (other / "history.csv").read_text()
    for sheet in sorted((run / "samples").iterdir()):
        assert (other / "samples" / sheet.name).read_bytes() == sheet.read_bytes()
    assert epochs_on_board(run) == epochs_on_board(other)


def epochs_on_board(run):
    """Returns the numbers of TensorBoard's points by name and epoch, each once."""
    points = {}
    for file in sorted((run / "tensorboard" / "train").glob("events*")):
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            for value in event.summary.value:
                if value.tag.startswith("epoch_"):
                    number = float(tf.make_ndarray(value.tensor))
                    assert points.setdefault((value.tag, event.step), number) == number
    return points


@pytest.mark.parametrize(
    "name", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_a_stopped_run_says_how_to_go_on_and_ends_like_a_whole_one(
    name, photographs, tmp_path, monkeypatch
):
    start = ["--data", photographs / "pairs", *SMALL, "--epochs", 2, "--sample-every", 3]
    whole, run = tmp_path / "whole", tmp_path / "run"
    assert call(*start, "-o", whole).exit_code == 0
    with monkeypatch.context() as patch:
        stop(patch, 6, name)
        result = call(*start, "-o", run)
    assert result.exit_code == 130
    said = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}[name]
    lines = result.output.splitlines()
    assert any(line.startswith(f"{said}: stopping when the running update") for line in lines)
    assert lines[-2:] == [
        "Saved: epoch 2, 2 of its 4 updates done.",
        f"Go on with: deblur-keras train --resume -o {run}",
    ]
    assert len(history(run)) == 1
    result = call("--resume", "-o", run)
    assert result.exit_code == 0, result.output
    assert "Continuing: epoch 2, 2 of its 4 updates done." in result.output
    same_runs(whole, run)


@pytest.mark.slow
def test_a_run_that_was_killed_before_its_first_checkpoint_goes_on(
    photographs, tmp_path, monkeypatch
):
    start = ["--data", photographs / "pairs", *SMALL, "--epochs", 1]
    run = tmp_path / "run"

    def kill(*_):
        raise SystemExit(9)

    with monkeypatch.context() as patch:
        patch.setattr(trainers.TrainingState, "save", kill)
        assert call(*start, "-o", run).exit_code == 9
    (run / ".deblur-0123.keras").write_bytes(b"half")
    result = call("--resume", "-o", run)
    assert result.exit_code == 0, result.output
    assert not list(run.glob(".deblur-*"))
    # A folder with nothing but such a leftover is as good as empty.
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / ".deblur-4567.json").touch()
    result = call(*start, "-o", tmp_path / "other")
    assert result.exit_code == 0, result.output
    same_runs(run, tmp_path / "other")


@pytest.mark.slow
def test_a_damaged_checkpoint_costs_an_interval_and_no_more(photographs, tmp_path):
    start = ["--data", photographs / "pairs", *SMALL, "--epochs", 2]
    whole, run = tmp_path / "whole", tmp_path / "run"
    for folder in (whole, run):
        assert call(*start, "-o", folder, "--checkpoint-every", "3").exit_code == 0
    assert json.loads((run / "config.json").read_text())["checkpoint_every"] == 3
    last = max((run / "state").glob("*.index"), key=lambda path: int(path.stem.split("-")[1]))
    last.write_bytes(b"")
    (run / "history.csv").write_text((run / "history.csv").read_text() + "2,cut o")
    result = call("--resume", "-o", run)
    assert result.exit_code == 0, result.output
    assert f"{last.stem} is damaged: {last.name} is not as it was written" in result.output
    assert "Continuing: epoch 2, 2 of its 4 updates done." in result.output
    same_runs(whole, run)
    # Nothing at all is prepared for a run that is finished, or is another one.
    for options, message in (
        ([], "has finished its 2 epochs"),
        (["--set", "generator.filters=8"], "--set generator.filters was 4, now 8"),
        (["--set", "generator=compact"], "--set generator was resnet, now compact"),
        (["--steps-per-epoch", 7], "--steps-per-epoch was not given, now 7"),
        (["--learning-rate", 1e-3], "--learning-rate was 0.0001, now 0.001"),
    ):
        result = call("--resume", "-o", run, *options)
        assert result.exit_code == 1
        assert message in result.output and "Preparing" not in result.output
    for path in (run / "state").glob("*.index"):
        path.unlink()
    result = call("--resume", "-o", run, "--epochs", 3)
    assert result.exit_code == 1
    assert "None of the checkpoints in" in result.output


@pytest.mark.slow
def test_data_that_have_changed_are_told(photographs, tmp_path, monkeypatch):
    pairs, run = tmp_path / "pairs", tmp_path / "run"
    shutil.copytree(photographs / "pairs", pairs)
    with monkeypatch.context() as patch:
        stop(patch, 2)
        assert call("--data", pairs, "-o", run, *SMALL, "--epochs", 1).exit_code == 130
    for side in ("blur", "sharp"):
        (pairs / "train" / "scene" / side / "3.png").unlink()
    result = call("--resume", "-o", run)
    assert result.exit_code == 0, (result.output, repr(result.exception))
    assert "there are now 3 instead of 4 (pairs)" in result.output
    assert "An epoch had 4 updates and now has 3: the unfinished one, of which 2" in result.output
    trainer = run_config.read(run).recipe.build()
    state = trainers.TrainingState(trainer, run / "state")
    assert state.restore() and (state.epoch, state.batches) == (1, 5)


@pytest.mark.slow
def test_a_run_of_an_earlier_version_goes_on(photographs, tmp_path):
    """Its config.json knows no format, its state no place within an epoch."""
    run = tmp_path / "run"
    start = ["--data", photographs / "pairs", *SMALL, "--epochs", 1]
    assert call(*start, "-o", run).exit_code == 0
    stored = json.loads((run / "config.json").read_text())
    for name in ("format", "checkpoint_every", "checkpoint_minutes"):
        del stored[name]
    (run / "config.json").write_text(json.dumps(stored))
    trainer = run_config.read(run).recipe.build()
    assert trainers.TrainingState(trainer, run / "state").restore()
    shutil.rmtree(run / "state")
    seeds = [v.value for v in trainer.variables if v.name == "seed_generator_state"]
    checkpoint = tf.train.Checkpoint(
        **trainer.checkpoint_parts(),
        random_states=seeds,
        epoch=tf.Variable(1, dtype=tf.int64),
        best=tf.Variable(3.0, dtype=tf.float64),
    )
    tf.train.CheckpointManager(checkpoint, str(run / "state"), max_to_keep=2).save()
    finished = call("--resume", "-o", run)
    assert finished.exit_code == 1 and "has finished its 1 epoch;" in finished.output
    result = call("--resume", "-o", run, "--epochs", 2)
    assert result.exit_code == 0, result.output
    assert "is of an earlier version of deblur_keras" in result.output
    assert [row["epoch"] for row in history(run)] == ["0", "1"]


@pytest.mark.parametrize("interval", ["0", "5", "2.5min", "100, 5min", ".5min", "5s", "-1", "min"])
def test_intervals_are_updates_or_minutes_or_both(interval, tmp_path, monkeypatch):
    expected = {
        **{"5": (5, None), "2.5min": (None, 2.5), "100, 5min": (100, 5.0), ".5min": (None, 0.5)},
    }.get(interval)
    seen = []
    monkeypatch.setattr(runs, "train", lambda configured, *_, **__: seen.append(configured))
    result = call("-o", tmp_path / "run", f"--checkpoint-every={interval}")
    if expected is None:
        assert result.exit_code == 2 and "nor both such as 500,10min" in result.output
    else:
        assert (seen[0].checkpoint_every, seen[0].checkpoint_minutes) == expected


def test_a_config_of_another_version_is_named(tmp_path):
    (tmp_path / "config.json").write_text('{"deblur_keras": "9.0", "magic": 1}')
    with pytest.raises(run_config.RunError, match=r"deblur_keras 9\.0.*magic"):
        run_config.read(tmp_path)


def test_a_config_of_a_later_format_is_named(tmp_path):
    (tmp_path / "config.json").write_text('{"deblur_keras": "9.0", "format": 3}')
    with pytest.raises(run_config.RunError, match=r"deblur_keras 9\.0, which is newer than"):
        run_config.read(tmp_path)


@pytest.mark.parametrize("recipe", ['{"name": "magic"}', '{"name": "deblurgan", "magic": 1}', "3"])
def test_a_recipe_of_another_version_is_named(recipe, tmp_path):
    (tmp_path / "config.json").write_text(f'{{"deblur_keras": "9.0", "recipe": {recipe}}}')
    with pytest.raises(run_config.RunError, match=r"deblur_keras 9\.0.*its recipe is not one"):
        run_config.read(tmp_path)


def test_a_cyclegan_trains_on_photographs_without_partners_and_goes_on(photographs, tmp_path):
    run = tmp_path / "run"
    blurred, sharp = photographs / "pairs" / "train" / "scene" / "blur", photographs / "sharp"
    result = call(
        *["cyclegan", "--blurred", blurred, "--photographs", sharp, "-o", run],
        *[*SMALL_CYCLE, "--epochs", 1, "--sample-every", 2],
    )
    assert result.exit_code == 0, result.output
    rows = history(run)
    assert {"cycle_loss", "blurred_critic_loss", "learning_rate"} <= set(rows[0])
    assert "identity_loss" not in rows[0]
    for name in ("generator.keras", "blur_generator.keras", "samples/step-0000004.png"):
        assert (run / name).exists(), name
    assert Restorer(run / "generator.keras")(np.zeros((33, 17, 3), "uint8")).shape == (33, 17, 3)

    longer = call("cyclegan", "--resume", "-o", run, "--epochs", 2)
    assert longer.exit_code == 0, longer.output
    trainer = run_config.read(run).recipe.build()
    state = trainers.TrainingState(trainer, run / "state")
    assert state.restore() and state.epoch == 2
    assert int(trainer.generator_optimizer.iterations) == 10
    another = call("deblurgan", "--resume", "-o", run, "--epochs", 3)
    assert another.exit_code == 1
    assert "is one of cyclegan, not of deblurgan" in another.output


@pytest.mark.slow
def test_a_cyclegan_chooses_its_best_by_pairs_where_there_are_any(photographs, tmp_path):
    run = tmp_path / "run"
    result = call(
        *["cyclegan", "--data", photographs / "pairs", "-o", run, *SMALL_CYCLE],
        *["--epochs", 1, "--steps-per-epoch", 2],
    )
    assert result.exit_code == 0, result.output
    assert float(history(run)[0]["val_psnr"]) > 0


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder of prepared datasets: gopro/light, of the four and two pairs of its dummies."""
    root = tmp_path_factory.mktemp("tfds")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(archives.PARTIAL, "1")
        manual = Path(archives.__file__).parent / "gopro" / "dummy_data"
        catalog.prepare("gopro/light", root, manual)
    return root


@pytest.mark.slow
def test_a_cyclegan_takes_each_side_of_a_dataset_by_itself(prepared, tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared))
    recipe = recipes.get("cyclegan").override({"crop": 24, "batch": 4})
    found = feeds.find(recipe, feeds.Sources("gopro/light"))
    assert {image.name.split()[1] for image in found.blurred} == {"blurred"}
    assert {image.name.split()[1] for image in found.sharp} == {"sharp"}
    feed = feeds.feed(recipe, found)
    sides = [[], []]
    for both in feed.training.take(8):
        for side, batch in zip(sides, both, strict=True):
            side.append(images.to_uint8(batch.numpy()).mean(axis=(1, 2)))
    # Blurring leaves colours as they are, so partners would have nearly the same ones.
    partners = np.abs(np.subtract(*sides)).max(axis=-1) < 12
    assert 0 < partners.sum() < 16  # by chance one in four of 32
    run = tmp_path / "run"
    result = call("cyclegan", "--data", "gopro/light", "-o", run, *SMALL_CYCLE, "--epochs", 1)
    assert result.exit_code == 0, result.output
    assert float(history(run)[0]["val_psnr"]) > 0  # of the pairs of the test split


def test_missing_data_are_named_before_vgg_weights_are_looked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(recipes.Recipe, "build", lambda *_: pytest.fail("looked for VGG weights"))
    result = call("deblurgan", "-o", tmp_path / "run")
    assert result.exit_code == 1
    assert "Nothing to train on" in result.output


@pytest.mark.slow
def test_a_complete_file_and_another_kind_go_together(photographs, tmp_path):
    config = tmp_path / "mine.toml"
    config.write_text(recipes.get("deblurgan").to_toml(), encoding="utf-8")
    run = tmp_path / "run"
    result = call(
        *["--photographs", photographs / "sharp", "-o", run, "--config", config],
        *["--set", "generator=compact", "--set", "generator.widths=[4, 8]"],
        *["--set", "generator.blocks=[1, 1]", "--set", "content=mae", "--set", "critic_steps=1"],
        *["--set", "critic.filters=4", "--crop", 32, "--epochs", 1, "--steps-per-epoch", 1],
    )
    assert result.exit_code == 0, result.output
    recipe = run_config.read(run).recipe
    assert (recipe.generator.kind, recipe.init) == ("compact", "own")


def test_vgg_weights_that_nobody_uses_are_wrong_usage(tmp_path):
    weights = tmp_path / "vgg.npz"
    weights.touch()
    result = call("cyclegan", "-o", tmp_path / "run", "--vgg", weights)
    assert result.exit_code == 2
    assert "no perceptual loss" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cyclegan", "--photographs", "{root}/sharp"], "no blurred"),
        (["cyclegan", "--blurred", "{root}/sharp"], "no sharp"),
        (["deblurgan", "--blurred", "{root}/sharp"], "learns from pairs"),
        (
            ["cyclegan", "--blurred", "{root}/sharp", "--photographs", "{root}/sharp"],
            "among the sharp ones too",
        ),
    ],
)
def test_the_wrong_kind_of_data_is_explained(arguments, message, photographs, tmp_path):
    filled = [argument.format(root=photographs) for argument in arguments]
    small = SMALL_CYCLE if filled[0] == "cyclegan" else SMALL
    result = call(*filled, *small, "-o", tmp_path / "run")
    assert result.exit_code == 1
    assert message in result.output
    assert not (tmp_path / "run").exists()


def test_a_config_file_changes_fields_and_settings_win_over_it(photographs, tmp_path):
    config = tmp_path / "mine.toml"
    config.write_text('crop = 64\ncontent = "mae"\n[generator]\nfilters = 4\nblocks = 1\n')
    run = tmp_path / "run"
    result = call(
        *["sharingan", "--photographs", photographs / "sharp", "-o", run, "--config", config],
        *["--crop", 32, "--set", "critic_steps=1", "--epochs", 1, "--steps-per-epoch", 1],
    )
    assert result.exit_code == 0, result.output
    recipe = run_config.read(run).recipe
    assert recipe.name == "sharingan"
    assert (recipe.crop, recipe.content.kind) == (32, "mae")
    assert recipe.generator.options["filters"] == 4
    assert recipe.adversarial.options["weight"] == 100.0
    assert recipe.sources["crop"].kind == "set by you"
    config.write_text("learning-rat = 1")
    wrong = call("sharingan", "-o", tmp_path / "other", "--config", config)
    assert wrong.exit_code == 2
    assert "Did you mean 'learning_rate'?" in wrong.output
