"""Restorer.restore_file: what a photograph is besides its pixels, from file to file."""

import numpy as np
import pytest
from PIL import Image

keras = pytest.importorskip("keras")

from deblur_keras import images  # noqa: E402
from deblur_keras.restorer import Restorer  # noqa: E402


class Identity(Restorer):
    """Restores nothing, so that what files do to a photograph is all there is to see."""

    def __init__(self):
        self.seen = []

    def __call__(self, image):
        self.seen.append(image)
        return image.copy()


def noise(*shape, dtype=np.uint8, seed=0):
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def network(*layers):
    blurred = keras.Input((None, None, 3))
    x = blurred
    for layer in layers:
        x = layer(x)
    return Restorer(keras.Model(blurred, x))


@pytest.fixture(scope="module")
def tinting():
    """A network that answers grey with red."""
    return network(keras.layers.Rescaling(0.8, offset=[0.15, 0.0, -0.1]))


@pytest.fixture(scope="module")
def mixing():
    """A network that gives each pixel the mean of the 7x7 around it."""
    return network(keras.layers.AveragePooling2D(7, strides=1, padding="same"))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jp2"])
@pytest.mark.parametrize("alpha", [False, True])
def test_an_identity_keeps_16_bits_exactly(tmp_path, suffix, alpha):
    pixels = np.arange(2**16, dtype=np.uint16).reshape(256, 256, 1) ^ np.uint16([0, 21, 4711])
    clear = pixels[..., 2] | np.uint16(1) if alpha else None
    photograph = images.Photograph(pixels, clear)
    source = images.save_photograph(tmp_path / f"a{suffix}", photograph)
    written = Identity().restore_file(source, tmp_path / f"b{suffix}")
    again = images.open_photograph(written)
    np.testing.assert_array_equal(again.pixels, pixels)
    assert len(np.unique(again.pixels[..., 0])) == 2**16
    if alpha:
        np.testing.assert_array_equal(again.alpha, clear)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_network_restores_16_bits_between_the_levels_of_8(tmp_path, suffix):
    pixels = np.arange(2**16, dtype=np.uint16).reshape(256, 256, 1) ^ np.uint16([0, 21, 4711])
    source = images.save_photograph(tmp_path / f"a{suffix}", images.Photograph(pixels))
    negative = network(keras.layers.Rescaling(-1.0))
    again = images.open_photograph(negative.restore_file(source, tmp_path / f"b{suffix}"))
    assert again.pixels.dtype == np.uint16
    assert np.abs(again.pixels.astype(int) - (65535 - pixels.astype(int))).max() <= 1


@pytest.mark.parametrize("mode", ["L", "LA", "RGB"])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".jpg", ".avif", ".jp2"])
def test_grey_gets_no_tint(tmp_path, tinting, mode, suffix):
    if mode == "LA" and suffix == ".jpg":
        pytest.skip("JPEG has no transparency")
    picture = Image.fromarray(np.tile(np.arange(96, dtype=np.uint8) * 2, (64, 1))).convert(mode)
    picture.save(tmp_path / "a.png")
    assert np.ptp(tinting(images.read(tmp_path / "a.png")).astype(int), axis=-1).max() > 20
    again = images.open_photograph(
        tinting.restore_file(tmp_path / "a.png", tmp_path / f"b{suffix}")
    )
    assert again.grey
    tint = np.ptp(images.read(tmp_path / f"b{suffix}").astype(int), axis=-1).max()
    assert tint <= (1 if suffix == ".webp" else 0)
    if suffix in (".png", ".tif", ".jp2"):
        assert again.channels == (3 if mode == "RGB" else 1)
        grey = 2.0 * np.arange(96)
        colours = 0.8 * grey[:, None] + 127.5 * (1 - 0.8) + 127.5 * np.array([0.15, 0.0, -0.1])
        expected = colours @ [0.299, 0.587, 0.114]  # the luma of what the network made
        assert np.abs(again.pixels[0, :, 0] - expected).max() < 1.5


def test_photographs_with_colour_are_not_averaged(tmp_path, tinting):
    source = images.write(tmp_path / "a.png", noise(20, 30, 3))
    written = tinting.restore_file(source, tmp_path / "b.png")
    np.testing.assert_array_equal(images.read(written), tinting(noise(20, 30, 3)))


def test_a_sharp_edge_of_alpha_gets_no_halo(tmp_path, mixing):
    rows, columns = np.mgrid[:60, :80]
    visible = (rows - 30) ** 2 + (columns - 40) ** 2 < 20**2
    hidden = np.zeros((60, 80, 3), np.uint8)  # black under transparency, as programs write it
    rgba = np.dstack(
        [
            np.where(visible[..., None], np.uint8([220, 180, 90]), hidden),
            visible.astype(np.uint8) * 255,
        ]
    )
    Image.fromarray(rgba).save(tmp_path / "a.png")
    halo = mixing(images.read(tmp_path / "a.png"))[visible].astype(int) - [220, 180, 90]
    assert halo.min() < -60  # what comes of restoring the colours as they are stored
    again = images.open_photograph(mixing.restore_file(tmp_path / "a.png", tmp_path / "b.png"))
    np.testing.assert_array_equal(again.alpha, rgba[..., 3])
    assert np.abs(again.pixels.astype(int) - [220, 180, 90]).max() <= 1


def test_soft_alpha_is_untouched_and_its_colours_restored(tmp_path, tinting):
    alpha = np.tile(np.arange(96, dtype=np.uint8) * 2, (64, 1))
    rgba = np.dstack([noise(64, 96, 3), alpha])
    Image.fromarray(rgba).save(tmp_path / "a.png")
    for suffix in (".png", ".tif", ".webp", ".avif", ".jp2"):
        written = tinting.restore_file(tmp_path / "a.png", tmp_path / f"b{suffix}", quality=60)
        again = images.open_photograph(written)
        np.testing.assert_array_equal(again.alpha, alpha)
    expected = tinting(rgba[..., :3])
    np.testing.assert_array_equal(again.pixels[alpha > 0], expected[alpha > 0])


def test_what_cannot_be_kept_is_refused_before_the_work(tmp_path):
    rgba = np.dstack([noise(6, 8, 3), noise(6, 8)])
    Image.fromarray(rgba).save(tmp_path / "a.png")
    identity = Identity()
    with pytest.raises(images.ImageError, match="transparent parts, which JPEG does not keep"):
        identity.restore_file(tmp_path / "a.png", tmp_path / "b.jpg")
    with pytest.raises(images.ImageError, match=r"a\.png: refused: 8x6 .* limit"):
        identity.restore_file(tmp_path / "a.png", tmp_path / "b.png", max_pixels=47)
    assert identity.seen == []
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_turned_photograph_is_restored_upright_and_turned_no_more(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(noise(6, 9, 3)).save(tmp_path / "a.png", exif=exif)
    identity = Identity()
    for source, name in (("a.png", "b.png"), ("b.png", "c.png")):
        written = identity.restore_file(tmp_path / source, tmp_path / name)
        np.testing.assert_array_equal(images.read(written), np.rot90(noise(6, 9, 3), -1))
    assert [image.shape for image in identity.seen] == [(9, 6, 3), (9, 6, 3)]
