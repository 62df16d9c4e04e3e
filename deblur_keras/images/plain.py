"""Reads and writes photographs as plain 8-bit RGB: what training, scoring and reports work on."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from deblur_keras.images import deep, tiff
from deblur_keras.images.atomic import write_bytes
from deblur_keras.images.encoding import encode
from deblur_keras.images.files import read_bytes, reason
from deblur_keras.images.formats import (
    FORMATS,
    READABLE,
    ImageError,
    known_suffixes,
    naming,
    require,
)
from deblur_keras.images.values import to_8_bits, upright


def read(path):
    """Reads a photograph as 8-bit RGB.

    The EXIF orientation is applied, grey becomes three equal channels, alpha is dropped and the
    colours under it kept, 16 bits are rounded to 8. Of a file with several pages or frames the
    first is read. JPEG is decoded with libjpeg's accurate integer transform.

    Args:
        path: file to read; its content, not its suffix, decides how.

    Returns:
        uint8 array of shape (H, W, 3), RGB.

    Raises:
        ImageError: the file is missing, broken, too large to be a photograph, not an image, or of
            a kind that has no plain 8-bit form (32-bit and floating-point TIFF).

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     read(write(Path(folder) / "grey.png", np.full((2, 3), 7, "uint8"))).shape
        (2, 3, 3)
    """
    path = Path(path)
    return decode(read_bytes(path), path)


def decode(data, name):
    """Makes 8-bit RGB of the bytes of an image file, as `read` does.

    Args:
        data: bytes of the whole file; they decide how they are read, no suffix does.
        name: what to call the image in an error, such as its path; two images want two names.

    Returns:
        uint8 array of shape (H, W, 3), RGB.

    Raises:
        ImageError: as `read` says.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     data = write(Path(folder) / "1.png", np.full((2, 3), 7, "uint8")).read_bytes()
        >>> decode(data, "a grey image").shape
        (2, 3, 3)
    """
    with naming(name, data):
        return _pixels(data)


def write(path, image, quality=95):
    """Writes an image whole or not at all; the suffix decides the format.

    JPEG and AVIF keep the colour at full resolution (4:4:4).

    Args:
        path: file to write; an existing one is replaced, folders above it are made.
        image: uint8 array, (H, W, 3) RGB or (H, W) grey.
        quality: 1 to 100, for JPEG, WebP and AVIF; the other formats are lossless.

    Returns:
        The path written, a `pathlib.Path`.

    Raises:
        ImageError: unknown suffix, an array that is no 8-bit image, or a file system that refuses.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write(Path(folder) / "black.jpg", np.zeros((8, 8, 3), "uint8"), quality=90).name
        'black.jpg'
    """
    path = Path(path)
    suffix = path.suffix.lower()
    kind = FORMATS.get(suffix)
    if kind is None:
        raise ImageError(
            f"{path}: cannot write the suffix {path.suffix!r}; use one of {known_suffixes()}"
        )
    image = np.asarray(image)
    if (
        image.dtype != np.uint8
        or not (image.ndim == 2 or image.shape[2:] == (3,))
        or not image.size
    ):
        raise ImageError(
            f"{path}: expected a non-empty uint8 array (H, W, 3) or (H, W) to write, got "
            f"{image.dtype} {image.shape}; images.to_uint8 converts network values"
        )
    if not 1 <= quality <= 100:
        raise ImageError(f"{path}: quality must be 1 to 100, got {quality}")
    try:
        require(kind)
        return write_bytes(path, encode(kind, image, quality, codestream=suffix == ".j2k"))
    except OSError as error:
        raise ImageError(f"{path}: cannot be written: {reason(error)}") from error
    except ValueError as error:  # an encoder's own limits, such as WebP's 16383 pixels a side
        raise ImageError(f"{path}: {kind} cannot hold this image: {error}") from error


def _pixels(data):
    """Pixels of an encoded image: uint8 (H, W, 3), upright."""
    with Image.open(io.BytesIO(data), formats=READABLE) as picture:
        wide = deep.is_16_bit(picture, data)
        if not wide and (picture.mode in ("I", "F") or picture.mode.startswith("I;")):
            raise ValueError(f"pixels of mode {picture.mode}; expected 8 or 16 bits a channel")
        picture.load()  # before OpenCV too, which takes a file that is cut off without complaint
        if wide:
            pixels = _rounded(data, picture.format)
        else:  # convert would copy RGB too, for some percent of the time that decoding takes
            pixels = np.asarray(picture if picture.mode == "RGB" else picture.convert("RGB"))
        # Asked after loading: PNG may keep its EXIF behind the pixels, and the pixels of a TIFF
        # have been turned, and its tag dropped, by now.
        return upright(pixels, picture.getexif().get(tiff.ORIENTATION, 1))


def _rounded(data, kind):
    """Decodes 16 bits a channel to 8: uint8 (H, W, 3)."""
    pixels = to_8_bits(deep.decode(data, kind))
    if pixels.ndim == 2:
        return np.repeat(pixels[..., None], 3, axis=-1)
    return pixels[..., :3]
