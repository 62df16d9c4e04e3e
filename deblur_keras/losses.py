"""Content losses: how far a restored image lies from the sharp one.

Each is a pure function ``(sharp, restored) -> (B,)``, one value an image, with one thin
``keras.losses`` class over all of them for ``generator.compile(loss=...)``. The feature distance is
in `deblur_keras.perceptual`.
"""

import keras
from keras import ops


def mean_squared_error(sharp, restored):
    """Computes the mean squared difference of each image: ``mean((sharp - restored)^2)``.

    Args:
        sharp: ``(B, H, W, C)``, any range.
        restored: ``(B, H, W, C)``, the same range.

    Returns:
        ``(B,)``, float32.
    """
    return _image_mean(ops.square(_difference(sharp, restored)))


def mean_absolute_error(sharp, restored):
    """Computes the mean absolute difference of each image: ``mean(|sharp - restored|)``.

    Args:
        sharp: ``(B, H, W, C)``, any range.
        restored: ``(B, H, W, C)``, the same range.

    Returns:
        ``(B,)``, float32.
    """
    return _image_mean(ops.abs(_difference(sharp, restored)))


def charbonnier(sharp, restored, epsilon=1e-3):
    """Computes the smoothed absolute difference: ``mean(sqrt((sharp - restored)^2 + epsilon^2))``.

    Args:
        sharp: ``(B, H, W, C)``, any range.
        restored: ``(B, H, W, C)``, the same range.
        epsilon: Where the curve turns from square to straight, in the images' unit.

    Returns:
        ``(B,)``, float32; ``epsilon`` for equal images.

    Reference:
        Lai et al., "Deep Laplacian Pyramid Networks", equation 3.
    """
    square = ops.square(_difference(sharp, restored))
    return _image_mean(ops.sqrt(square + epsilon**2))


def negative_psnr(sharp, restored, data_range=2.0):
    """Computes minus the PSNR of each image: ``10 log10(mse / data_range^2)``, in dB.

    Its gradient weighs each image by the inverse of its error, so that photographs with little blur
    count as much as those with much.

    Args:
        sharp: ``(B, H, W, C)``, any range.
        restored: ``(B, H, W, C)``, the same range.
        data_range: Width of the range; 2 for images in [-1, 1].

    Returns:
        ``(B,)``, float32; at least -80, which equal images reach.

    Reference:
        Chen et al., "HINet: Half Instance Normalization Network for Image Restoration".
    """
    relative = mean_squared_error(sharp, restored) / data_range**2
    return 10.0 * ops.log10(relative + 1e-8)


CONTENT_LOSSES = {
    "mse": mean_squared_error,
    "mae": mean_absolute_error,
    "charbonnier": charbonnier,
    "negative_psnr": negative_psnr,
}


def get(content):
    """Finds a content loss by name.

    Args:
        content: ``"mse"``, ``"mae"``, ``"charbonnier"``, ``"negative_psnr"``, or a callable
            ``(sharp, restored) -> (B,)``, such as a `deblur_keras.PerceptualLoss`, which is
            returned as it is.

    Returns:
        A callable ``(sharp, restored) -> (B,)``.

    Raises:
        ValueError: If the name is unknown.
    """
    if callable(content):
        return content
    if content in CONTENT_LOSSES:
        return CONTENT_LOSSES[content]
    raise ValueError(
        f"content must be one of {', '.join(map(repr, sorted(CONTENT_LOSSES)))}, or a callable "
        f"(sharp, restored) -> (batch,); received {content!r}."
    )


@keras.saving.register_keras_serializable("deblur_keras")
class ImageLoss(keras.losses.Loss):
    """Averages a content loss over a batch, for ``generator.compile(loss=ImageLoss("mae"))``.

    Args:
        content: A name that `get` knows.
        name: Name of the loss; the content's by default.
        reduction: As in ``keras.losses.Loss``.

    Raises:
        ValueError: If the name is unknown.
    """

    def __init__(self, content, name=None, reduction="sum_over_batch_size"):
        super().__init__(name=name or content, reduction=reduction)
        self.content = content
        self._function = get(content)

    def call(self, y_true, y_pred):
        """Computes one value an image, ``(B,)``."""
        return self._function(y_true, y_pred)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {"content": self.content, "name": self.name, "reduction": self.reduction}


def _difference(sharp, restored):
    return ops.cast(sharp, "float32") - ops.cast(restored, "float32")


def _image_mean(values):
    return ops.mean(values, axis=tuple(range(1, len(values.shape))))
