"""Which image formats there are, what each can hold, and the error that names a file."""

import contextlib
import struct

FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
    ".avif": "AVIF",
    ".jp2": "JPEG2000",
    ".j2k": "JPEG2000",
}
READABLE = sorted(set(FORMATS.values()))
SUFFIXES = frozenset(FORMATS)
"""The lower-case file name suffixes that `read` and `write` know."""

HEIC_SUFFIXES = frozenset((".heic", ".heif"))
RAW_SUFFIXES = frozenset(
    (
        *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".iiq", ".kdc", ".mef"),
        *(".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".rwl", ".sr2", ".srf"),
        *(".srw", ".x3f"),
    )
)
"""The lower-case file name suffixes of camera raw, which is read only."""
PHOTOGRAPH_SUFFIXES = SUFFIXES | HEIC_SUFFIXES | RAW_SUFFIXES
"""The lower-case file name suffixes that `open_photograph` knows."""
RESULT_SUFFIXES = SUFFIXES | HEIC_SUFFIXES
"""The lower-case file name suffixes that `save_photograph` knows."""

_FEATURES = {"AVIF": "avif", "WEBP": "webp", "JPEG2000": "jpg_2000"}  # parts of Pillow
# What the files of a format that Pillow may lack begin with: where, and which bytes.
_SIGNATURES = {
    "AVIF": ((4, b"ftypavif"), (4, b"ftypavis")),
    "WEBP": ((8, b"WEBP"),),
    "JPEG2000": ((4, b"jP  "), (0, b"\xff\x4f\xff\x51")),
}
# What Pillow's plugins and OpenCV raise on bytes that are broken in one way or another.
BROKEN = (
    *(OSError, SyntaxError, ValueError, EOFError, LookupError, OverflowError, RuntimeError),
    *(TypeError, ZeroDivisionError, struct.error),
)


class ImageError(ValueError):
    """An image that cannot be read, written or found; the message names the file.

    Attributes:
        source: text that only this image has, such as its path, to tell how many are concerned;
            None where that is not known.
    """

    def __init__(self, message, source=None):
        super().__init__(message)
        self.source = None if source is None else str(source)


def known_suffixes(suffixes=SUFFIXES):
    """Returns the known suffixes as one line of text, for messages and help.

    Args:
        suffixes: Those to name.

    Returns:
        str.

    Example:
        >>> known_suffixes([".png", ".jpg"])
        '.jpg .png'
    """
    return " ".join(sorted(suffixes))


def require(kind):
    """Checks that this Pillow can read and write a format.

    Args:
        kind: Pillow's name of a format.

    Raises:
        ValueError: It cannot; the message says how to get one that can.

    Example:
        >>> require("PNG")
    """
    from PIL import features

    if kind in _FEATURES and not features.check(_FEATURES[kind]):
        raise ValueError(
            f"this Pillow was built without {kind}; the one from PyPI has it: "
            "pip install --upgrade --force-reinstall --only-binary :all: pillow"
        )


@contextlib.contextmanager
def naming(name, data):
    """Turns what decoders raise on bytes into an `ImageError` that names the file.

    Args:
        name: What to call the image, such as its path.
        data: Its bytes.

    Yields:
        Nothing.

    Raises:
        ImageError: Something in the block failed on these bytes.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        yield
    except UnidentifiedImageError:
        raise ImageError(f"{name}: {_unknown(data)}", name) from None
    except Image.DecompressionBombError as error:
        raise ImageError(
            f"{name}: refused, too many pixels for a photograph ({error}); if the file is "
            "trusted, raise PIL.Image.MAX_IMAGE_PIXELS",
            name,
        ) from None
    except ImageError as error:
        raise ImageError(f"{name}: {error}", name) from error.__cause__
    except BROKEN as error:
        raise ImageError(f"{name}: broken or unsupported image: {error}", name) from error


def _unknown(data):
    if not data:
        return "is empty; copy it again"
    for kind, signatures in _SIGNATURES.items():
        if any(data[at:].startswith(bytes_) for at, bytes_ in signatures):
            try:
                require(kind)
            except ValueError as error:
                return str(error)
    if data[:4] in (b"II*\0", b"MM\0*"):
        return (
            "is a TIFF of a kind that is not known here, such as one of floating-point values; "
            "save it with 8 or 16 bits a channel"
        )
    return f"not an image of a known format ({', '.join(READABLE)})"
