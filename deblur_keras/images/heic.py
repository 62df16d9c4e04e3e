"""Reads and writes HEIC, the photographs of iPhones, with the package pillow-heif."""

import io

import numpy as np

from deblur_keras.images.formats import ImageError
from deblur_keras.images.metadata import Metadata

_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"))
_INSTALL = 'pip install "pillow-heif>=1.1,<2"'


def is_heic(data):
    r"""Says whether bytes are those of a HEIC file.

    Args:
        data: Bytes of a file; AVIF, which is built alike, is none.

    Returns:
        bool.

    Example:
        >>> is_heic(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
        True
    """
    if data[4:8] != b"ftyp":
        return False
    brands = data[8 : min(int.from_bytes(data[:4], "big"), 256)]
    return data[8:12] in _BRANDS and b"avif" not in brands and b"avis" not in brands


def pillow_heif():
    """Imports pillow-heif, which nothing else in the library needs.

    Returns:
        The module.

    Raises:
        ImportError: It is missing; tells how to install it.
    """
    try:
        import pillow_heif
    except ImportError as error:
        raise ImportError(f"HEIC needs pillow-heif: {_INSTALL}") from error
    return pillow_heif


def decode(data, max_pixels):
    """Decodes a HEIC file.

    Args:
        data: Bytes of the file.
        max_pixels: More than this many are refused before they are decoded.

    Returns:
        `Photograph`; with uint16 pixels where the file has more than 8 bits.

    Raises:
        ImageError: It is too large, or holds several photographs.
        ImportError: pillow-heif is missing.
        ValueError: It is broken.
    """
    from deblur_keras.images.opening import assemble, check_size

    file = pillow_heif().open_heif(io.BytesIO(data), convert_hdr_to_8bit=False)
    if len(file) > 1:
        raise ImageError(
            f"holds {len(file)} photographs; save each as a file of its own, and restore those"
        )
    check_size(*file.size, max_pixels)
    pixels = np.asarray(file)  # turned already: HEIC has an orientation of its own, EXIF's is none
    channels = 1 if pixels.ndim == 2 else 3
    alpha = np.ascontiguousarray(pixels[..., 3]) if file.has_alpha else None
    if channels == 1:
        pixels = np.repeat(pixels[..., None], 3, axis=-1)
    info = file.info
    exif = (info.get("exif") or b"").removeprefix(b"Exif\0\0")
    about = Metadata(info.get("icc_profile") or None, exif or None, info.get("xmp") or None)
    return assemble(np.ascontiguousarray(pixels[..., :3]), alpha, channels, about, "HEIF")


def encode(image, quality, about):
    """Encodes a HEIC file, 8-bit pixels with 8 bits and 16-bit ones with 10.

    Colour has half the resolution (4:2:0), as in the files of phones, most of which show no other.

    Args:
        image: uint8 or uint16 array (H, W) or (H, W, 3).
        quality: 1 to 100.
        about: `metadata.Metadata`.

    Returns:
        Bytes of the file.

    Raises:
        ImportError: pillow-heif is missing.
        ValueError: HEIC cannot hold this image.
    """
    mode = ("L" if image.ndim == 2 else "RGB") + (";16" if image.dtype == np.uint16 else "")
    options = {"icc_profile": about.icc, "exif": about.exif, "xmp": about.xmp}
    options = {name: value for name, value in options.items() if value}
    buffer = io.BytesIO()
    size = (image.shape[1], image.shape[0])
    pillow_heif().encode(mode, size, image.tobytes(), buffer, quality=quality, **options)
    return buffer.getvalue()
