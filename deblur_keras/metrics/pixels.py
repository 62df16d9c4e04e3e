"""What every score begins with: pairs of images checked, pixels from network values, luma."""

from keras import ops

from deblur_keras import images

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, of R, G and B


def to_pixels(batch):
    """Rounds images in [-1, 1] to the 256 grey levels that a file can hold.

    Args:
        batch: Images in [-1, 1], float; values outside are clipped.

    Returns:
        A float32 tensor of the same shape that holds whole numbers from 0 to 255, and NaN where
        ``batch`` is not finite.

    Example:
        >>> import numpy as np
        >>> [float(level) for level in to_pixels(np.array([-1.0, 0.1, 3.0], "float32"))]
        [0.0, 140.0, 255.0]
    """
    batch = ops.convert_to_tensor(batch)
    pixels = ops.cast(images.to_uint8(batch), "float32")
    # A cast makes some grey level of NaN, and a broken network would get a score.
    return ops.where(ops.isfinite(batch), pixels, float("nan"))


def prepare(sharp, restored, data_range):
    """Converts both sides to tensors and checks what is known of their shapes.

    Args:
        sharp: Reference images, ``(B, H, W, C)``.
        restored: Images to judge.
        data_range: Difference between the largest and the smallest value that a pixel can take.

    Returns:
        Both as tensors of the types that they came in. A score casts them to float32 before it
        subtracts: uint8 would wrap around.

    Raises:
        ValueError: If the shapes differ or are not ``(B, H, W, C)``, or ``data_range`` is not
            positive.
    """
    if not data_range > 0:
        raise ValueError(f"data_range must be positive, 255 for uint8 pixels; got {data_range!r}.")
    sharp, restored = ops.convert_to_tensor(sharp), ops.convert_to_tensor(restored)
    shapes = tuple(sharp.shape), tuple(restored.shape)
    if any(len(shape) != 4 for shape in shapes):
        raise ValueError(
            f"Expected two batches of images (B, H, W, C); got the shapes {shapes[0]} and "
            f"{shapes[1]}. Give a single image as image[None]."
        )
    if any(None not in sizes and sizes[0] != sizes[1] for sizes in zip(*shapes, strict=True)):
        raise ValueError(f"Both batches must have the same shape; got {shapes[0]} and {shapes[1]}.")
    return sharp, restored


def check_size(batch, least, what):
    """Refuses images that are known to be smaller than a score needs.

    Args:
        batch: Tensor ``(B, H, W, C)``.
        least: Height and width in pixels that are needed.
        what: The score and why it needs them, such as ``"ssim, whose window is that large"``.

    Raises:
        ValueError: If height or width is known to be below ``least``.
    """
    _, height, width, _ = batch.shape
    if any(size is not None and size < least for size in (height, width)):
        raise ValueError(
            f"Expected images of at least {least}x{least} pixels for {what}; got {height}x{width}. "
            "Score such images with psnr or mse."
        )


def check_channels(batch, allowed, what):
    """Refuses a number of channels that a score is not defined for.

    Args:
        batch: Tensor ``(B, H, W, C)``.
        allowed: Numbers of channels that it is defined for; None for any that is known.
        what: Name of the score.

    Raises:
        ValueError: If the number of channels is another, or unknown.
    """
    channels = batch.shape[-1]
    if channels is None:
        raise ValueError(f"{what} needs a known number of channels; got shape {batch.shape}.")
    if allowed is not None and channels not in allowed:
        raise ValueError(
            f"{what} is defined for {' or '.join(map(str, allowed))} channels; got {channels}."
        )


def luma(batch):
    """Computes the luma of RGB images: ``0.299 R + 0.587 G + 0.114 B``, not rounded.

    Args:
        batch: Images ``(B, H, W, 3)`` of any range and type; grey ones, ``(B, H, W, 1)``, are
            returned as they are.

    Returns:
        A float32 tensor ``(B, H, W, 1)`` of the same range.

    Reference:
        Recommendation ITU-R BT.601, section 2.5.1.

    Example:
        >>> import numpy as np
        >>> round(float(luma(np.array([[[[200, 100, 50]]]], "uint8"))[0, 0, 0, 0]), 3)
        124.2
    """
    batch = ops.cast(ops.convert_to_tensor(batch), "float32")
    if batch.shape[-1] == 1:
        return batch
    red, green, blue = ops.split(batch, 3, axis=-1)
    return LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue
