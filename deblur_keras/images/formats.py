"""Which image formats there are, and the error that names a file."""

FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
}
READABLE = sorted(set(FORMATS.values()))
SUFFIXES = frozenset(FORMATS)
"""The lower-case file name suffixes that `read` and `write` know."""


class ImageError(ValueError):
    """An image that cannot be read, written or found; the message names the file.

    Attributes:
        source: text that only this image has, such as its path, to tell how many are concerned;
            None where that is not known.
    """

    def __init__(self, message, source=None):
        super().__init__(message)
        self.source = None if source is None else str(source)


def known_suffixes():
    """Returns the known suffixes as one line of text, for messages and help."""
    return " ".join(sorted(SUFFIXES))
