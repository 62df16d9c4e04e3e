"""What the first bytes of an image say."""

import numpy as np
import pytest
from PIL import Image

from deblur_keras import images
from deblur_keras.datasets import headers
from deblur_keras.datasets.records import Stored

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


def save(path, mode="RGB", pixels=PIXELS, **options):
    Image.fromarray(pixels).convert(mode).save(path, **options)
    return path


@pytest.mark.parametrize("suffix", sorted(images.SUFFIXES))
def test_size_of_every_format(tmp_path, suffix):
    header = headers.peek(save(tmp_path / f"a{suffix}"))
    assert (header.width, header.height, header.orientation) == (30, 20, 1)
    assert header.kind is header.conversion is None


@pytest.mark.parametrize(
    ("name", "mode", "kind"),
    [
        ("a.jpg", "CMYK", "CMYK"),
        ("a.tif", "CMYK", "CMYK"),
        ("a.jpg", "L", "grey"),
        ("a.png", "L", "grey"),
        ("a.png", "LA", "grey"),
        ("a.png", "1", "grey"),
        ("a.png", "P", None),
        ("a.png", "RGBA", None),
    ],
)
def test_kinds(tmp_path, name, mode, kind):
    assert headers.peek(save(tmp_path / name, mode)).kind == kind


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bits(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.zeros((20, 30), np.uint16)).save(path)
    assert headers.peek(path).kind == "deep"
    assert "16 bits" in headers.peek(path).conversion


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_size_is_as_displayed(tmp_path, suffix, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / f"a.{suffix}", exif=exif)
    header = headers.peek(path)
    assert header.orientation == orientation
    assert (header.height, header.width) == images.read(path).shape[:2]


def test_a_long_header_is_read_to_its_end(tmp_path):
    path = save(tmp_path / "a.jpg", icc_profile=bytes(300_000))
    assert headers.peek(path).width == 30
    padded = tmp_path / "a.bin"
    padded.write_bytes(b"xyz" + path.read_bytes() + b"more")
    assert headers.peek(Stored(padded, 3, path.stat().st_size)).width == 30


def test_what_is_no_image_is_named(tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    with pytest.raises(images.ImageError, match=r"a\.png: cannot be read: its header"):
        headers.peek(tmp_path / "a.png")
    with pytest.raises(images.ImageError, match=r"b\.png: cannot be read: No such file") as caught:
        headers.peek(tmp_path / "b.png")
    assert caught.value.source == str(tmp_path / "b.png")
    with pytest.raises(images.ImageError, match=r"^one in .*a\.png: cannot be read") as caught:
        headers.peek(Stored(tmp_path / "a.png", 0, 9, "one"))
    assert caught.value.source == f"one in {tmp_path / 'a.png'}"


def test_the_identity_changes_with_the_file(tmp_path):
    path = save(tmp_path / "a.png")
    first = headers.identity(path)
    assert headers.identity(str(path)) == first
    save(path, pixels=PIXELS[:-1])
    image, version = headers.identity(path)
    assert image == first[0] and version != first[1]
    image, version = headers.identity(save(tmp_path / "b.png"))
    assert image != first[0]
    assert headers.identity(Stored(path, 0, 9)) != headers.identity(Stored(path, 9, 9))
