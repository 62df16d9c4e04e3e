"""HEIC and camera raw, which need packages of their own; without them, that their error says so."""

import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deblur_keras import images
from deblur_keras.images import colours, heic, raw, tiff

HEIC_HEAD = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"


@pytest.fixture
def pillow_heif():
    return pytest.importorskip("pillow_heif", reason='pip install "pillow-heif>=1.1,<2"')


@pytest.fixture
def rawpy():
    return pytest.importorskip("rawpy", reason='pip install "rawpy>=0.24,<1"')


def smooth(height, width):
    rows, columns = np.mgrid[:height, :width]
    waves = [np.sin(rows / a + columns / b) for a, b in ((7, 11), (13, 5), (9, 17))]
    return np.rint(127.5 + 120 * np.stack(waves, axis=-1)).astype(np.uint8)


def exif(orientation=1):
    block = Image.Exif()
    block[0x010F], block[0x0112] = "Maker", orientation
    return block.tobytes()


def heic_file(pillow_heif, path, pixels, **options):
    mode = "RGBA" if pixels.shape[2] == 4 else "RGB"
    mode += ";16" if pixels.dtype == np.uint16 else ""
    with path.open("wb") as file:
        size = pixels.shape[1::-1]
        pillow_heif.encode(mode, size, pixels.tobytes(), file, chroma=444, **options)
    return path


def dng(path, red=30_000, green=20_000, blue=10_000, side=64, orientation=1):
    """A raw file by hand: a Bayer mosaic of one colour, seen by a camera that sees in sRGB."""
    mosaic = np.full((side, 2 * side), green, "<u2")
    mosaic[::2, ::2], mosaic[1::2, 1::2] = red, blue
    # From XYZ to the camera, which is the inverse of sRGB's matrix.
    matrix = [3.2406, -1.5372, -0.4986, -0.9689, 1.8758, 0.0415, 0.0557, -0.2040, 1.0570]
    fractions = b"".join(struct.pack("<ll", round(value * 10_000), 10_000) for value in matrix)
    neutral = struct.pack("<LL", 1, 1) * 3
    short, long = tiff.SHORT, tiff.LONG
    tree = {
        tiff.SUBFILE: tiff.integers(long, 0),
        tiff.WIDTH: tiff.integers(long, 2 * side),
        tiff.LENGTH: tiff.integers(long, side),
        tiff.BITS_PER_SAMPLE: tiff.integers(short, 16),
        259: tiff.integers(short, 1),  # not compressed
        tiff.PHOTOMETRIC: tiff.integers(short, 32803),  # a mosaic
        271: tiff.Entry(tiff.ASCII, 6, b"Maker\0"),
        272: tiff.Entry(tiff.ASCII, 6, b"Model\0"),
        tiff.STRIP_OFFSETS: tiff.integers(long, 8),
        tiff.ORIENTATION: tiff.integers(short, orientation),
        tiff.SAMPLES_PER_PIXEL: tiff.integers(short, 1),
        278: tiff.integers(long, side),  # rows in the one strip
        tiff.STRIP_BYTES: tiff.integers(long, mosaic.nbytes),
        tiff.XMP: tiff.Entry(tiff.BYTE, 20, b"<how to develop it/>"),
        33421: tiff.integers(short, 2, 2),
        33422: tiff.integers(tiff.BYTE, 0, 1, 1, 2),
        tiff.DNG_VERSION: tiff.integers(tiff.BYTE, 1, 4, 0, 0),
        50708: tiff.Entry(tiff.ASCII, 12, b"Maker Model\0"),
        50717: tiff.integers(long, 65535),  # white
        50721: tiff.Entry(10, 9, fractions),
        50728: tiff.Entry(tiff.RATIONAL, 3, neutral),
        50778: tiff.integers(short, 21),  # daylight, D65
    }
    path.write_bytes(tiff.with_directory(b"II*\0" + bytes(4) + mosaic.tobytes(), tree))
    return path


def test_heic_is_opened_with_all_that_it_says(tmp_path, pillow_heif):
    pixels = smooth(64, 96)
    path = heic_file(
        pillow_heif, tmp_path / "a.HEIC", pixels, quality=95, exif=exif(), xmp=b"<x:xmpmeta/>"
    )
    photograph = images.open_photograph(path)
    assert photograph.format == "HEIF"
    assert np.abs(photograph.pixels.astype(int) - pixels).mean() < 2
    assert photograph.xmp == b"<x:xmpmeta/>"
    block = Image.Exif()
    block.load(photograph.exif)
    assert block[0x010F] == "Maker"


def test_heic_is_turned_once(tmp_path, pillow_heif):
    pixels = smooth(64, 96)
    path = heic_file(pillow_heif, tmp_path / "a.heic", pixels, quality=95, exif=exif(6))
    photograph = images.open_photograph(path)
    assert np.abs(photograph.pixels.astype(int) - np.rot90(pixels, -1)).mean() < 2
    for name in ("b.heic", "b.jpg"):
        again = images.open_photograph(images.save_photograph(tmp_path / name, photograph))
        assert again.pixels.shape == (96, 64, 3)


def test_heic_of_10_bits_keeps_them(tmp_path, pillow_heif):
    levels = np.arange(1024, dtype=np.uint16) * 64
    pixels = np.tile(levels.repeat(2)[None, :, None], (64, 1, 3))
    path = heic_file(pillow_heif, tmp_path / "a.heic", pixels, quality=-1)  # lossless
    photograph = images.open_photograph(path)
    assert photograph.pixels.dtype == np.uint16
    assert len(np.unique(photograph.pixels)) > 900
    again = images.open_photograph(images.save_photograph(tmp_path / "b.heic", photograph, 100))
    assert np.abs(again.pixels.astype(int) - pixels).mean() < 300  # of 65535
    assert images.open_photograph(images.save_photograph(tmp_path / "b.png", photograph)).grey


def test_heic_with_transparency_and_with_several_photographs(tmp_path, pillow_heif):
    rgba = np.dstack([smooth(64, 96), smooth(64, 96)[..., 0]])
    path = heic_file(pillow_heif, tmp_path / "a.heic", rgba, quality=95)
    photograph = images.open_photograph(path)
    assert np.abs(photograph.alpha.astype(int) - rgba[..., 3]).mean() < 2
    with pytest.raises(images.ImageError, match="transparent parts, which HEIF does not keep"):
        images.save_photograph(tmp_path / "b.heic", photograph)
    images.save_photograph(tmp_path / "b.png", photograph)
    file = pillow_heif.HeifFile()
    for _ in range(2):
        file.add_from_pillow(Image.fromarray(smooth(64, 96)))
    file.save(tmp_path / "two.heic", quality=50)
    with pytest.raises(images.ImageError, match=r"two\.heic: holds 2 photographs; save each"):
        images.open_photograph(tmp_path / "two.heic")


def test_heic_too_large_or_broken(tmp_path, pillow_heif):
    path = heic_file(pillow_heif, tmp_path / "a.heic", smooth(64, 96), quality=50)
    with pytest.raises(images.ImageError, match=r"a\.heic: refused: 96x64"):
        images.open_photograph(path, max_pixels=1000)
    data = path.read_bytes()
    for length in (30, len(data) // 2):
        path.write_bytes(data[:length])
        with pytest.raises(images.ImageError, match=r"a\.heic: "):
            images.open_photograph(path)


def test_raw_is_developed_to_16_bits(tmp_path, rawpy):
    photograph = images.open_photograph(dng(tmp_path / "a.DNG"))
    assert photograph.format == "RAW"
    assert photograph.pixels.dtype == np.uint16
    height, width = photograph.pixels.shape[:2]
    assert abs(height - 64) <= 4
    assert abs(width - 128) <= 4
    red, green, blue = ((photograph.pixels[32, 64] / 65535 + 0.055) / 1.055) ** 2.4  # linear
    assert red > green > blue
    assert blue / green == pytest.approx(0.5, rel=0.02)
    assert photograph.xmp is None
    assert colours.channels_of(photograph.icc) == 3
    path = images.save_photograph(tmp_path / "b.tif", photograph)
    with Image.open(path) as picture:
        assert picture.getexif()[0x0110] == "Model"


def test_raw_is_turned_and_known_by_its_content_too(tmp_path, rawpy):
    path = dng(tmp_path / "a.tif", orientation=6)
    photograph = images.open_photograph(path)
    assert photograph.format == "RAW"
    assert photograph.pixels.shape[0] > photograph.pixels.shape[1]


def test_raw_too_large_broken_or_unknown(tmp_path, rawpy):
    path = dng(tmp_path / "a.dng")
    with pytest.raises(images.ImageError, match=r"a\.dng: refused: "):
        images.open_photograph(path, max_pixels=1000)
    path.write_bytes(b"II*\0" + bytes(100))
    with pytest.raises(images.ImageError, match=r"a\.dng: .*LibRaw cannot develop it"):
        images.open_photograph(path)


def test_a_jpeg_with_the_suffix_of_raw_is_a_jpeg(tmp_path):
    path = images.write(tmp_path / "a.jpg", smooth(8, 9)).rename(tmp_path / "a.NEF")
    assert images.open_photograph(path).format == "JPEG"


def test_without_the_packages_the_error_names_the_extras(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setitem(sys.modules, "rawpy", None)
    (tmp_path / "a.jpg").write_bytes(HEIC_HEAD + bytes(50))  # iPhones' files, renamed
    dng(tmp_path / "a.dng")
    with pytest.raises(ImportError, match=r'pip install "pillow-heif>=1\.1,<2"'):
        images.open_photograph(tmp_path / "a.jpg")
    with pytest.raises(ImportError, match=r'pip install "pillow-heif>=1\.1,<2"'):
        images.check_saving(tmp_path / "b.heic")
    with pytest.raises(ImportError, match=r'pip install "rawpy>=0\.24,<1"'):
        images.open_photograph(tmp_path / "a.dng")


def test_what_is_what():
    assert heic.is_heic(HEIC_HEAD)
    assert not heic.is_heic(b"\0\0\0\x1cftypmif1\0\0\0\0mif1avif\0\0\0\0")
    assert not heic.is_heic(b"\0\0\0\x18ftypavif\0\0\0\0avifmif1")
    assert not heic.is_heic(b"\xff\xd8\xff\xe0")
    assert raw.is_raw(Path("a.CR3"), b"\0\0\0\x18ftypcrx ")
    assert not raw.is_raw(Path("a.tif"), b"II*\0")
