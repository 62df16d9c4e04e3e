"""Converts between pixels and the values that networks take, turns and resizes."""

import numpy as np

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


def to_float(image):
    """Converts pixels to the values that the networks take, `pixel / 127.5 - 1` for 8 bits.

    Args:
        image: uint8 in [0, 255] or uint16 in [0, 65535], any shape; a NumPy array, or a tensor of
            the Keras backend.

    Returns:
        float32 in [-1, 1], same shape and kind as `image`.

    Raises:
        ValueError: neither uint8 nor uint16.

    Example:
        >>> to_float(np.array([0, 255], "uint8")).tolist()
        [-1.0, 1.0]
    """
    middle = {"uint8": 127.5, "uint16": 32767.5}.get(_dtype(image))
    if middle is None:
        raise ValueError(
            f"to_float expects uint8 pixels in [0, 255] or uint16 in [0, 65535], got "
            f"{_dtype(image)}; round and cast first"
        )
    if isinstance(image, np.ndarray | np.generic):
        return image.astype(np.float32) / np.float32(middle) - np.float32(1)
    import keras

    return keras.ops.cast(image, "float32") / middle - 1.0


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


def to_uint16(image):
    """Converts network values to 16-bit pixels: rounded to the nearest level, then clipped.

    Args:
        image: as in `to_uint8`.

    Returns:
        uint16 in [0, 65535], same shape and kind as `image`.

    Raises:
        ValueError: not floating point.

    Example:
        >>> to_uint16(np.array([-1.0, 0.0, 0.999, 3.0], "float32")).tolist()
        [0, 32768, 65502, 65535]
    """
    if "float" not in _dtype(image):
        raise ValueError(
            f"to_uint16 expects floating-point values in [-1, 1], got {_dtype(image)}; pixels that "
            "are uint16 already need no conversion"
        )
    if isinstance(image, np.ndarray | np.generic):
        levels = np.rint((image.astype(np.float32) + np.float32(1)) * np.float32(32767.5))
        return np.clip(levels, 0, 65535).astype(np.uint16)
    import keras

    levels = keras.ops.round((keras.ops.cast(image, "float32") + 1.0) * 32767.5)
    return keras.ops.cast(keras.ops.clip(levels, 0, 65535), "uint16")


def to_8_bits(image):
    """Rounds 16-bit pixels to the nearest of the 256 levels; 8-bit ones are returned as they are.

    Args:
        image: uint16 in [0, 65535] or uint8 in [0, 255], any shape.

    Returns:
        uint8 array of the same shape.

    Example:
        >>> to_8_bits(np.array([0, 128, 129, 65535], "uint16")).tolist()
        [0, 0, 1, 255]
    """
    if image.dtype == np.uint8:
        return image
    return ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)


def upright(pixels, orientation):
    """Turns and mirrors stored pixels so that the photograph stands upright.

    Args:
        pixels: array (H, W) or (H, W, C).
        orientation: EXIF's, 1 to 8; any other leaves the pixels as they are.

    Returns:
        Contiguous array, (W, H, ...) for orientations from 5.

    Example:
        >>> upright(np.array([[1, 2]]), 6).tolist()
        [[1], [2]]
    """
    return np.ascontiguousarray(_UPRIGHT.get(orientation, lambda same: same)(pixels))


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


def _dtype(image):
    """Name of the element type of an array, or of a tensor of any backend (`torch.uint8` too)."""
    return str(getattr(image.dtype, "name", image.dtype)).rpartition(".")[2]
