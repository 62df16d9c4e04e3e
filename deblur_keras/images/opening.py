"""Opens photographs with all that a restored one is to keep."""

import io
import threading
from pathlib import Path

import numpy as np
from PIL import Image

from deblur_keras.images import colours, deep, heic, metadata, raw, tiff
from deblur_keras.images.files import read_bytes
from deblur_keras.images.formats import BROKEN, READABLE, ImageError, naming
from deblur_keras.images.photograph import Photograph
from deblur_keras.images.values import upright

MAX_PIXELS = 200_000_000
"""How many pixels `open_photograph` takes unless told otherwise: what the largest phones make."""

_REDUCED, _MASK = 1, 4  # bits of a TIFF page's kind: a preview, a mask
_PNG_GREY_ALPHA = 4  # colour type in the header
_MULTI_FRAME = "Multi-Frame"  # of MPO: several views; all other kinds are previews and maps
_WEBP_ROUNDING = 1  # levels by which grey differs between channels after lossy WebP
_LIMIT = threading.Lock()


def open_photograph(path, max_pixels=MAX_PIXELS):
    """Opens a photograph to be restored, with all that the restored one is to keep.

    The EXIF orientation is applied. 16 bits a channel stay 16 (PNG, TIFF, JPEG 2000, HEIC, camera
    raw). Palettes become RGB. CMYK and Lab become sRGB by the embedded profile, CMYK without one by
    Pillow's plain conversion. HEIC needs the extra ``heic``, camera raw the extra ``raw``, which
    develops it with the camera's white balance to 16-bit sRGB.

    Args:
        path: File to read; its content, not its suffix, decides how, except for camera raw.
        max_pixels: More than this many are refused before they are decoded.

    Returns:
        `Photograph`.

    Raises:
        ImageError: The file is missing, changing, broken, too large, not an image, an animation,
            or has several pages.
        ImportError: The file is HEIC or camera raw, and the extra for it is not installed.

    Example:
        >>> import tempfile
        >>> from deblur_keras import images
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = images.write(Path(folder) / "grey.png", np.full((2, 3), 7, "uint8"))
        ...     photograph = open_photograph(path)
        >>> photograph.pixels.shape, photograph.grey, photograph.channels
        ((2, 3, 3), True, 1)

    Note:
        Previews inside a photograph (EXIF and XMP thumbnails, the second pictures of phones' MPO,
        pages that TIFF marks as reduced) show it unrestored and are left out, as are gain maps. So
        are Photoshop's layers, the comments of JPEG, and IPTC outside EXIF and XMP. AVIF of 10 and
        12 bits is read with 8.
    """
    path = Path(path)
    data = read_bytes(path)
    with naming(path, data):
        if raw.is_raw(path, data):
            return raw.develop(data, max_pixels)
        if heic.is_heic(data):
            return heic.decode(data, max_pixels)
        return _open(data, max_pixels)


def check_size(width, height, max_pixels):
    """Refuses more pixels than wanted.

    Args:
        width: Pixels.
        height: Pixels.
        max_pixels: The limit.

    Raises:
        ImageError: There are more.

    Example:
        >>> check_size(6000, 4000, MAX_PIXELS)
    """
    if width * height > max_pixels:
        raise ImageError(
            f"refused: {width}x{height} are {width * height:,} pixels, more than the limit of "
            f"{max_pixels:,}; if the file is trusted, raise it with max_pixels (--max-pixels)"
        )


def assemble(pixels, alpha, channels, about, kind):
    """Makes a `Photograph` of decoded parts.

    Args:
        pixels: uint8 or uint16 array (H, W, 3), upright.
        alpha: Array (H, W) or None.
        channels: Of the file without alpha, 1 or 3.
        about: `metadata.Metadata` as it is in the file.
        kind: Name of the format.

    Returns:
        `Photograph`.
    """
    about = metadata.upright(about, width=pixels.shape[1], height=pixels.shape[0])
    if alpha is not None:
        pixels = colours.continue_under(pixels, alpha)
    tolerance = _WEBP_ROUNDING if kind == "WEBP" else 0
    grey = channels == 1 or colours.is_grey(pixels, tolerance)
    return Photograph(pixels, alpha, grey, channels, *about, format=kind)


def _open(data, max_pixels):
    with _header(data) as picture:
        check_size(*picture.size, max_pixels)
        kind = "JPEG" if picture.format == "MPO" else picture.format
        _refuse_several(picture, data)
        wide = deep.is_16_bit(picture, data)
        if not wide and (picture.mode in ("I", "F") or picture.mode.startswith("I;")):
            raise ValueError(f"pixels of mode {picture.mode}; expected 8 or 16 bits a channel")
        picture.load()  # before OpenCV too, which takes a file that is cut off without complaint
        about = metadata.collect(picture, data)
        if wide:
            pixels, alpha, channels = _deep_parts(picture, data)
        else:
            pixels, alpha, channels, icc = _plain_parts(picture, about.icc)
            about = about._replace(icc=icc)
        turn = _orientation(picture)  # asked after loading, as `plain.read` does
    alpha = None if alpha is None else upright(alpha, turn)
    return assemble(upright(pixels, turn), alpha, channels, about, kind)


def _header(data):
    """Opens a file without Pillow's own limit, which belongs to the whole process."""
    with _LIMIT:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(io.BytesIO(data), formats=READABLE)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _orientation(picture):
    try:
        return picture.getexif().get(tiff.ORIENTATION, 1)
    except BROKEN:  # the EXIF block, which is no reason to refuse the photograph
        return 1


def _plain_parts(picture, icc):
    """Decodes 8 bits: (pixels, alpha or None, channels, profile of the pixels)."""
    if picture.mode in colours.CONVERTED:
        picture, icc = colours.to_srgb(picture, icc)
    channels = 1 if picture.mode in ("1", "L", "LA", "La") else 3
    alpha = None
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        alpha = np.asarray(picture.getchannel("A"))
    colour = picture if picture.mode == "RGB" else picture.convert("RGB")
    return np.asarray(colour), alpha, channels, icc


def _deep_parts(picture, data):
    """Decodes 16 bits: (pixels, alpha or None, channels)."""
    pixels = deep.decode(data, picture.format)
    if pixels.ndim == 2:
        pixels, alpha, channels = np.repeat(pixels[..., None], 3, axis=-1), None, 1
    else:
        grey = picture.format == "PNG" and data[25] == _PNG_GREY_ALPHA
        channels = 1 if grey else 3
        alpha = pixels[..., 3] if pixels.shape[2] == 4 else None
        pixels = pixels[..., :3]
    clear = picture.info.get("transparency") if picture.format == "PNG" else None
    if alpha is None and clear is not None:  # the one colour that a PNG says is transparent
        alpha = np.where((pixels == np.uint16(clear)).all(axis=-1), 0, 65535).astype(np.uint16)
    return pixels, alpha, channels


def _refuse_several(picture, data):
    """Raises where a file holds more photographs than one; previews do not count."""
    if picture.format == "TIFF":
        pages = _tiff_pages(data)
        if pages > 1:
            raise ImageError(
                f"has {pages} pages, and is restored only as one; save each as a file of its own "
                "(tiffsplit does), and restore those"
            )
    elif picture.format == "MPO":
        kinds = [entry["Attribute"]["MPType"] for entry in picture.mpinfo[0xB002]]
        views = sum(kind.startswith(_MULTI_FRAME) for kind in kinds)
        if views:
            raise ImageError(
                f"holds {len(kinds)} views, as 3D cameras make; save each as a file of its own "
                "(exiftool -b -MPImage2 writes the second), and restore those"
            )
    elif getattr(picture, "n_frames", 1) > 1:
        raise ImageError(
            f"is an animation of {picture.n_frames} frames; save each as a file of its own "
            "(ffmpeg -i FILE %04d.png does), and restore those"
        )


def _tiff_pages(data):
    reader = tiff.Reader(data)
    offset, seen, pages, previews = reader.first, set(), 0, []
    while offset and offset not in seen:
        seen.add(offset)
        page = reader.directory(offset)
        kind = (*reader.integers(page.entries.get(tiff.SUBFILE)), 0)[0]
        previews.append(bool(kind & (_REDUCED | _MASK)))
        pages += not previews[-1]
        offset = page.following
    if pages and previews[0]:
        raise ImageError(
            "begins with a preview, as camera raw does; give it the suffix of its kind, such as "
            ".dng, or save the photograph alone"
        )
    return pages
