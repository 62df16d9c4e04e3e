"""Photographs with all that they are besides pixels, through files of each kind made here."""

import errno
import io
import os
import threading
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps, PngImagePlugin, features

from deblur_keras import images
from deblur_keras.images import colours, png, tiff

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = (
    b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description'
    b' tiff:Orientation="6" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" dc:title="A trip"'
    b' xmlns:dc="http://purl.org/dc/elements/1.1/"/></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)
LOSSLESS = [".png", ".tif", ".tiff", ".bmp", ".jp2", ".j2k"]
TELLING = [".png", ".tif", ".jpg", ".webp", ".avif", ".jp2"]  # hold profile, EXIF and XMP
DEEP = [".png", ".tif", ".jp2", ".j2k"]
CLEAR = [".png", ".tif", ".webp", ".avif", ".jp2"]  # hold alpha


def noise(*shape, dtype=np.uint8, seed=0):
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def smooth(height, width):
    rows, columns = np.mgrid[:height, :width]
    waves = [np.sin(rows / a + columns / b) for a, b in ((7, 11), (13, 5), (9, 17))]
    return np.rint(127.5 + 120 * np.stack(waves, axis=-1)).astype(np.uint8)


def exif(orientation=1):
    block = Image.Exif()
    block[0x010F] = "Maker"
    block[0x0112] = orientation
    inner = block.get_ifd(0x8769)
    inner[0x829A] = 0.25  # exposure time
    inner[0x927C] = b"maker's note\0" * 3
    inner[0xA002], inner[0xA003] = 96, 64  # pixels as stored
    block.get_ifd(0x8825)[1] = "N"
    return block.tobytes()  # with the prefix that it has in JPEG


def parsed(block):
    result = Image.Exif()
    result.load(block)
    return result


def stored(folder, name, pixels, **options):
    """Writes a file by Pillow alone, as another program would."""
    path = folder / name
    Image.fromarray(pixels).save(path, **options)
    return path


SAID = {"icc": SRGB, "exif": exif().removeprefix(b"Exif\0\0"), "xmp": XMP}


def saved(path, pixels=None, **fields):
    pixels = smooth(64, 96) if pixels is None else pixels
    return images.save_photograph(path, images.Photograph(pixels, **fields))


def reopened(path, **fields):
    return images.open_photograph(saved(path, **fields))


@pytest.mark.parametrize("suffix", [*LOSSLESS, ".PNG", ".TIFF"])
@pytest.mark.parametrize("shape", [(1, 1, 3), (5, 7, 3), (1, 40, 3)])
def test_lossless_formats_keep_every_pixel(tmp_path, suffix, shape):
    again = reopened(tmp_path / f"a{suffix}", pixels=noise(*shape))
    np.testing.assert_array_equal(again.pixels, noise(*shape))
    assert (again.alpha, again.channels) == (None, 3)


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG", ".jpe", ".jfif", ".webp", ".avif"])
def test_lossy_formats_are_close_and_quality_counts(tmp_path, suffix):
    photograph, errors, sizes = images.Photograph(smooth(64, 96)), [], []
    for quality in (20, 95):
        path = images.save_photograph(tmp_path / f"a{suffix}", photograph, quality)
        difference = images.open_photograph(path).pixels.astype(int) - photograph.pixels
        errors.append(np.abs(difference).mean())
        sizes.append(path.stat().st_size)
    assert errors[1] < min(2.5, errors[0])
    assert sizes[1] > sizes[0]


@pytest.mark.parametrize("suffix", DEEP)
@pytest.mark.parametrize("alpha", [False, True])
def test_values_between_8_bit_levels_survive(tmp_path, suffix, alpha):
    pixels = np.arange(2**16, dtype=np.uint16).reshape(128, 512, 1) + np.uint16([0, 1, 2])
    clear = np.flip(pixels[..., 0]) if alpha and suffix != ".j2k" else None
    visible = np.ones(pixels.shape[:2], bool) if clear is None else clear > 0
    again = reopened(tmp_path / f"deep{suffix}", pixels=pixels, alpha=clear)
    assert again.pixels.dtype == np.uint16
    np.testing.assert_array_equal(again.pixels[visible], pixels[visible])
    if clear is not None:
        np.testing.assert_array_equal(again.alpha, clear)


@pytest.mark.parametrize("suffix", DEEP)
def test_16_bit_files_of_another_program(tmp_path, suffix):
    pixels = noise(40, 50, 3, dtype=np.uint16)
    path = tmp_path / f"deep{'.jp2' if suffix == '.j2k' else suffix}"
    options = [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000] if suffix in (".jp2", ".j2k") else []
    assert cv2.imwrite(str(path), pixels[..., ::-1], options)
    opened = images.open_photograph(path)
    np.testing.assert_array_equal(opened.pixels, pixels)
    again = images.open_photograph(images.save_photograph(tmp_path / f"out{suffix}", opened))
    np.testing.assert_array_equal(again.pixels, pixels)


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".avif", ".bmp"])
def test_formats_of_8_bits_get_16_rounded(tmp_path, suffix):
    deep = np.full((16, 16, 3), 257 * 100 + 140, np.uint16)  # nearer to 101
    again = reopened(tmp_path / f"a{suffix}", pixels=deep)
    assert again.pixels.dtype == np.uint8
    assert np.abs(again.pixels.astype(int) - 101).max() <= (suffix in (".webp", ".avif"))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".bmp", ".avif", ".jp2"])
def test_grey_files_stay_files_of_one_channel(tmp_path, suffix):
    grey = smooth(40, 50)[..., 0]
    path = stored(tmp_path, f"grey{suffix}", grey)
    photograph = images.open_photograph(path)
    assert photograph.grey
    np.testing.assert_array_equal(*photograph.pixels[..., :2].transpose(2, 0, 1))
    if suffix != ".avif":  # Pillow opens it as RGB
        assert photograph.channels == 1
        written = images.save_photograph(tmp_path / f"out{suffix}", photograph)
        with Image.open(written) as picture:
            assert picture.mode == "L"
    again = images.open_photograph(tmp_path / path.name)
    assert np.abs(again.pixels[..., 0].astype(int) - grey).max() < 12


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jp2"])
def test_grey_of_16_bits_stays_one_channel(tmp_path, suffix):
    grey = noise(40, 50, dtype=np.uint16)
    assert cv2.imwrite(
        str(tmp_path / f"a{suffix}"), grey, [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000]
    )
    photograph = images.open_photograph(tmp_path / f"a{suffix}")
    assert (photograph.grey, photograph.channels) == (True, 1)
    written = images.save_photograph(tmp_path / f"b{suffix}", photograph)
    again = cv2.imdecode(np.fromfile(written, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(again, grey)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".avif"])
def test_colourless_rgb_files_are_grey_but_keep_their_channels(tmp_path, suffix):
    path = stored(tmp_path, f"a{suffix}", np.repeat(smooth(40, 50)[..., :1], 3, axis=-1))
    photograph = images.open_photograph(path)
    assert (photograph.grey, photograph.channels) == (True, 3)
    coloured = photograph.pixels.copy()
    coloured[3, 5, 1] += 9
    path = stored(tmp_path, "b.png", coloured)
    assert not images.open_photograph(path).grey


def test_grey_written_as_webp_has_no_tint(tmp_path):
    grey = np.repeat(smooth(40, 50)[..., :1], 3, axis=-1)
    again = reopened(tmp_path / "a.webp", pixels=grey, grey=True, channels=1)
    assert again.grey
    assert np.ptp(again.pixels.astype(int), axis=-1).max() <= 1


def test_one_bit_palettes_and_grey_palettes(tmp_path):
    Image.fromarray(np.eye(9, dtype=bool)).save(tmp_path / "1.png")
    photograph = images.open_photograph(tmp_path / "1.png")
    assert (photograph.grey, photograph.channels) == (True, 1)
    assert photograph.pixels[..., 2].tolist() == (255 * np.eye(9, dtype=np.uint8)).tolist()
    palette = Image.fromarray(noise(9, 8)).convert("P")
    palette.putpalette([level for level in range(256) for _ in range(3)])
    palette.save(tmp_path / "grey.png")
    assert images.open_photograph(tmp_path / "grey.png").grey
    palette.putpalette(range(256))
    palette.save(tmp_path / "colours.png", transparency=7)
    photograph = images.open_photograph(tmp_path / "colours.png")
    assert not photograph.grey
    assert set(np.unique(photograph.alpha)) <= {0, 255}


@pytest.mark.parametrize("suffix", CLEAR)
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_kept_exactly(tmp_path, suffix, mode):
    alpha = smooth(64, 96)[..., 1]
    fields = {"pixels": smooth(64, 96), "alpha": alpha}
    if mode == "LA":
        grey = np.repeat(smooth(64, 96)[..., :1], 3, axis=-1)
        fields |= {"pixels": grey, "grey": True, "channels": 1}
    for quality in (30, 100):
        photograph = images.Photograph(**fields)
        path = images.save_photograph(tmp_path / f"a{suffix}", photograph, quality)
        again = images.open_photograph(path)
        np.testing.assert_array_equal(again.alpha, alpha)
    assert again.grey == (mode == "LA")
    if mode == "LA" and suffix in (".png", ".tif", ".jp2"):
        assert again.channels == 1


def test_a_transparent_colour_of_png(tmp_path):
    pixels = noise(6, 5, 3)
    path = stored(tmp_path, "a.png", pixels, transparency=tuple(int(v) for v in pixels[2, 3]))
    assert (images.open_photograph(path).alpha == 0).sum() == 1
    deep = noise(6, 5, dtype=np.uint16)
    picture = Image.fromarray(deep)
    picture.save(tmp_path / "b.png", transparency=int(deep[1, 1]))
    photograph = images.open_photograph(tmp_path / "b.png")
    assert photograph.alpha[1, 1] == 0
    assert (photograph.alpha == 65535).sum() == 29


@pytest.mark.parametrize("suffix", [".jpg", ".bmp"])
def test_transparency_that_a_format_does_not_keep_is_refused(tmp_path, suffix):
    alpha = np.full((4, 4), 255, np.uint8)
    opaque = images.Photograph(noise(4, 4, 3), alpha)
    assert (
        images.open_photograph(images.save_photograph(tmp_path / f"a{suffix}", opaque)).alpha
        is None
    )
    alpha[0, 0] = 254
    with pytest.raises(images.ImageError, match=r"transparent parts, which .* does not keep"):
        saved(tmp_path / f"b{suffix}", pixels=noise(4, 4, 3), alpha=alpha)
    assert not (tmp_path / f"b{suffix}").exists()


def test_visible_colours_continue_under_transparent_pixels(tmp_path):
    rows, columns = np.mgrid[:50, :60]
    disc = (rows - 25) ** 2 + (columns - 30) ** 2 < 15**2
    pixels = np.where(disc[..., None], np.uint8([200, 150, 100]), noise(50, 60, 3))
    pixels[disc & (columns > 30)] = (10, 20, 30)
    rgba = np.dstack([pixels, np.where(disc, 255, 0).astype(np.uint8)])
    opened = images.open_photograph(stored(tmp_path, "disc.png", rgba))
    np.testing.assert_array_equal(opened.pixels[disc], pixels[disc])
    assert set(map(tuple, opened.pixels.reshape(-1, 3).tolist())) == {(200, 150, 100), (10, 20, 30)}
    assert tuple(opened.pixels[25, 0]) == (200, 150, 100)
    assert tuple(opened.pixels[25, 59]) == (10, 20, 30)


def test_what_is_wholly_transparent_is_left_alone(tmp_path):
    rgba = np.dstack([noise(4, 5, 3), np.zeros((4, 5), np.uint8)])
    opened = images.open_photograph(stored(tmp_path, "a.png", rgba))
    np.testing.assert_array_equal(opened.pixels, rgba[..., :3])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp", ".avif"])
def test_orientation_is_applied_and_reset(tmp_path, suffix, orientation):
    options = (
        {"lossless": True} if suffix == ".webp" else {"quality": 100} if suffix != ".png" else {}
    )
    path = stored(tmp_path, f"a{suffix}", smooth(64, 96), exif=exif(orientation), **options)
    with Image.open(path) as picture:
        expected = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
    photograph = images.open_photograph(path)
    np.testing.assert_array_equal(photograph.pixels, expected)
    np.testing.assert_array_equal(images.read(path), expected)
    written = images.save_photograph(tmp_path / f"out{suffix}", photograph)
    with Image.open(written) as picture:
        assert picture.size == expected.shape[1::-1]
        assert picture.getexif().get(0x0112, 1) == 1
        assert picture.getexif()[0x010F] == "Maker"
        inner = picture.getexif().get_ifd(0x8769)
        assert (inner[0xA002], inner[0xA003]) == picture.size
    assert images.open_photograph(written).pixels.shape == expected.shape


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_orientation_of_16_bits_and_of_alpha(tmp_path, suffix):
    rgba = noise(5, 8, 4, dtype=np.uint16) | np.uint16([0, 0, 0, 1])
    plain = saved(tmp_path / f"a{suffix}", pixels=rgba[..., :3], alpha=rgba[..., 3])
    data = plain.read_bytes()
    turned = tmp_path / f"b{suffix}"
    if suffix == ".png":
        turned.write_bytes(png.with_metadata(data, exif=exif(6)[6:]))
    else:
        reader = tiff.Reader(data)
        tree = reader.tree(reader.first) | {tiff.ORIENTATION: tiff.integers(tiff.SHORT, 6)}
        turned.write_bytes(tiff.with_directory(data, tree))
    photograph = images.open_photograph(turned)
    np.testing.assert_array_equal(photograph.pixels, np.rot90(rgba[..., :3], -1))
    np.testing.assert_array_equal(photograph.alpha, np.rot90(rgba[..., 3], -1))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("suffix", TELLING)
@pytest.mark.parametrize("source", [".jpg", ".png", ".tif", ".webp", ".avif"])
def test_profile_exif_and_xmp_go_from_each_format_to_each(tmp_path, source, suffix, dtype):
    options = {"icc_profile": SRGB, "exif": exif(6)}
    expected = XMP.replace(b'tiff:Orientation="6"', b'tiff:Orientation="1"')
    if source == ".tif":
        options["exif"] = parsed(options["exif"])
        options["exif"][700] = XMP
    elif source == ".png":
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", XMP.decode())
    else:
        options["xmp"] = XMP
    opened = images.open_photograph(stored(tmp_path, f"a{source}", smooth(64, 96), **options))
    pixels = opened.pixels.astype(dtype) * (257 if dtype == np.uint16 else 1)
    written = images.save_photograph(
        tmp_path / f"b{suffix}",
        images.Photograph(pixels, None, False, 3, *opened.metadata),
    )
    again = images.open_photograph(written)
    assert again.icc == SRGB
    assert again.xmp == expected
    block = parsed(again.exif)
    assert block[0x010F] == "Maker"
    assert 0x0112 not in block
    assert block.get_ifd(0x8769)[0x829A] == 0.25
    assert block.get_ifd(0x8769)[0x927C] == b"maker's note\0" * 3
    assert block.get_ifd(0x8825)[1] == "N"
    if suffix != ".jp2":  # Pillow sees it there too
        with Image.open(written) as picture:
            assert picture.info["icc_profile"] == SRGB
            assert picture.getexif()[0x010F] == "Maker"
            assert b"A trip" in picture.info["xmp"]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_the_resolution_is_kept(tmp_path, suffix):
    for name, pixels in (("8", noise(4, 4, 3)), ("16", noise(4, 4, 3, dtype=np.uint16))):
        with Image.open(
            saved(tmp_path / f"{name}{suffix}", pixels=pixels, dpi=(300, 300))
        ) as picture:
            assert np.allclose([float(value) for value in picture.info["dpi"]], 300, atol=0.01)
        opened = images.open_photograph(tmp_path / f"{name}{suffix}")
        assert np.allclose(opened.dpi, 300, atol=0.01)


def test_bmp_and_bare_codestreams_hold_pixels_alone(tmp_path):
    for suffix in (".bmp", ".j2k"):
        again = reopened(tmp_path / f"a{suffix}", **SAID)
        assert again.metadata[:3] == (None, None, None)
    assert (tmp_path / "a.j2k").read_bytes()[:2] == b"\xff\x4f"


def cmyk_profile():
    """An ICC profile by hand: black ink alone counts, and lightness is what it leaves over."""
    grid = [(k, c, m, y) for c in (0, 1) for m in (0, 1) for y in (0, 1) for k in (0, 1)]
    lab = b"".join(bytes([255 if key == 0 else 0, 128, 128]) for key, *_ in grid)
    straight = bytes(range(256))
    matrix = b"".join((65536 * (i % 4 == 0)).to_bytes(4, "big") for i in range(9))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + straight * 4 + lab + straight * 3
    text = b"text" + bytes(4) + b"by hand\0"
    description = b"desc" + bytes(4) + (8).to_bytes(4, "big") + b"by hand\0" + bytes(78)
    white = b"XYZ " + bytes(4) + bytes.fromhex("0000F6D6 00010000 0000D32D")
    parts = [(b"A2B0", table), (b"cprt", text), (b"desc", description), (b"wtpt", white)]
    at, directory, body = 128 + 4 + 12 * len(parts), len(parts).to_bytes(4, "big"), b""
    for name, data in parts:
        data += bytes(-len(data) % 4)
        directory += name + (at + len(body)).to_bytes(4, "big") + len(data).to_bytes(4, "big")
        body += data
    size = (at + len(body)).to_bytes(4, "big")
    head = size + bytes(4) + bytes.fromhex("02400000") + b"prtrCMYKLab " + bytes(12) + b"acsp"
    head += bytes(68 - len(head)) + bytes.fromhex("0000F6D6 00010000 0000D32D")
    return head + bytes(128 - len(head)) + directory + body


def test_cmyk_is_converted_by_its_profile(tmp_path):
    inks = np.zeros((8, 8, 4), np.uint8)
    inks[..., 0] = 255  # cyan, which this profile says is no ink at all
    inks[4:, :, 3] = 255
    picture = Image.fromarray(inks, "CMYK")
    plain, by_profile = tmp_path / "plain.tif", tmp_path / "profile.tif"
    picture.save(plain)
    picture.save(by_profile, icc_profile=cmyk_profile())
    opened = images.open_photograph(plain)
    assert opened.pixels[0, 0].tolist() == [0, 255, 255]
    assert opened.icc is None
    opened = images.open_photograph(by_profile)
    assert opened.pixels[0, 0].tolist() == [255, 255, 255]
    assert opened.pixels[7, 7].tolist() == [0, 0, 0]
    assert colours.channels_of(opened.icc) == 3
    again = images.open_photograph(images.save_photograph(tmp_path / "out.jpg", opened))
    assert colours.channels_of(again.icc) == 3
    picture.save(tmp_path / "broken.tif", icc_profile=b"\0" * 200)
    assert images.open_photograph(tmp_path / "broken.tif").pixels[0, 0].tolist() == [0, 255, 255]


def test_cmyk_jpeg(tmp_path):
    Image.new("CMYK", (16, 8), (0, 255, 0, 0)).save(tmp_path / "print.jpg", quality=100)
    opened = images.open_photograph(tmp_path / "print.jpg")
    assert np.abs(opened.pixels[0, 0].astype(int) - [255, 0, 255]).max() < 4
    assert opened.format == "JPEG"


def test_lab_is_converted(tmp_path):
    picture = Image.new("LAB", (4, 4), (128, 128, 128))
    picture.save(tmp_path / "a.tif")
    pixel = images.open_photograph(tmp_path / "a.tif").pixels[0, 0].astype(int)
    assert np.ptp(pixel) <= 2
    assert abs(pixel.mean() - 119) < 4  # half of L* in sRGB


def grey_profile():
    """A profile for grey of gamma 1.8, by hand."""
    gamma = b"curv" + bytes(4) + (1).to_bytes(4, "big") + (461).to_bytes(2, "big") + bytes(2)
    text = b"text" + bytes(4) + b"by hand\0"
    white = b"XYZ " + bytes(4) + bytes.fromhex("0000F6D6 00010000 0000D32D")
    description = b"desc" + bytes(4) + (8).to_bytes(4, "big") + b"by hand\0" + bytes(80)
    parts = [(b"cprt", text), (b"desc", description), (b"kTRC", gamma), (b"wtpt", white)]
    at, directory, body = 128 + 4 + 12 * len(parts), len(parts).to_bytes(4, "big"), b""
    for name, data in parts:
        directory += name + (at + len(body)).to_bytes(4, "big") + len(data).to_bytes(4, "big")
        body += data
    size = (at + len(body)).to_bytes(4, "big")
    head = size + bytes(4) + bytes.fromhex("02400000") + b"mntrGRAYXYZ " + bytes(12) + b"acsp"
    head += bytes(68 - len(head)) + bytes.fromhex("0000F6D6 00010000 0000D32D")
    return head + bytes(128 - len(head)) + directory + body


def test_a_grey_profile_stays_with_grey_and_is_converted_for_webp(tmp_path):
    icc = grey_profile()
    grey = np.full((16, 16), 128, np.uint8)
    opened = images.open_photograph(stored(tmp_path, "a.png", grey, icc_profile=icc))
    assert opened.icc == icc
    again = images.open_photograph(images.save_photograph(tmp_path / "b.jpg", opened))
    assert (again.icc, again.channels) == (icc, 1)
    again = images.open_photograph(images.save_photograph(tmp_path / "b.webp", opened))
    assert colours.channels_of(again.icc) == 3
    # (128 / 255)^1.8 = 0.289 of full light, which sRGB writes as 1.055 0.289^(1 / 2.4) - 0.055
    assert abs(int(again.pixels[0, 0, 0]) - 146) <= 3


@pytest.mark.parametrize("content", [".jpg", ".webp", ".tif", ".avif", ".jp2"])
def test_content_decides_not_the_suffix(tmp_path, content):
    path = saved(tmp_path / f"a{content}")
    wrong = path.rename(tmp_path / "a.png")
    opened = images.open_photograph(wrong)
    assert opened.pixels.shape == (64, 96, 3)
    with Image.open(images.save_photograph(tmp_path / "b.png", opened)) as picture:
        assert picture.format == "PNG"


def test_animations_and_pages_are_refused(tmp_path):
    frames = [Image.fromarray(noise(8, 9, 3, seed=seed)) for seed in range(3)]
    for name in ("a.webp", "a.png", "a.avif"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], duration=100)
        with pytest.raises(images.ImageError, match=rf"{name}: is an animation of 3 frames; save"):
            images.open_photograph(tmp_path / name)
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:])
    with pytest.raises(images.ImageError, match=r"a\.tif: has 3 pages, .*; save each as a file"):
        images.open_photograph(tmp_path / "a.tif")


def test_previews_are_no_pages(tmp_path):
    tifffile = pytest.importorskip("tifffile", reason="writes the TIFF files of this test")
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(noise(8, 9, 3), photometric="rgb")
        file.write(noise(4, 4, 3), photometric="rgb", subfiletype=1)
    np.testing.assert_array_equal(images.open_photograph(tmp_path / "a.tif").pixels, noise(8, 9, 3))
    with tifffile.TiffWriter(tmp_path / "b.tif") as file:
        file.write(noise(4, 4, 3), photometric="rgb", subfiletype=1)
        file.write(noise(8, 9, 3), photometric="rgb")
    with pytest.raises(images.ImageError, match=r"begins with a preview.*suffix of its kind"):
        images.open_photograph(tmp_path / "b.tif")


def test_phones_previews_are_left_out_and_3d_photographs_refused(tmp_path):
    frames = [Image.fromarray(smooth(64, 96)), Image.fromarray(smooth(32, 48))]
    path = tmp_path / "a.jpg"
    frames[0].save(path, "MPO", save_all=True, append_images=frames[1:])
    opened = images.open_photograph(path)
    assert (opened.pixels.shape, opened.format) == ((64, 96, 3), "JPEG")
    data = bytearray(path.read_bytes())
    first = data.index(b"MPF\0") + 4 + 0x32  # where Pillow puts the kinds, 16 bytes an entry
    assert data[first : first + 4] == (0x030000).to_bytes(4, "little")  # the primary one
    for place in (first, first + 16):
        data[place : place + 4] = (0x020002).to_bytes(4, "little")  # "one of a pair of eyes"
    path.write_bytes(data)
    with pytest.raises(images.ImageError, match=r"a\.jpg: holds 2 views, .*; save each as a file"):
        images.open_photograph(path)


def test_too_many_pixels_are_refused_and_the_limit_is_ours_alone(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.png", pixels=np.zeros((30, 30, 3), np.uint8))
    with pytest.raises(
        images.ImageError, match=r"a\.png: refused: 30x30 are 900 pixels.*899.*max_pix"
    ):
        images.open_photograph(path, max_pixels=899)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # Pillow's own would refuse it
    assert images.open_photograph(path, max_pixels=900).pixels.shape == (30, 30, 3)
    assert Image.MAX_IMAGE_PIXELS == 10


def test_a_bomb_is_refused_before_it_takes_memory(tmp_path):
    # 60000x60000 pixels of nothing in a file of a few bytes.
    buffer = io.BytesIO()
    Image.new("1", (8, 8)).save(buffer, "PNG")
    data = bytearray(buffer.getvalue())
    data[16:24] = (60_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    (tmp_path / "bomb.png").write_bytes(data)
    with pytest.raises(images.ImageError, match=r"refused: 60000x60000 are 3,600,000,000 pixels"):
        images.open_photograph(tmp_path / "bomb.png")


def test_a_format_that_this_pillow_lacks(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.avif")
    check = features.check
    monkeypatch.setattr(features, "check", lambda name: name != "avif" and check(name))
    with pytest.raises(images.ImageError, match=r"b\.avif: .*without AVIF; .*pip install"):
        images.check_saving(tmp_path / "b.avif")
    with pytest.raises(images.ImageError, match=r"b\.avif: .*without AVIF; .*pip install"):
        images.write(tmp_path / "b.avif", noise(4, 4, 3))
    monkeypatch.setitem(Image.OPEN, "AVIF", Image.OPEN["PNG"])
    with pytest.raises(images.ImageError, match=r"a\.avif: .*without AVIF; .*pip install"):
        images.open_photograph(path)


@pytest.mark.parametrize("suffix", [*TELLING, ".bmp", ".j2k"])
def test_broken_files_are_errors_that_name_them(tmp_path, suffix):
    data = saved(tmp_path / f"whole{suffix}", **SAID).read_bytes()
    random = np.random.default_rng(0)
    path = tmp_path / f"broken{suffix}"
    for attempt in range(40):
        broken = bytearray(data)
        if attempt < 10:
            broken = broken[: random.integers(len(data))]
        else:
            front = len(data) if attempt % 2 else min(400, len(data))
            for place in random.integers(front, size=3):
                broken[place] = random.integers(256)
        path.write_bytes(broken)
        try:
            images.open_photograph(path)
        except images.ImageError as error:
            assert str(error).startswith(f"{path}: ")


def test_empty_and_missing_files_and_folders(tmp_path):
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    for name, message in (
        ("empty.jpg", "is empty; copy it again"),
        ("missing.jpg", "No such file"),
        (".", "expected a file"),
        ("loop.jpg", "a link leads back to itself"),
    ):
        with pytest.raises(images.ImageError, match=message):
            images.open_photograph(tmp_path / name)


def test_a_file_that_is_being_written_is_not_restored_half(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.png")
    real, growing = os.fstat, iter((False, True))

    def fstat(descriptor):
        if next(growing, False):
            with path.open("ab") as file:
                file.write(b"more")
        return real(descriptor)

    monkeypatch.setattr(os, "fstat", fstat)
    with pytest.raises(images.ImageError, match=r"changed while it was read; wait"):
        images.open_photograph(path)


@pytest.mark.parametrize(
    ("number", "cure"), [("ENOSPC", "free some"), ("EACCES", "permissions"), ("EROFS", "another")]
)
def test_a_disk_that_refuses_is_answered_with_what_to_do(tmp_path, monkeypatch, number, cure):
    def refuse(self, data):
        code = getattr(errno, number)
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(images.ImageError, match=rf"a\.png: cannot be written: .*; .*{cure}"):
        saved(tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("a.gif", {}, r"'.gif'; use one of .avif"),
        ("a.nef", {}, r"cannot write the suffix"),
        ("a.webp", {"pixels": np.zeros((1, 16384, 3), np.uint8)}, "WEBP cannot hold"),
        ("a.jpg", {"exif": b"II*\0" + bytes(70_000)}, "JPEG cannot hold.*PNG and TIFF"),
        ("a.jpg", {"xmp": b" " * 70_000}, "JPEG cannot hold.*PNG and TIFF"),
    ],
)
def test_what_cannot_be_written_leaves_nothing(tmp_path, name, fields, message):
    with pytest.raises(images.ImageError, match=message):
        saved(tmp_path / name, **fields)
    assert list(tmp_path.iterdir()) == []


def test_quality_out_of_range(tmp_path):
    with pytest.raises(images.ImageError, match="1 to 100, got 0"):
        images.save_photograph(tmp_path / "a.jpg", images.Photograph(noise(2, 2, 3)), quality=0)


@pytest.mark.parametrize(
    ("pixels", "alpha", "message"),
    [
        (noise(4, 4), None, r"\(H, W, 3\), got uint8 \(4, 4\)"),
        (noise(4, 4, 3).astype(np.float32), None, "float32"),
        (noise(0, 4, 3), None, "non-empty"),
        (noise(4, 4, 3), noise(4, 4, dtype=np.uint16), r"alpha as uint8 \(4, 4\)"),
    ],
)
def test_photographs_are_checked(pixels, alpha, message):
    with pytest.raises(ValueError, match=message):
        images.Photograph(pixels, alpha)
    with pytest.raises(ValueError, match="like the photograph"):
        images.Photograph(noise(4, 4, 3)).restored(noise(4, 5, 3))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_averaging_colours_is_bt_601_and_leaves_grey_exactly(dtype):
    pixels = noise(30, 40, 3, dtype=dtype)
    expected = np.rint(pixels @ np.array([0.299, 0.587, 0.114]))
    averaged = colours.without_colour(pixels)
    assert averaged.dtype == dtype
    assert np.abs(averaged[..., 1] - expected).max() <= (1 if dtype == np.uint8 else 3)
    levels = np.arange(np.iinfo(dtype).max + 1, dtype=np.uint32).astype(dtype).reshape(-1, 1, 1)
    grey = np.repeat(levels, 3, axis=-1)
    np.testing.assert_array_equal(colours.without_colour(grey), grey)


def test_several_threads_open_at_once(tmp_path):
    paths = [saved(tmp_path / f"{i}.png", pixels=noise(20, 20, 3, seed=i)) for i in range(8)]
    wrong = []

    def work(index):
        for _ in range(5):
            opened = images.open_photograph(paths[index])
            wrong.extend(
                [index] * (not np.array_equal(opened.pixels, noise(20, 20, 3, seed=index)))
            )

    threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert Image.MAX_IMAGE_PIXELS is not None
