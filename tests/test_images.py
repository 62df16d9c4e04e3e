import io
import pickle
import stat
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as arrays
from PIL import Image, ImageOps

from deblur_keras import images


def noise(*shape, dtype=np.uint8, seed=0):
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def smooth(height, width):
    rows, columns = np.mgrid[:height, :width]
    waves = [np.sin(rows / a + columns / b) for a, b in ((7, 11), (13, 5), (9, 17))]
    return np.rint(127.5 + 120 * np.stack(waves, axis=-1)).astype(np.uint8)


@given(arrays.arrays(np.uint8, arrays.array_shapes(min_dims=1, max_dims=4, max_side=5)))
def test_pixels_survive_the_way_to_the_network_and_back(pixels):
    values = images.to_float(pixels)
    assert values.dtype == np.float32
    assert np.abs(values).max() <= 1
    np.testing.assert_array_equal(images.to_uint8(values), pixels)


def test_conversion_of_tensors_equals_that_of_arrays():
    keras = pytest.importorskip("keras")
    every = np.arange(256, dtype=np.uint8)
    tensor = images.to_float(keras.ops.convert_to_tensor(every))
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(tensor), images.to_float(every))
    values = np.linspace(-1.2, 1.2, 999, dtype=np.float32)
    tensor = images.to_uint8(keras.ops.convert_to_tensor(values))
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(tensor), images.to_uint8(values))


@pytest.mark.parametrize(
    ("value", "pixel"), [(-1.0, 0), (-2.0, 0), (1.5, 255), (0.999, 255), (1 / 127.5 - 1, 1)]
)
def test_to_uint8_rounds_and_clips(value, pixel):
    assert images.to_uint8(np.float32([value])) == pixel


def test_sixteen_bits_survive_the_way_there_and_back():
    keras = pytest.importorskip("keras")
    every = np.arange(65536, dtype=np.uint16)
    values = images.to_float(every)
    assert (values[0], values[-1]) == (-1, 1)
    np.testing.assert_array_equal(images.to_uint16(values), every)
    tensor = images.to_float(keras.ops.convert_to_tensor(every))
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(images.to_uint16(tensor)), every)
    assert images.to_uint16(np.float32([-2, 2])).tolist() == [0, 65535]


def test_eight_bits_are_the_same_values_as_sixteen():
    every = np.arange(256, dtype=np.uint8)
    fine = images.to_float(every.astype(np.uint16) * 257)
    np.testing.assert_allclose(fine, images.to_float(every), atol=2e-7)


def test_conversion_refuses_the_wrong_side():
    with pytest.raises(ValueError, match=r"to_uint16 expects floating-point.*uint16"):
        images.to_uint16(np.zeros((2, 2, 3), np.uint16))
    with pytest.raises(ValueError, match=r"expects uint8 pixels.*float32"):
        images.to_float(np.zeros((2, 2, 3), np.float32))
    with pytest.raises(ValueError, match=r"expects floating-point.*uint8"):
        images.to_uint8(np.zeros((2, 2, 3), np.uint8))


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".tiff", ".PNG"])
@pytest.mark.parametrize("shape", [(1, 1, 3), (5, 7, 3), (1, 40, 3)])
def test_lossless_round_trip(tmp_path, suffix, shape):
    path = images.write(tmp_path / f"photo{suffix}", noise(*shape))
    np.testing.assert_array_equal(images.read(path), noise(*shape))


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".webp"])
def test_lossy_round_trip_is_close_and_quality_counts(tmp_path, suffix):
    photo = smooth(64, 96)
    errors = []
    for quality in (30, 95):
        path = images.write(tmp_path / f"photo{suffix}", photo, quality=quality)
        errors.append(np.abs(images.read(path).astype(int) - photo).mean())
    assert errors[1] < 2.5
    assert errors[1] < errors[0]


def test_jpeg_is_written_without_chroma_subsampling(tmp_path):
    path = images.write(tmp_path / "photo.jpg", smooth(32, 32))
    with Image.open(path) as picture:
        assert {layer[1:3] for layer in picture.layer} == {(1, 1)}


@pytest.mark.parametrize(("subsampling", "tolerance"), [(0, 0), (2, 1)])
def test_jpeg_equals_tensorflows_accurate_decoder(tmp_path, subsampling, tolerance):
    tf = pytest.importorskip("tensorflow")
    path = tmp_path / "photo.jpg"
    Image.fromarray(noise(37, 51, 3)).save(path, quality=90, subsampling=subsampling)
    expected = tf.io.decode_jpeg(path.read_bytes(), channels=3, dct_method="INTEGER_ACCURATE")
    assert np.abs(images.read(path).astype(int) - expected.numpy()).max() <= tolerance


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_bytes_are_decoded_as_files_are_read(tmp_path, suffix):
    path = images.write(tmp_path / f"photo{suffix}", noise(9, 8, 3))
    np.testing.assert_array_equal(images.decode(path.read_bytes(), "photo"), images.read(path))
    with pytest.raises(images.ImageError, match=r"^number 3: broken or unsupported image"):
        images.decode(path.read_bytes()[:-40], "number 3")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_exif_orientation_is_applied(tmp_path, suffix, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"photo{suffix}"
    Image.fromarray(smooth(16, 24)).save(path, exif=exif)
    with Image.open(path) as picture:
        expected = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
    assert expected.shape == ((24, 16, 3) if orientation > 4 else (16, 24, 3))
    np.testing.assert_array_equal(images.read(path), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_of_16_bits_equals_that_of_8(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    grey = noise(4, 6)
    Image.fromarray(grey).save(tmp_path / "8.png", exif=exif)
    for name in ("16.png", "16.tif"):
        Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / name, exif=exif)
        got = images.read(tmp_path / name)
        np.testing.assert_array_equal(got, images.read(tmp_path / "8.png"))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bits_are_rounded(tmp_path, suffix, channels):
    pixels = noise(9, 8, channels, dtype=np.uint16)
    pixels[0, 0] = 0x00FF  # rounds up to 1; its high byte is 0
    path = tmp_path / f"deep{suffix}"
    assert cv2.imwrite(str(path), pixels)
    rounded = np.rint(pixels / 257.0).astype(np.uint8)
    expected = rounded.repeat(3, axis=-1) if channels == 1 else rounded[..., 2::-1]
    np.testing.assert_array_equal(images.read(path), expected)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("channels", [3, 4])
def test_tiff_of_16_bits_with_interleaved_and_separate_channels(
    tmp_path, planar, channels, compression
):
    tifffile = pytest.importorskip("tifffile", reason="writes the TIFF files of this test")
    pixels = noise(40, 50, channels, dtype=np.uint16)
    stored = pixels if planar == "contig" else np.moveaxis(pixels, -1, 0)
    options = {"predictor": True, "rowsperstrip": 16} if compression else {}
    options |= {"extrasamples": ["unassalpha"]} if channels == 4 else {}
    tifffile.imwrite(
        tmp_path / "deep.tif",
        stored,
        photometric="rgb",
        planarconfig=planar,
        compression=compression,
        **options,
    )
    expected = np.rint(pixels[..., :3] / 257.0).astype(np.uint8)
    np.testing.assert_array_equal(images.read(tmp_path / "deep.tif"), expected)


def test_separate_channels_that_cannot_be_put_together_are_refused(tmp_path):
    tifffile = pytest.importorskip("tifffile", reason="writes the TIFF files of this test")
    path = tmp_path / "deep.tif"
    pixels = noise(3, 8, 9, dtype=np.uint16)
    tifffile.imwrite(path, pixels, photometric="rgb", planarconfig="separate", byteorder=">")
    with pytest.raises(images.ImageError, match="save it with interleaved channels"):
        images.read(path)


def test_tiff_of_16_bits_in_which_white_is_zero(tmp_path):
    tifffile = pytest.importorskip("tifffile", reason="writes the TIFF files of this test")
    tifffile.imwrite(tmp_path / "1.tif", noise(6, 5, dtype=np.uint16), photometric="miniswhite")
    tifffile.imwrite(tmp_path / "2.tif", ~noise(6, 5, dtype=np.uint16), photometric="minisblack")
    first, second = (images.read(tmp_path / name) for name in ("1.tif", "2.tif"))
    np.testing.assert_array_equal(first, second)


def test_tiff_of_16_bits_whose_colours_are_multiplied_with_alpha(tmp_path):
    tifffile = pytest.importorskip("tifffile", reason="writes the TIFF files of this test")
    colours, alpha = noise(6, 5, 3, dtype=np.uint16), np.full((6, 5, 1), 40_000, np.uint16)
    alpha[0, 0] = 0
    multiplied = np.rint(colours / 65535.0 * alpha).astype(np.uint16)
    tifffile.imwrite(
        tmp_path / "deep.tif",
        np.dstack([multiplied, alpha]),
        photometric="rgb",
        extrasamples=["assocalpha"],
    )
    expected = np.rint(colours / 257.0).astype(int)
    expected[0, 0] = 0  # nothing is left of it
    assert np.abs(images.read(tmp_path / "deep.tif").astype(int) - expected).max() <= 1


def test_grey_becomes_three_equal_channels(tmp_path):
    grey = noise(6, 5)
    for name, picture in {
        "L.png": Image.fromarray(grey),
        "LA.png": Image.merge("LA", [Image.fromarray(grey), Image.new("L", (5, 6), 9)]),
    }.items():
        picture.save(tmp_path / name)
        np.testing.assert_array_equal(images.read(tmp_path / name), np.stack([grey] * 3, axis=-1))


def test_one_bit_and_palette(tmp_path):
    Image.fromarray(np.eye(4, dtype=bool)).save(tmp_path / "1.png")
    assert np.array_equal(images.read(tmp_path / "1.png")[..., 1], 255 * np.eye(4, dtype=np.uint8))
    picture = Image.new("P", (2, 1), 0)
    picture.putpalette([10, 20, 30, 40, 50, 60])
    picture.putpixel((1, 0), 1)
    picture.save(tmp_path / "P.png", transparency=0)
    assert images.read(tmp_path / "P.png").tolist() == [[[10, 20, 30], [40, 50, 60]]]


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_colours_under_alpha_are_kept(tmp_path, suffix):
    colours = noise(6, 5, 3)
    picture = np.dstack([colours, np.zeros((6, 5), np.uint8)])
    options = {"lossless": True, "exact": True} if suffix == ".webp" else {}
    Image.fromarray(picture).save(tmp_path / f"clear{suffix}", **options)
    np.testing.assert_array_equal(images.read(tmp_path / f"clear{suffix}"), colours)


def picture_of(mode):
    """Noise in a mode of Pillow."""
    picture = Image.fromarray(noise(9, 8, 3))
    if mode == "P":
        return picture.quantize(7)
    if mode in ("RGBA", "LA"):
        alpha = Image.fromarray(noise(9, 8, seed=1))
        return Image.merge(mode, [*picture.convert(mode.rstrip("A")).split(), alpha])
    return picture.convert(mode)


@pytest.mark.parametrize(
    ("name", "mode", "options"),
    [
        *((f"a.{suffix}", "RGB", {}) for suffix in ("png", "jpg", "bmp", "tif", "webp")),
        ("a.png", "RGB", {"transparency": tuple(noise(9, 8, 3)[0, 0])}),
        *(("a.png", mode, {}) for mode in ("1", "L", "LA", "P", "RGBA")),
        *(("a.png", mode, {"transparency": 3}) for mode in ("L", "P")),
        ("a.png", "P", {"transparency": bytes(range(7))}),
        *(("a.tif", mode, {}) for mode in ("1", "L", "LA", "P", "RGBA", "CMYK", "LAB")),
        *(("a.jpg", mode, {}) for mode in ("L", "CMYK", "YCbCr")),
        *(("a.bmp", mode, {}) for mode in ("1", "L", "P")),
    ],
)
@pytest.mark.filterwarnings("ignore:Palette images with Transparency")
def test_pixels_of_each_mode_are_those_that_pillow_converts_to(tmp_path, name, mode, options):
    picture_of(mode).save(tmp_path / name, **options)
    with Image.open(tmp_path / name) as picture:
        expected = np.asarray(picture.convert("RGB"))
    np.testing.assert_array_equal(images.read(tmp_path / name), expected)


def test_rgb_is_not_copied_once_more(tmp_path, monkeypatch):
    path = images.write(tmp_path / "a.png", noise(4, 4, 3))
    monkeypatch.setattr(Image.Image, "convert", None)
    np.testing.assert_array_equal(images.read(path), noise(4, 4, 3))


def test_cmyk_is_converted(tmp_path):
    Image.new("CMYK", (8, 8), (0, 0, 0, 0)).save(tmp_path / "print.jpg")
    assert (images.read(tmp_path / "print.jpg") == 255).all()


def test_content_decides_not_the_suffix(tmp_path):
    Image.fromarray(noise(4, 4, 3)).save(tmp_path / "really_png.jpg", format="PNG")
    np.testing.assert_array_equal(images.read(tmp_path / "really_png.jpg"), noise(4, 4, 3))


def bad_files(folder):
    buffer = io.BytesIO()
    Image.fromarray(noise(60, 60, 3)).save(buffer, "PNG")
    jpeg = io.BytesIO()
    Image.fromarray(noise(60, 60, 3)).save(jpeg, "JPEG")
    deep = cv2.imencode(".png", noise(60, 60, 3, dtype=np.uint16))[1].tobytes()
    floating = io.BytesIO()
    Image.fromarray(np.zeros((4, 4), np.float32)).save(floating, "TIFF")
    gif = io.BytesIO()
    Image.fromarray(noise(6, 6)).save(gif, "GIF")
    contents = {
        "empty.png": b"",
        "text.jpg": b"not an image at all",
        "half.png": buffer.getvalue()[: buffer.tell() // 2],
        "half.jpg": jpeg.getvalue()[: jpeg.tell() // 2],
        "deep_half.png": deep[: len(deep) // 2],
        "floating.tif": floating.getvalue(),
        "animation.gif": gif.getvalue(),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / "folder.png").mkdir()
    return [*contents, "folder.png", "missing.png"]


def test_unreadable_files_are_named(tmp_path):
    for name in bad_files(tmp_path):
        with pytest.raises(images.ImageError) as caught:
            images.read(tmp_path / name)
        assert str(caught.value).startswith(f"{tmp_path / name}: "), name
        assert caught.value.source == str(tmp_path / name)
        assert pickle.loads(pickle.dumps(caught.value)).source == caught.value.source


def test_decompression_bomb_is_refused(tmp_path, monkeypatch):
    path = images.write(tmp_path / "big.png", np.zeros((30, 30, 3), np.uint8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(images.ImageError, match=r"too many pixels.*MAX_IMAGE_PIXELS"):
        images.read(path)


def test_write_makes_folders_and_gives_usual_permissions(tmp_path):
    path = images.write(tmp_path / "a" / "b" / "photo.png", noise(3, 3, 3))
    usual = tmp_path / "usual"
    usual.write_bytes(b"")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(usual.stat().st_mode)
    assert [file.name for file in path.parent.iterdir()] == ["photo.png"]


def test_write_takes_grey_and_views(tmp_path):
    photo = noise(6, 8, 3)[::2, ::-1]
    np.testing.assert_array_equal(images.read(images.write(tmp_path / "view.png", photo)), photo)
    kernel = noise(5, 4)
    with Image.open(images.write(tmp_path / "kernel.png", kernel)) as picture:
        assert picture.mode == "L"
        np.testing.assert_array_equal(np.asarray(picture), kernel)


@pytest.mark.parametrize(
    ("name", "image", "message"),
    [
        ("photo.gif", noise(2, 2, 3), r"'.gif'; use one of .avif .bmp"),
        ("photo", noise(2, 2, 3), "suffix ''"),
        ("photo.png", np.zeros((2, 2, 3), np.float32), "uint8 array.*float32"),
        ("photo.png", noise(2, 2, 4), r"uint8 \(2, 2, 4\)"),
        ("photo.png", noise(0, 2, 3), "non-empty"),
        ("photo.webp", np.zeros((1, 16384, 3), np.uint8), "WEBP"),
        ("photo.jpg", np.zeros((1, 65501, 3), np.uint8), "photo.jpg"),
    ],
)
def test_write_refuses_and_leaves_nothing(tmp_path, name, image, message):
    with pytest.raises(images.ImageError, match=message):
        images.write(tmp_path / name, image)
    assert list(tmp_path.iterdir()) == []


def test_write_refuses_a_quality_out_of_range(tmp_path):
    with pytest.raises(images.ImageError, match="1 to 100, got 0"):
        images.write(tmp_path / "photo.jpg", noise(2, 2, 3), quality=0)


def test_write_where_the_file_system_refuses(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(images.ImageError, match="cannot be written"):
        images.write(tmp_path / "file" / "photo.png", noise(2, 2, 3))


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, OSError])
def test_interrupted_writing_leaves_the_old_file(tmp_path, interruption):
    path = images.write_bytes(tmp_path / "scores.csv", b"old")
    with pytest.raises(interruption), images.atomic_path(path) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".csv"
        assert images.find(tmp_path, suffixes=None) == [images.Source(path, Path("scores.csv"))]
        temporary.write_bytes(b"half")
        raise interruption
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def tree(tmp_path):
    for name in (
        "b.jpg",
        "a.PNG",
        "notes.txt",
        ".hidden.png",
        "sub/c.tif",
        ".cache/d.png",
        "[1].png",
    ):
        images.write_bytes(tmp_path / name, b"")
    return tmp_path


def relatives(sources):
    return [source.relative.as_posix() for source in sources]


def test_find_searches_folders(tree):
    assert relatives(images.find([tree])) == ["[1].png", "a.PNG", "b.jpg", "sub/c.tif"]
    assert relatives(images.find(str(tree / "sub"))) == ["c.tif"]
    assert "notes.txt" in relatives(images.find(tree, suffixes=None))


def test_find_takes_files_patterns_and_names_that_look_like_patterns(tree):
    assert relatives(images.find([tree / "sub" / "c.tif"])) == ["c.tif"]
    assert relatives(images.find([tree / ".hidden.png"])) == [".hidden.png"]
    assert relatives(images.find([tree / "[1].png"])) == ["[1].png"]
    assert relatives(images.find([f"{tree}/*/*.tif"])) == ["sub/c.tif"]
    assert relatives(images.find([f"{tree}/**/*.*"])) == ["[1].png", "a.PNG", "b.jpg", "sub/c.tif"]
    assert relatives(images.find([f"{tree}/s*"])) == ["sub/c.tif"]


def test_find_lists_a_file_once(tree):
    sources = images.find([tree, tree / "b.jpg", tree / "sub" / ".." / "b.jpg", f"{tree}/*.jpg"])
    assert len(sources) == 4


def test_find_names_all_that_is_missing(tree):
    with pytest.raises(images.ImageError, match=r"not found: .*x\.png, .*\*\.webp"):
        images.find([tree / "x.png", tree, f"{tree}/*.webp"])


def test_find_ends_on_a_loop_of_links(tree):
    (tree / "sub" / "up").symlink_to(tree, target_is_directory=True)
    assert len(images.find(tree)) == 4
