"""The SavedModel: the restorer's pixels at any size, without deblur_keras, whole or not at all."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

from deblur_keras import export as export_module
from deblur_keras.cli.export import export
from deblur_keras.export import export_saved_model
from deblur_keras.generators import compact_generator, resnet_generator
from deblur_keras.restorer import ModelError, Restorer

SIZES = [(1, 1), (1, 40), (2, 3), (16, 16), (17, 33), (64, 48), (5, 90)]

# Loads and runs the SavedModel in a process where importing deblur_keras is an error.
WITHOUT_THE_LIBRARY = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "deblur_keras":
            raise ModuleNotFoundError(f"{name} is not installed here")

sys.meta_path.insert(0, Refuse())
import numpy as np
import tensorflow as tf

model = tf.saved_model.load(sys.argv[1])
photographs = np.load(sys.argv[2])
restored = [
    model.signatures["restore"](image=tf.constant(photographs[name]))["restored"].numpy()
    for name in photographs.files
]
assert "deblur_keras" not in sys.modules
np.savez(sys.argv[3], **dict(zip(photographs.files, restored)))
"""


def photograph(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype("uint8")


def shaken(model):
    """Gives a fresh network weights that change pictures a lot."""
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(0, 0.2, value.shape) for value in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def generators():
    return {
        "compact": shaken(compact_generator(widths=(4, 6, 8), blocks=(1, 1, 1))),
        "resnet": shaken(resnet_generator(filters=4, blocks=1)),
    }


@pytest.fixture(scope="module")
def exported(generators, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    return {
        name: export_saved_model(model, folder / "deep" / name)
        for name, model in generators.items()
    }


@pytest.mark.parametrize("name", ["compact", "resnet"])
def test_gives_the_pixels_of_the_restorer_at_any_size(name, generators, exported):
    restorer = Restorer(generators[name])
    loaded = tf.saved_model.load(str(exported[name]))
    changed = 0
    for size in SIZES:
        image = photograph(*size)
        restored = loaded.signatures["restore"](image=tf.constant(image[None]))["restored"]
        assert restored.dtype == tf.uint8
        expected = restorer(image)
        difference = np.abs(restored.numpy()[0].astype(int) - expected)
        assert difference.max() <= 1, size
        assert (difference > 0).mean() < 0.01
        changed += np.abs(expected.astype(int) - image).max()
    assert changed > 50  # the comparison was not one of identities


def test_each_image_of_a_batch_is_restored_by_itself(generators, exported):
    loaded = tf.saved_model.load(str(exported["resnet"]))
    batch = np.stack([photograph(20, 21, seed) for seed in range(3)])
    restored = loaded.signatures["serving_default"](image=tf.constant(batch))["restored"].numpy()
    for image, result in zip(batch, restored, strict=True):
        expected = Restorer(generators["resnet"])(image)
        assert np.abs(result.astype(int) - expected).max() <= 1


def test_the_signature_says_what_it_takes(exported):
    signature = tf.saved_model.load(str(exported["compact"])).signatures["restore"]
    (_, inputs) = signature.structured_input_signature
    assert inputs["image"].dtype == tf.uint8
    assert inputs["image"].shape.as_list() == [None, None, None, 3]
    assert signature.structured_outputs["restored"].dtype == tf.uint8
    assert signature.structured_outputs["restored"].shape.as_list() == [None, None, None, 3]


def test_loads_and_runs_where_the_library_is_not_installed(generators, exported, tmp_path):
    photographs = {"small": photograph(3, 7)[None], "large": photograph(50, 41)[None]}
    np.savez(tmp_path / "in.npz", **photographs)
    command = [sys.executable, "-c", WITHOUT_THE_LIBRARY, str(exported["compact"])]
    command += [str(tmp_path / "in.npz"), str(tmp_path / "out.npz")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    results = np.load(tmp_path / "out.npz")
    for name, image in photographs.items():
        expected = Restorer(generators["compact"])(image[0])
        assert np.abs(results[name][0].astype(int) - expected).max() <= 1


def test_values_that_are_not_finite_are_an_error_as_in_the_restorer(tmp_path):
    model = compact_generator(widths=(4,), blocks=(1,))
    model.set_weights([np.full(value.shape, np.nan) for value in model.get_weights()])
    loaded = tf.saved_model.load(str(export_saved_model(model, tmp_path / "broken")))
    with pytest.raises(tf.errors.InvalidArgumentError, match="not finite"):
        loaded.signatures["restore"](image=tf.constant(photograph(8, 8)[None]))


def test_reflection_is_numpys_for_any_padding():
    for side in (1, 2, 3, 7, 16, 17):
        row = np.arange(side, dtype="uint8").reshape(1, 1, side, 1)
        padded = export_module._reflect(tf.constant(row), side, 2, multiple=8, smallest=32)
        target = max(-(-side // 8) * 8, 32)
        expected = np.pad(row[0, 0, :, 0], (0, target - side), mode="reflect")
        np.testing.assert_array_equal(padded[0, 0, :, 0], expected)


def test_refuses_what_is_there_unless_told_and_never_replaces_another_folder(tmp_path):
    model, other = (compact_generator(widths=(2,), blocks=(1,)) for _ in range(2))
    folder = tmp_path / "served"
    folder.mkdir()  # empty: free to use
    export_saved_model(model, folder)
    before = sorted(path.name for path in folder.rglob("*"))
    with pytest.raises(FileExistsError, match="overwrite"):
        export_saved_model(other, folder)
    (folder / "variables" / "left").write_text("over")
    assert export_saved_model(other, folder, overwrite=True) == folder
    assert sorted(path.name for path in folder.rglob("*")) == before

    precious = tmp_path / "photographs"
    precious.mkdir()
    (precious / "holiday.jpg").write_bytes(b"x")
    for target in (precious, precious / "holiday.jpg"):
        with pytest.raises(FileExistsError, match="never replaced"):
            export_saved_model(model, target, overwrite=True)
    assert (precious / "holiday.jpg").read_bytes() == b"x"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photographs", "served"]


def test_a_failed_export_leaves_the_old_model_and_nothing_half_written(tmp_path, monkeypatch):
    model = compact_generator(widths=(2,), blocks=(1,))
    folder = export_saved_model(model, tmp_path / "served")
    stamp = (folder / "saved_model.pb").read_bytes()

    def full(module, path, signatures):
        (tmp_path / path).mkdir()
        raise OSError("No space left on device")

    monkeypatch.setattr(tf.saved_model, "save", full)
    with pytest.raises(OSError, match="No space left"):
        export_saved_model(model, folder, overwrite=True)
    assert (folder / "saved_model.pb").read_bytes() == stamp
    assert [path.name for path in tmp_path.iterdir()] == ["served"]


def test_a_model_that_maps_no_images_is_refused(tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    with pytest.raises(ModelError):
        export_saved_model(model, tmp_path / "served")
    assert not list(tmp_path.iterdir())


def test_command_prints_the_signature_and_a_usage_that_runs(generators, tmp_path):
    path, output = tmp_path / "generator.keras", tmp_path / "served" / "1"
    generators["compact"].save(path)
    result = CliRunner().invoke(export, [str(path), "-o", str(output)])
    assert result.exit_code == 0, result.output
    assert "MB)" in result.output
    assert "uint8 (B, H, W, 3)" in result.output
    usage = "\n".join(line.strip() for line in result.output.splitlines() if line[:2] == "  ")
    scope = {"photographs": photograph(9, 11)[None]}
    exec(usage, scope)
    assert scope["restored"].shape == (1, 9, 11, 3)

    again = CliRunner().invoke(export, [str(path), "-o", str(output)])
    assert again.exit_code == 1
    assert "exists already" in again.output
    missing = CliRunner().invoke(export, ["missing.keras", "-o", str(tmp_path / "other")])
    assert missing.exit_code == 1
    assert "missing.keras" in missing.output


def test_a_photograph_of_one_colour_is_left_as_it_is_by_instance_norms(generators, exported):
    loaded = tf.saved_model.load(str(exported["resnet"]))
    batch = np.stack([np.full((20, 30, 3), (3, 77, 200), np.uint8), photograph(20, 30)])
    restored = loaded.signatures["restore"](image=tf.constant(batch))["restored"].numpy()
    np.testing.assert_array_equal(restored[0], batch[0])
    assert np.abs(restored[1].astype(int) - batch[1]).max() > 10
