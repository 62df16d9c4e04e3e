"""Reads and writes photographs: uint8 RGB on one side, float32 in [-1, 1] on the other.

Every conversion between pixels and network values happens here, and rounds. Reading turns what
cameras and editors write (EXIF orientation, grey, palettes, alpha, 16 bits, CMYK) into one plain
form; writing is atomic, so that an interrupted run never leaves half a file.
"""

import contextlib
import glob
import io
import itertools
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

_FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
}
_READABLE = sorted(set(_FORMATS.values()))
SUFFIXES = frozenset(_FORMATS)
"""The lower-case file name suffixes that `read` and `write` know."""

_BITS_PER_SAMPLE = 258  # TIFF tag
_ORIENTATION = 0x0112  # EXIF tag

# What to do with the stored pixels so that the photograph stands upright, by EXIF orientation.
_UPRIGHT = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(pixels, 2).swapaxes(0, 1),
    8: lambda pixels: np.rot90(pixels),
}


class ImageError(ValueError):
    """An image that cannot be read, written or found; the message names the file.

    Attributes:
        source: text that only this image has, such as its path, to tell how many are concerned;
            None where that is not known.
    """

    def __init__(self, message, source=None):
        super().__init__(message)
        self.source = None if source is None else str(source)


@dataclass(frozen=True)
class Source:
    """A file to work on.

    Attributes:
        path: where the file is.
        relative: its place below the folder it was found in, which an output tree keeps; a bare
            name for a file that was named itself.
    """

    path: Path
    relative: Path


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
    try:
        data = path.read_bytes()
    except OSError as error:  # missing, a folder, no permission
        message = f"{path}: cannot be read: {error.strerror or error}"
        raise ImageError(message, path) from error
    return decode(data, path)


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
    try:
        return _pixels(data)
    except UnidentifiedImageError:
        formats = ", ".join(_READABLE)
        raise ImageError(f"{name}: not an image of a known format ({formats})", name) from None
    except Image.DecompressionBombError as error:
        raise ImageError(
            f"{name}: refused, too many pixels for a photograph ({error}); if the file is "
            "trusted, raise PIL.Image.MAX_IMAGE_PIXELS",
            name,
        ) from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:  # what Pillow's plugins raise
        raise ImageError(f"{name}: broken or unsupported image: {error}", name) from error


def write(path, image, quality=95):
    """Writes an image whole or not at all; the suffix decides the format.

    JPEG keeps the colour at full resolution (4:4:4).

    Args:
        path: file to write; an existing one is replaced, folders above it are made.
        image: uint8 array, (H, W, 3) RGB or (H, W) grey.
        quality: 1 to 100, for JPEG and WebP; the other formats are lossless.

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
    kind = _FORMATS.get(path.suffix.lower())
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
    options = {
        "JPEG": {"quality": quality, "subsampling": 0},
        "WEBP": {"quality": quality},
        "TIFF": {"compression": "tiff_lzw"},
    }
    buffer = io.BytesIO()
    try:
        picture = Image.fromarray(np.ascontiguousarray(image))
        picture.save(buffer, format=kind, **options.get(kind, {}))
        return write_bytes(path, buffer.getbuffer())
    except OSError as error:
        raise ImageError(f"{path}: cannot be written: {error.strerror or error}") from error
    except ValueError as error:  # an encoder's own limits, such as WebP's 16383 pixels a side
        raise ImageError(f"{path}: {kind} cannot hold this image: {error}") from error


def write_bytes(path, data):
    """Writes bytes to a file whole or not at all, making the folders above it.

    Args:
        path: file to write; an existing one is replaced.
        data: bytes-like object.

    Returns:
        The path written, a `pathlib.Path`.

    Raises:
        OSError: the file system refuses.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_bytes(Path(folder) / "new" / "scores.json", b"{}").read_bytes()
        b'{}'
    """
    path = Path(path)
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)
    return path


@contextlib.contextmanager
def atomic_path(path):
    r"""Gives a temporary path that becomes `path` when the block ends well.

    The temporary file lies in the same folder (the folders above are made), has a hidden name and
    the same suffix, and the permissions that any new file gets. When the block raises, Ctrl-C
    included, it is removed and `path` is as it was before.

    Args:
        path: the file that is to exist afterwards; an existing one is replaced.

    Yields:
        `pathlib.Path` of the (empty) temporary file to write to.

    Raises:
        OSError: the file system refuses.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with atomic_path(Path(folder) / "table.csv") as temporary:
        ...         _ = temporary.write_text("name,psnr\n")
        ...     [file.name for file in Path(folder).iterdir()]
        ['table.csv']
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".deblur-{secrets.token_hex(8)}{path.suffix}"
    # Not tempfile.mkstemp: its files are private (0600); 0666 lets the umask decide as usual.
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield temporary
        os.replace(temporary, path)  # noqa: PTH105 - Path.replace is the same call
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def to_float(image):
    """Converts 8-bit pixels to the values that the networks take, `pixel / 127.5 - 1`.

    Args:
        image: uint8 in [0, 255], any shape; a NumPy array, or a tensor of the Keras backend.

    Returns:
        float32 in [-1, 1], same shape and kind as `image`.

    Raises:
        ValueError: not uint8.

    Example:
        >>> to_float(np.array([0, 255], "uint8")).tolist()
        [-1.0, 1.0]
    """
    if _dtype(image) != "uint8":
        raise ValueError(
            f"to_float expects uint8 pixels in [0, 255], got {_dtype(image)}; round and cast first"
        )
    if isinstance(image, np.ndarray | np.generic):
        return image.astype(np.float32) / np.float32(127.5) - np.float32(1)
    import keras

    return keras.ops.cast(image, "float32") / 127.5 - 1.0


def to_uint8(image):
    """Converts network values to 8-bit pixels: rounded to the nearest level, then clipped.

    Args:
        image: floating point, nominally in [-1, 1], any shape; a NumPy array, or a tensor of the
            Keras backend.

    Returns:
        uint8 in [0, 255], same shape and kind as `image`.

    Raises:
        ValueError: not floating point.

    Example:
        >>> to_uint8(np.array([-1.0, 0.0, 0.999, 3.0], "float32")).tolist()
        [0, 128, 255, 255]
    """
    if "float" not in _dtype(image):
        raise ValueError(
            f"to_uint8 expects floating-point values in [-1, 1], got {_dtype(image)}; pixels that "
            "are uint8 already need no conversion"
        )
    if isinstance(image, np.ndarray | np.generic):
        levels = np.rint((image.astype(np.float32) + np.float32(1)) * np.float32(127.5))
        return np.clip(levels, 0, 255).astype(np.uint8)
    import keras

    levels = keras.ops.round((keras.ops.cast(image, "float32") + 1.0) * 127.5)
    return keras.ops.cast(keras.ops.clip(levels, 0, 255), "uint8")


def resize(image, scale):
    """Resizes an image: by averaging over areas when smaller, bicubically when larger.

    One rule for training and scoring, so that "halved" means the same pixels in both.

    Args:
        image: uint8 array (H, W, 3).
        scale: positive factor on both sides.

    Returns:
        uint8 array, each side the nearest whole number of pixels and at least 1; `image` itself
        when the factor is 1.

    Example:
        >>> resize(np.zeros((5, 8, 3), "uint8"), 0.5).shape
        (2, 4, 3)
    """
    if scale == 1:
        return image
    import cv2

    height, width = (max(round(side * scale), 1) for side in image.shape[:2])
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(np.ascontiguousarray(image), (width, height), interpolation=kind)


def find(paths, suffixes=SUFFIXES):
    """Lists the files that are meant by files, folders and patterns, in a steady order.

    Folders are searched to the bottom, in sorted order, without hidden entries and without
    following links to folders. A pattern (`photos/*/blur`, `**` too) is expanded here, for
    callers whose shell did not. A file reached twice is listed once.

    Args:
        paths: a path or an iterable of paths, `str` or `pathlib.Path`.
        suffixes: the lower-case suffixes to list; None lists every file.

    Returns:
        List of `Source`, relative to the folder given or to the part of a pattern before `*`.

    Raises:
        ImageError: something given does not exist, or a pattern matches nothing.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = write_bytes(Path(folder) / "trip" / "a.jpg", b"")
        ...     _ = write_bytes(Path(folder) / "notes.txt", b"")
        ...     [source.relative.as_posix() for source in find(folder)]
        ['trip/a.jpg']
    """
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    found, missing = {}, []
    for given in paths:
        sources = _expand(Path(given))
        if sources is None:
            missing.append(str(given))
            continue
        for source in sources:
            if suffixes is None or source.path.suffix.lower() in suffixes:
                found.setdefault(os.path.abspath(source.path), source)  # noqa: PTH100 - keeps links
    if missing:
        names = ", ".join(missing)
        raise ImageError(f"not found: {names}; expected files, folders or patterns that match some")
    return list(found.values())


def known_suffixes():
    """Returns the known suffixes as one line of text, for messages and help."""
    return " ".join(sorted(SUFFIXES))


def _dtype(image):
    """Name of the element type of an array, or of a tensor of any backend (`torch.uint8` too)."""
    return str(getattr(image.dtype, "name", image.dtype)).rpartition(".")[2]


def _expand(given):
    """Sources meant by one path or pattern; None when there is nothing there."""
    if given.is_dir():
        return _walk(given, given)
    if given.exists():
        return [Source(given, Path(given.name))]
    if not glob.has_magic(str(given)):
        return None
    # Not Path.glob, which also matches hidden names.
    matches = sorted(map(Path, glob.glob(str(given), recursive=True)))  # noqa: PTH207
    plain = itertools.takewhile(lambda part: not glob.has_magic(part), given.parts)
    root, sources = Path(*plain), []
    for match in matches:
        if match.is_dir():
            sources += _walk(match, root)
        else:
            sources.append(Source(match, match.relative_to(root)))
    return sources if matches else None


def _walk(folder, root):
    """Files below `folder`, sorted, hidden ones left out, named relative to `root`."""
    sources = []
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                path = Path(parent, name)
                sources.append(Source(path, path.relative_to(root)))
    return sources


def _pixels(data):
    """Pixels of an encoded image: uint8 (H, W, 3), upright."""
    with Image.open(io.BytesIO(data), formats=_READABLE) as picture:
        wide = _is_16_bit(picture, data)
        if not wide and (picture.mode in ("I", "F") or picture.mode.startswith("I;")):
            raise ValueError(f"pixels of mode {picture.mode}; expected 8 or 16 bits a channel")
        picture.load()  # before OpenCV too, which takes a file that is cut off without complaint
        if wide:
            pixels = _decode_16_bit(data)
        else:  # convert would copy RGB too, for some percent of the time that decoding takes
            pixels = np.asarray(picture if picture.mode == "RGB" else picture.convert("RGB"))
        # Asked after loading: PNG may keep its EXIF behind the pixels, and the pixels of a TIFF
        # have been turned, and its tag dropped, by now.
        turn = _UPRIGHT.get(picture.getexif().get(_ORIENTATION), lambda same: same)
        return np.ascontiguousarray(turn(pixels))


def _is_16_bit(picture, data):
    if picture.format == "PNG":
        return data[24] == 16  # the IHDR chunk's bit depth
    if picture.format == "TIFF" and picture.mode != "CMYK":
        return set(picture.tag_v2.get(_BITS_PER_SAMPLE, (1,))) == {16}
    return False


def _decode_16_bit(data):
    """Rounds 16 bits to 8; Pillow would cut colours off at the high byte, OpenCV keeps all bits."""
    import cv2

    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        raise ValueError("cannot decode its 16-bit pixels")
    pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if pixels.ndim == 2:
        return np.repeat(pixels[..., None], 3, axis=-1)
    return pixels[..., 2::-1]  # BGR or BGRA -> RGB
