"""EXIF, XMP and TIFF directories, down to the bytes."""

import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from deblur_keras import images
from deblur_keras.images import jp2, metadata, png, tiff

THUMBNAIL = b"\xff\xd8 the blurred photograph, small \xff\xd9"


def block(order=">", thumbnail_last=True):
    """An EXIF block by hand, as a camera writes it: every offset below is counted out."""

    def entry(tag, kind, count, value):
        value = struct.pack(order + {1: "B3x", 3: "H2x", 4: "L", 7: "L"}[kind], value)
        return struct.pack(order + "HHL", tag, kind, count) + value

    head = {"<": b"II", ">": b"MM"}[order] + struct.pack(order + "HL", 42, 8)
    first = struct.pack(order + "H", 3)  # at 8
    first += entry(0x0100, 4, 1, 6000)  # width
    first += entry(0x0112, 3, 1, 6)  # orientation
    first += entry(0x8769, 4, 1, 50)  # the EXIF directory
    first += struct.pack(order + "L", 116)  # the next directory, which ends at 50
    inner = struct.pack(order + "H", 3)  # at 50
    inner += entry(0x927C, 7, 24, 92)  # the maker's note
    inner += entry(0xA002, 4, 1, 6000)
    inner += entry(0xA003, 3, 1, 4000)
    inner += bytes(4)  # ends at 92
    note = b"CAMERA 92 " + b"n" * 14  # says itself where it lies
    second = struct.pack(order + "H", 2)  # at 116
    at = 146 if thumbnail_last else 150
    second += entry(0x0201, 4, 1, at) + entry(0x0202, 4, 1, len(THUMBNAIL)) + bytes(4)  # to 146
    rest = THUMBNAIL if thumbnail_last else b"more" + THUMBNAIL + b"behind"
    return head + first + inner + note + second + rest


def parsed(data):
    exif = Image.Exif()
    exif.load(data)
    return exif


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("thumbnail_last", [True, False])
def test_orientation_and_thumbnail_go_and_all_else_stays_in_its_place(order, thumbnail_last):
    before = block(order, thumbnail_last)
    assert THUMBNAIL in before
    assert parsed(before)[0x0112] == 6
    about = metadata.upright(metadata.Metadata(exif=before), width=4000, height=6000)
    after = about.exif
    assert THUMBNAIL not in after
    assert after.index(b"CAMERA 92") == 92
    exif = parsed(after)
    assert dict(exif) == {0x0100: 4000, 0x8769: 50}
    inner = exif.get_ifd(0x8769)
    assert (inner[0xA002], inner[0xA003]) == (4000, 6000)
    assert inner[0x927C][:9] == b"CAMERA 92"
    assert exif.get_ifd(1) == {}
    assert after.endswith(b"behind") == (not thumbnail_last)


def test_the_thumbnail_of_a_real_file_goes(tmp_path):
    exif = block()
    Image.new("RGB", (60, 40)).save(tmp_path / "a.jpg", exif=b"Exif\0\0" + exif)
    assert THUMBNAIL in (tmp_path / "a.jpg").read_bytes()
    photograph = images.open_photograph(tmp_path / "a.jpg")
    for name in ("b.jpg", "b.png", "b.tif", "b.jp2", "b.webp", "b.avif"):
        path = images.save_photograph(tmp_path / name, photograph)
        assert b"blurred photograph" not in path.read_bytes()
        assert b"CAMERA 92" in path.read_bytes()


def test_xmp_is_made_upright_and_loses_its_thumbnails():
    def after(xmp):
        return metadata.upright(metadata.Metadata(xmp=xmp), 1, 1).xmp

    assert after(b'<a tiff:Orientation="8" b="6"/>') == b'<a tiff:Orientation="1" b="6"/>'
    assert after(b"<tiff:Orientation>3</tiff:Orientation>") == (
        b"<tiff:Orientation>1</tiff:Orientation>"
    )
    assert after(b"<tiff:Orientation = '6'>") == b"<tiff:Orientation = '1'>"
    small = b"<a><xmp:Thumbnails><rdf:Alt>\n/9j/4AAQ</rdf:Alt></xmp:Thumbnails><b/></a>"
    assert after(small) == b"<a><b/></a>"


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tree_reads_either_byte_order_into_one(order):
    reader = tiff.Reader(block(order))
    tree = reader.tree(reader.first)
    assert tree[0x0100].data == struct.pack("<L", 6000)
    assert tree[0x8769][0xA003].data == struct.pack("<H", 4000)
    rebuilt = parsed(tiff.file(tree))
    assert rebuilt[0x0112] == 6
    assert rebuilt.get_ifd(0x8769)[0xA002] == 6000


def test_pillow_reads_what_is_written_and_the_other_way_round():
    exif = Image.Exif()
    exif[0x010F], exif[0x011A] = "Maker", 300.5
    exif.get_ifd(0x8769)[0x829A] = 0.005
    exif.get_ifd(0x8825)[2] = (51.0, 30.0, 12.25)
    data = exif.tobytes()[6:]
    reader = tiff.Reader(data)
    again = parsed(tiff.file(reader.tree(reader.first)))
    assert (again[0x010F], float(again[0x011A])) == ("Maker", 300.5)
    assert float(again.get_ifd(0x8769)[0x829A]) == 0.005
    assert [float(value) for value in again.get_ifd(0x8825)[2]] == [51.0, 30.0, 12.25]


def test_directories_that_point_at_each_other_end():
    looping = tiff.file({tiff.EXIF: tiff.integers(tiff.LONG, 8)})
    reader = tiff.Reader(looping)
    tree, depth = reader.tree(reader.first), 0
    while tree:
        tree, depth = tree.get(tiff.EXIF), depth + 1
    assert depth <= 5
    assert metadata.from_tiff(looping) is not None


def test_big_tiff(tmp_path):
    tifffile = pytest.importorskip("tifffile", reason="writes the BigTIFF file of this test")
    pixels = np.random.default_rng(0).integers(0, 2**16, (8, 9, 3), np.uint16)
    tifffile.imwrite(
        tmp_path / "a.tif",
        pixels,
        photometric="rgb",
        bigtiff=True,
        description="far away",
        metadata=None,
    )
    photograph = images.open_photograph(tmp_path / "a.tif")
    np.testing.assert_array_equal(photograph.pixels, pixels)
    assert parsed(photograph.exif)[0x010E] == "far away"


@pytest.mark.parametrize("exif", [b"no header at all", b"MM", b"II*\0\xff\xff\xff\xff", b"II*\0"])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_a_file_with_broken_exif_is_opened_without_it(tmp_path, suffix, exif):
    pixels = np.zeros((4, 6, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / f"a{suffix}", exif=b"Exif\0\0" + exif)
    photograph = images.open_photograph(tmp_path / f"a{suffix}")
    assert photograph.pixels.shape == (4, 6, 3)
    assert photograph.exif is None


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_broken_exif_never_stops_a_photograph(data):
    whole = bytearray(block(data.draw(st.sampled_from("<>"))))
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=6)):
        whole[place] = data.draw(st.integers(0, 255))
    exif = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    about = metadata.upright(metadata.Metadata(exif=exif), 6, 4)
    assert about.exif is None or isinstance(about.exif, bytes)
    metadata.from_tiff(exif)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=80))
def test_any_bytes_are_boxes_or_not(data):
    jp2.metadata(b"\x00\x00\x00\x0cjP  \r\n\x87\n" + data)


def test_metadata_that_imagemagick_hides_in_the_text_of_a_png(tmp_path):
    text = PngImagePlugin.PngInfo()
    for name, content in (("exif", b"Exif\0\0" + block()), ("xmp", b"<x/>")):
        text.add_text(f"Raw profile type {name}", f"\n{name}\n{len(content)}\n{content.hex()}\n")
    Image.new("RGB", (6, 4)).save(tmp_path / "a.png", pnginfo=text)
    photograph = images.open_photograph(tmp_path / "a.png")
    assert photograph.pixels.shape == (6, 4, 3)  # the block says that it lies on its side
    assert parsed(photograph.exif)[0x0100] == 4
    assert photograph.xmp == b"<x/>"


def test_chunks_go_where_png_wants_them(tmp_path):
    buffer = io.BytesIO()
    Image.new("RGB", (2, 2)).save(buffer, "PNG")
    data = png.with_metadata(buffer.getvalue(), b"icc" * 50, block(), b"<x/>", (300, 72))
    names = (b"IHDR", b"iCCP", b"pHYs", b"eXIf", b"iTXt", b"IDAT", b"IEND")
    places = [data.index(name) for name in names]
    assert places == sorted(places)
    with Image.open(io.BytesIO(data)) as picture:
        picture.verify()
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.info["dpi"] == pytest.approx((300, 72), abs=0.02)


def test_a_tiff_of_more_than_4_gb_is_refused():
    class Long(bytes):
        def __len__(self):
            return 2**32

    with pytest.raises(tiff.TiffError, match="4 GB"):
        tiff.with_directory(Long(), {})
