import subprocess
import sys
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

keras = pytest.importorskip("keras")

from deblur_keras import images, models, restorer  # noqa: E402
from deblur_keras.generators import compact_generator, resnet_generator  # noqa: E402
from deblur_keras.restorer import ModelError, Restorer, pretrained_names  # noqa: E402


def photo(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def functional(*layers, name="model"):
    blurred = keras.Input((None, None, 3))
    x = blurred
    for layer in layers:
        x = layer(x)
    return keras.Model(blurred, x, name=name)


def negative(name="negative"):
    """Turns pixel p into 255 - p."""
    return functional(keras.layers.Rescaling(-1.0), name=name)


@pytest.fixture(scope="module")
def negate():
    return Restorer(negative())


@pytest.fixture
def weights(tmp_path, monkeypatch):
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setattr(models, "WEIGHTS", folder)
    negative().save(folder / "default.keras")
    functional(keras.layers.Rescaling(1.0)).save(folder / "nothing.keras")
    return folder


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 40), st.integers(1, 40))
def test_any_size_comes_back_pixel_for_pixel(negate, height, width):
    image = photo(height, width)
    restored = negate(image)
    assert restored.dtype == np.uint8
    np.testing.assert_array_equal(restored, 255 - image)


@pytest.mark.parametrize("size", [(1, 1), (1, 33), (35, 2), (17, 31), (32, 48)])
@pytest.mark.parametrize(
    "generator",
    [
        resnet_generator(filters=4, blocks=1),
        resnet_generator(filters=4, blocks=1, upsampling="resize"),
        compact_generator(widths=(4, 4, 4, 4), blocks=(1, 1, 1, 1)),
    ],
    ids=["resnet", "resnet-resize", "compact"],
)
def test_generators_restore_any_size(generator, size):
    restored = Restorer(generator)(photo(*size))
    assert restored.shape == (*size, 3)
    assert restored.dtype == np.uint8


def test_result_is_the_models_own_where_no_padding_is_needed():
    generator = resnet_generator(filters=4, blocks=1)
    image = photo(32, 48)
    expected = generator(images.to_float(image)[None], training=False)[0]
    expected = images.to_uint8(keras.ops.convert_to_numpy(expected))
    np.testing.assert_allclose(Restorer(generator)(image), expected, atol=1)


def test_padding_is_a_reflection():
    # The mean of each 4x4 block: the last block of a width of 18 holds columns 16, 17, 16, 15.
    generator = functional(keras.layers.AveragePooling2D(4), keras.layers.UpSampling2D(4))
    image = photo(16, 18)
    blocks = image[:4, [16, 17, 16, 15]].astype(float).mean(axis=(0, 1))
    np.testing.assert_allclose(Restorer(generator)(image)[0, 17], blocks, atol=0.51)


def test_sizes_share_one_trace(negate):
    for size in ((16, 16), (20, 30), (7, 5)):
        negate(photo(*size))
    assert negate._engine.function("uint8").experimental_get_tracing_count() == 1


def test_training_shows_in_the_next_image():
    layer = keras.layers.Conv2D(3, 1, kernel_initializer="zeros")
    restore = Restorer(functional(layer))
    assert (restore(photo(4, 4)) == 128).all()
    layer.bias.assign([1.0, 1.0, 1.0])
    assert (restore(photo(4, 4)) == 255).all()


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 4, 3), np.float32), r"float32.*to_uint8"),
        (np.zeros((4, 4), np.uint8), r"\(4, 4\); np.repeat"),
        (np.zeros((4, 4, 4), np.uint8), r"drops the alpha"),
        (np.zeros((0, 4, 3), np.uint8), r"at least 1x1"),
        (np.zeros((1, 4, 4, 3), np.uint8), r"one by one"),
        (np.zeros((4, 4, 2), np.uint8), r"images.read"),
        (np.zeros((4, 4, 3), np.int32), r"int32"),
    ],
)
def test_wrong_images_are_answered_with_the_cure(negate, image, message):
    with pytest.raises(ValueError, match=r"expected a uint8 or uint16 RGB image.*" + message):
        negate(image)


def test_sixteen_bits_keep_their_precision():
    layer = keras.layers.Conv2D(3, 1, use_bias=False, name="mixed")
    generator = functional(layer)
    layer.set_weights([np.random.default_rng(0).uniform(0, 1 / 3, (1, 1, 3, 3))])
    ramp = np.linspace(0, 65535, 64 * 1024).reshape(64, 1024).round().astype(np.uint16)
    image = np.stack([ramp, ramp[::-1], ramp[:, ::-1]], axis=-1)
    exact = image / 32767.5 - 1
    exact = (exact @ np.float64(layer.get_weights()[0][0, 0]) + 1) * 32767.5
    restored = Restorer(generator)(image)
    assert restored.dtype == np.uint16
    # Half a level of 65536 and the rounding of float32, a hundredth of one.
    assert np.abs(restored - exact).max() < 0.52


def test_eight_and_sixteen_bits_of_an_image_agree():
    generator = resnet_generator(filters=4, blocks=1)
    restore = Restorer(generator)
    image = photo(32, 48)
    fine = restore(image.astype(np.uint16) * 257) / 257
    # Half a level of rounding, and what float32 makes of 257 p / 32767.5 and p / 127.5.
    assert np.abs(fine - restore(image)).max() < 0.51


def test_output_that_is_not_finite_is_an_error_not_a_black_image():
    generator = functional(keras.layers.Rescaling(float("nan")))
    with pytest.raises(ArithmeticError, match="not finite"):
        Restorer(generator)(photo(4, 4))


def test_restore_file(negate, tmp_path):
    source = images.write(tmp_path / "in.png", photo(9, 11))
    written = negate.restore_file(source, tmp_path / "new" / "out.bmp")
    assert written == tmp_path / "new" / "out.bmp"
    np.testing.assert_array_equal(images.read(written), 255 - photo(9, 11))


def test_restore_file_passes_the_quality_on(negate, tmp_path):
    source = images.write(tmp_path / "in.png", photo(64, 64))
    low = negate.restore_file(source, tmp_path / "low.jpg", quality=20)
    high = negate.restore_file(source, tmp_path / "high.jpg", quality=95)
    assert low.stat().st_size < high.stat().st_size / 2


def test_restore_file_never_replaces_its_input(negate, tmp_path):
    source = images.write(tmp_path / "in.png", photo(9, 11))
    before = source.read_bytes()
    link, folder = tmp_path / "link.png", tmp_path / "folder"
    link.symlink_to(source)
    (tmp_path / "real").mkdir()
    folder.symlink_to(tmp_path, target_is_directory=True)
    for destination in (source, link, folder / "in.png", tmp_path / "real" / ".." / "in.png"):
        with pytest.raises(images.ImageError, match="never overwritten"):
            negate.restore_file(source, destination, overwrite=True)
    with pytest.raises(images.ImageError, match="never overwritten"):
        negate.restore_file(link, source, overwrite=True)
    assert source.read_bytes() == before
    assert link.is_symlink()


def test_restore_file_replaces_only_when_asked(negate, tmp_path):
    source = images.write(tmp_path / "in.png", photo(9, 11))
    destination = images.write(tmp_path / "out.png", photo(1, 1))
    with pytest.raises(FileExistsError, match="overwrite=True"):
        negate.restore_file(source, destination)
    assert images.read(destination).shape == (1, 1, 3)
    negate.restore_file(source, destination, overwrite=True)
    assert images.read(destination).shape == (9, 11, 3)


@pytest.mark.parametrize(
    ("name", "message"), [("out.gif", "'.gif'; use one of"), ("folder.png", "is a folder")]
)
def test_restore_file_refuses_before_restoring(negate, tmp_path, name, message):
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(images.ImageError, match=message):
        negate.restore_file(tmp_path / "missing.png", tmp_path / name)


def test_loads_from_a_path_and_by_name(weights):
    image = photo(5, 6)
    for model in (weights / "default.keras", str(weights / "default.keras"), "default"):
        restore = Restorer(model)
        assert restore.name == "default"
        np.testing.assert_array_equal(restore(image), 255 - image)
    restore = Restorer.from_pretrained("nothing")
    assert restore.name == "nothing"
    np.testing.assert_array_equal(restore(image), image)
    assert pretrained_names() == ["default", "nothing"]
    assert restorer.pretrained_path("nothing") == weights / "nothing.keras"


def test_a_saved_generator_loads_where_its_layers_were_not_imported(tmp_path):
    path = tmp_path / "generator.keras"
    resnet_generator(filters=4, blocks=1).save(path)
    script = (
        "import sys, numpy, deblur_keras\n"
        "restore = deblur_keras.Restorer(sys.argv[1])\n"
        "print(restore(numpy.zeros((3, 5, 3), 'uint8')).shape)"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, path], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "(3, 5, 3)"


def test_a_model_that_is_not_there(weights, tmp_path):
    for model in ("sharper", tmp_path / "missing.keras"):
        with pytest.raises(ModelError, match=r"no such model.*default, nothing"):
            Restorer(model)
    with pytest.raises(ModelError, match=r"'sharper' ship; known names: default, nothing"):
        Restorer.from_pretrained("sharper")


def test_no_weights_installed(weights, monkeypatch, tmp_path):
    monkeypatch.setattr(models, "WEIGHTS", tmp_path / "nowhere")
    with pytest.raises(ModelError, match="no weights are installed"):
        Restorer.from_pretrained()


def test_files_that_are_no_models(tmp_path):
    (tmp_path / "weights.h5").write_bytes(b"")
    with pytest.raises(ModelError, match=r"not a \.keras file"):
        Restorer(tmp_path / "weights.h5")
    with pytest.raises(ModelError, match=r"not a \.keras file"):
        Restorer(tmp_path)
    (tmp_path / "broken.keras").write_bytes(b"broken")
    with pytest.raises(ModelError, match="a zip archive, or one that was cut short"):
        Restorer(tmp_path / "broken.keras")
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as archive:
        archive.writestr("readme", "no model")
    with pytest.raises(ModelError, match="Keras cannot load it"):
        Restorer(tmp_path / "other.keras")


def test_an_unregistered_layer_leads_to_its_module(tmp_path):
    class Sharpen(keras.layers.Layer):
        def call(self, inputs):
            return inputs

    path = tmp_path / "own.keras"
    functional(Sharpen()).save(path)
    with pytest.raises(ModelError, match=r"Sharpen', which .*import the module that"):
        Restorer(path)


def test_code_in_a_file_is_not_run(tmp_path):
    path = tmp_path / "lambda.keras"
    functional(keras.layers.Lambda(lambda x: -x)).save(path)
    with pytest.raises(ModelError, match="Keras cannot load it"):
        Restorer(path)


@pytest.mark.parametrize(
    "shape", [(256, 256, 3), (None, None, 1), (None, None, 4)], ids=["fixed", "grey", "alpha"]
)
def test_models_of_other_shapes_are_refused(shape):
    x = keras.Input(shape)
    with pytest.raises(ModelError, match=r"expected \(None, None, None, 3\) to"):
        Restorer(keras.Model(x, keras.layers.Rescaling(1.0)(x)))


def test_what_is_no_model_at_all_is_refused():
    with pytest.raises(ModelError, match=r"expected a keras\.Model"):
        Restorer(3)


def dropout_after_batch_norm():
    """Gives 0 or 2 (x - 0.25) for each value; with the image's own statistics it would not."""
    norm = keras.layers.BatchNormalization(epsilon=1e-6, moving_mean_initializer=constant(0.25))
    return functional(norm, keras.layers.Dropout(0.5))


def constant(value):
    return keras.initializers.Constant(value)


def test_restore_with_dropout_keeps_dropout_alone_active():
    image = np.full((30, 40, 3), 191, np.uint8)  # 0.498
    generator = dropout_after_batch_norm()
    restored = Restorer(generator, restore_with_dropout=True, seed=1)(image)
    dropped, kept = images.to_uint8(np.float32([0, 2 * (191 / 127.5 - 1.25)]))
    assert set(np.unique(restored)) == {dropped, kept}
    assert 0.45 < (restored == kept).mean() < 0.55
    assert len(np.unique(Restorer(generator)(image))) == 1


def test_restore_with_dropout_is_repeatable_by_seed_and_image():
    generator = resnet_generator(filters=4, blocks=2)
    image = photo(24, 24)
    one, other = (Restorer(generator, restore_with_dropout=True, seed=s) for s in (1, 2))
    first = one(image)
    one(photo(16, 16))
    np.testing.assert_array_equal(one(image), first)
    np.testing.assert_array_equal(
        Restorer(generator, restore_with_dropout=True, seed=1)(image), first
    )
    generator = dropout_after_batch_norm()
    one, other = (Restorer(generator, restore_with_dropout=True, seed=s) for s in (1, 2))
    assert (one(image) != other(image)).any()
    unseeded = Restorer(generator, restore_with_dropout=True)
    assert (unseeded(image) != unseeded(image)).any()


def test_restore_with_dropout_needs_dropout():
    with pytest.raises(ModelError, match="no dropout layers"):
        Restorer(negative(), restore_with_dropout=True)
