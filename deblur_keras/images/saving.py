"""Saves restored photographs with all that the blurred ones had."""

from pathlib import Path

import numpy as np

from deblur_keras.images import colours, encoding, heic
from deblur_keras.images.atomic import write_bytes
from deblur_keras.images.files import reason
from deblur_keras.images.formats import (
    FORMATS,
    HEIC_SUFFIXES,
    RESULT_SUFFIXES,
    ImageError,
    known_suffixes,
    require,
)
from deblur_keras.images.values import to_8_bits


def save_photograph(path, photograph, quality=95):
    """Writes a photograph whole or not at all; the suffix decides the format.

    Colour profile, EXIF and XMP are written into every format but BMP and bare JPEG 2000
    codestreams (``.j2k``). 16 bits a channel stay 16 in PNG, TIFF and JPEG 2000 and become 10 in
    HEIC; in all other formats they are rounded to 8. A file that had one channel gets one again.

    Args:
        path: File to write; an existing one is replaced, folders above it are made.
        photograph: `Photograph`.
        quality: 1 to 100, for JPEG, WebP, AVIF and HEIC; the other formats are lossless, and alpha
            is in all.

    Returns:
        The path written, a `pathlib.Path`.

    Raises:
        ImageError: Unknown suffix, transparency that the format cannot keep, more pixels or
            metadata than it can hold, or a file system that refuses.
        ImportError: The format is HEIC, and the extra for it is not installed.

    Example:
        >>> import tempfile
        >>> from deblur_keras import images
        >>> photograph = images.Photograph(np.zeros((8, 8, 3), "uint16"), grey=True, channels=1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = save_photograph(Path(folder) / "black.tif", photograph)
        ...     images.open_photograph(path).pixels.dtype
        dtype('uint16')

    Note:
        One channel becomes three equal ones in WebP always, in AVIF beside alpha, and in 16-bit
        files beside alpha. A profile for grey is then converted to sRGB, or left out at 16 bits.
    """
    path = Path(path)
    kind = check_saving(path, photograph)
    if not 1 <= quality <= 100:
        raise ImageError(f"{path}: quality must be 1 to 100, got {quality}")
    bare = path.suffix.lower() == ".j2k"
    try:
        image, about = _arrange(kind, photograph)
        data = encoding.encode(kind, image, quality, about, codestream=bare)
        return write_bytes(path, data)
    except OSError as error:
        raise ImageError(f"{path}: cannot be written: {reason(error)}") from error
    except (ValueError, RuntimeError) as error:  # an encoder's own limits
        raise ImageError(
            f"{path}: {kind} cannot hold this photograph: {error}; PNG and TIFF hold most"
        ) from error


def check_saving(path, photograph=None):
    """Checks that a photograph can be written under a name, before it is restored.

    Args:
        path: File to write.
        photograph: `Photograph`; None checks the name alone.

    Returns:
        Pillow's name of the format.

    Raises:
        ImageError: As `save_photograph` says.
        ImportError: The format is HEIC, and the extra for it is not installed.

    Example:
        >>> check_saving("photo.JPG")
        'JPEG'
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in RESULT_SUFFIXES:
        raise ImageError(
            f"{path}: cannot write the suffix {path.suffix!r}; use one of "
            f"{known_suffixes(RESULT_SUFFIXES)}"
        )
    kind = "HEIF" if suffix in HEIC_SUFFIXES else FORMATS[suffix]
    if kind == "HEIF":
        heic.pillow_heif()
    try:
        require(kind)
    except ValueError as error:
        raise ImageError(f"{path}: cannot be written: {error}") from None
    if photograph and _is_transparent(photograph) and not encoding.holds_alpha(kind):
        raise ImageError(
            f"{path}: the photograph has transparent parts, which {kind} does not keep; write PNG, "
            "TIFF, WebP, AVIF or JPEG 2000 (--format)"
        )
    return kind


def _is_transparent(photograph):
    alpha = photograph.alpha
    return alpha is not None and (alpha != np.iinfo(alpha.dtype).max).any()


def _arrange(kind, photograph):
    """Chooses depth and channels: (array as `encoding.encode` takes it, metadata that fits)."""
    pixels, alpha = photograph.pixels, photograph.alpha
    if not encoding.holds_deep(kind):
        pixels = to_8_bits(pixels)
        alpha = None if alpha is None else to_8_bits(alpha)
    if not encoding.holds_alpha(kind):
        alpha = None
    deep = pixels.dtype == np.uint16
    about = photograph.metadata
    one = photograph.grey and photograph.channels == 1
    if one and encoding.holds_grey(kind, deep, alpha is not None):
        pixels = pixels[..., :1]
    elif about.icc and colours.channels_of(about.icc) == 1:
        icc = None
        if not deep:
            pixels, icc = colours.grey_to_srgb(pixels, about.icc)
        about = about._replace(icc=icc)
    image = pixels if alpha is None else np.concatenate([pixels, alpha[..., None]], axis=-1)
    return image[..., 0] if image.shape[2] == 1 else image, about
