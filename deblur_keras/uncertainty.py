"""Pictures of how sure a network is: the spread of its samples as a coloured PNG with a scale."""

import io
import math
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from deblur_keras import images

_KEYS = {"scale": "Uncertainty scale", "mean": "Uncertainty mean", "samples": "Uncertainty samples"}
_COVERED = 99.9  # per cent of the pixels that the scale must cover
_WIDEST = 128  # grey levels; no standard deviation of values in 0 to 255 is above 127.5


def uncertainty_path(result):
    """Names the uncertainty map of a restored photograph, which lies beside it.

    Args:
        result: Path of the restored photograph.

    Returns:
        `pathlib.Path`.

    Example:
        >>> uncertainty_path("out/photo-restored.jpg").name
        'photo-restored-uncertainty.png'
    """
    result = Path(result)
    return result.with_name(f"{result.stem}-uncertainty.png")


def write_uncertainty(path, spread, samples, white=255):
    """Writes the spread of samples as a coloured PNG file, whole or not at all.

    Each pixel is the root mean square of its three channels' spreads, from black (none) over violet
    and orange to pale yellow, which is the scale's end and all above it. That end is 1, 2, 4, ...
    or 128 grey levels of 255, the first that covers 99.9 % of the pixels; it is written
    into the file, as text. The picture has a palette, so that its indices are the values:
    ``spread = index / 255 * scale``.

    Args:
        path: File to write; an existing one is replaced, folders above it are made.
        spread: Array ``(H, W, 3)``, standard deviations in levels of the photograph.
        samples: Number of samples that it is of, for the text.
        white: Highest level of the photograph, 255 or 65535.

    Returns:
        The path written, a `pathlib.Path`.

    Raises:
        ValueError: If the spread is not such an array, negative somewhere or not finite.
        images.ImageError: If the file system refuses.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "photo-uncertainty.png"
        ...     spread, scale = read_uncertainty(write_uncertainty(path, np.full((2, 4, 3), 3), 8))
        >>> scale, spread.shape, round(spread[0, 0].item(), 1)
        (4.0, (2, 4), 3.0)
    """
    path = Path(path)
    spread = np.asarray(spread, np.float32)
    if spread.ndim != 3 or spread.shape[2] != 3 or not spread.size:
        raise ValueError(f"expected a non-empty spread of shape (H, W, 3), got {spread.shape}")
    levels = np.sqrt(np.mean(np.square(spread), axis=-1)) * np.float32(255 / white)
    if not np.isfinite(levels).all() or (spread < 0).any():
        raise ValueError("expected a spread that is finite and nowhere negative")
    scale = _scale(float(np.percentile(levels, _COVERED)))
    picture = Image.fromarray(np.rint(np.minimum(levels / scale, 1) * 255).astype(np.uint8))
    picture.putpalette(_palette().tobytes())
    text = PngImagePlugin.PngInfo()
    text.add_text(
        "Description",
        f"Where a restored photograph is uncertain: standard deviation of {samples} samples, in "
        f"grey levels of 255. Palette index i stands for i / 255 * {scale:g}; the brightest colour "
        f"for {scale:g} and more.",
    )
    facts = {"scale": f"{scale:g}", "mean": f"{levels.mean():.6g}", "samples": str(samples)}
    for name, value in facts.items():
        text.add_text(_KEYS[name], value)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", pnginfo=text)
    try:
        return images.write_bytes(path, buffer.getbuffer())
    except OSError as error:
        raise images.ImageError(f"{path}: cannot be written: {error.strerror or error}") from error


def read_uncertainty(path):
    """Reads the values behind a picture that `write_uncertainty` wrote.

    Args:
        path: File to read.

    Returns:
        ``(spread, scale)``: float32 ``(H, W)`` in grey levels of 255, to half of ``scale / 255``,
        and the value of the brightest colour, which stands for all above it too.

    Raises:
        images.ImageError: If it is not such a picture.

    Example:
        See `write_uncertainty`.
    """
    picture, facts = _open(path)
    with picture:
        index = np.asarray(picture)
    return index * np.float32(facts["scale"] / 255), facts["scale"]


def uncertainty_facts(path):
    """Reads what stands in an uncertainty map beside its pixels, without decoding these.

    Args:
        path: File to read.

    Returns:
        Dictionary of ``scale``, the value of the brightest colour, and ``mean``, that of the whole
        picture, both in grey levels of 255; and ``samples``, their number.

    Raises:
        images.ImageError: If it is not a picture that `write_uncertainty` wrote.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = write_uncertainty(Path(folder) / "1.png", np.full((2, 4, 3), 3.0), samples=8)
        ...     uncertainty_facts(path)
        {'scale': 4.0, 'mean': 3.0, 'samples': 8}
    """
    picture, facts = _open(path)
    picture.close()
    return facts


def _open(path):
    try:
        # Not Image.open, which refuses large pictures: this one is ours.
        picture = PngImagePlugin.PngImageFile(path)
    except (OSError, SyntaxError) as error:
        reason = getattr(error, "strerror", None) or error
        raise images.ImageError(f"{path}: cannot be read as PNG: {reason}", path) from error
    try:
        found = {name: float(picture.info[key]) for name, key in _KEYS.items()}
    except (KeyError, ValueError) as error:
        picture.close()
        raise images.ImageError(
            f"{path}: not an uncertainty map; expected a PNG file with the text {_KEYS['scale']!r}",
            path,
        ) from error
    return picture, {**found, "samples": int(found["samples"])}


def _scale(level):
    """The first of 1, 2, 4, ... 128 that is not below a level."""
    return float(min(2 ** max(math.ceil(math.log2(level)), 0), _WIDEST)) if level > 0 else 1.0


def _palette():
    """256 colours of the map "inferno", (256, 3) RGB: brighter means more, for colour-blind too."""
    import cv2

    ramp = np.arange(256, dtype=np.uint8)[:, None]
    return cv2.applyColorMap(ramp, cv2.COLORMAP_INFERNO)[:, 0, ::-1]
