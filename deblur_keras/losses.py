"""Content losses: how far a restored image lies from the sharp one.

Each is a pure function ``(sharp, restored) -> (B,)``, one value an image, with one thin
``keras.losses`` class over all of them for ``generator.compile(loss=...)``. `WeightedSum` adds
several up. The feature distance is in `deblur_keras.perceptual`.
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


def negative_psnr(sharp, restored, data_range=2.0, epsilon=1e-8):
    """Computes minus the PSNR of each image: ``10 log10(mse / data_range^2 + epsilon)``, in dB.

    Its gradient weighs each image by the inverse of its error, so that photographs with little blur
    count as much as those with much; as far as ``epsilon`` lets it. A network that sees both learns
    nothing but to leave everything alone, if hardly blurred ones weigh a hundred times as much.

    Args:
        sharp: ``(B, H, W, C)``, any range.
        restored: ``(B, H, W, C)``, the same range.
        data_range: Width of the range; 2 for images in [-1, 1].
        epsilon: Error below which an image's weight grows no further; 3e-4 is that of 35 dB.

    Returns:
        ``(B,)``, float32; at least ``10 log10(epsilon)``, -80, which equal images reach.

    Reference:
        Chen et al., "HINet: Half Instance Normalization Network for Image Restoration".
    """
    relative = mean_squared_error(sharp, restored) / data_range**2
    return 10.0 * ops.log10(relative + epsilon)


def total_variation(sharp, restored):
    """Computes the total variation of each restored image: how much neighbouring pixels differ.

    ``(sum |x[i + 1, j] - x[i, j]| + sum |x[i, j + 1] - x[i, j]|) / (H W C)``. A regulariser, to be
    added to another loss with a small weight (see `WeightedSum`): alone it asks for a flat image.

    Args:
        sharp: ``(B, H, W, C)``; not looked at.
        restored: ``(B, H, W, C)``, any range.

    Returns:
        ``(B,)``, float32.

    Reference:
        Rudin et al., "Nonlinear total variation based noise removal algorithms", in its
        anisotropic form. DeblurGAN (Kupyn et al.), "Additional regularization": with it the
        authors had 27.9 dB on GoPro, without it 28.7; the weight is not stated.
    """
    del sharp
    restored = ops.cast(restored, "float32")
    rows = ops.abs(restored[:, 1:] - restored[:, :-1])
    columns = ops.abs(restored[:, :, 1:] - restored[:, :, :-1])
    pixels = ops.cast(ops.prod(ops.shape(restored)[1:]), "float32")
    return (ops.sum(rows, axis=(1, 2, 3)) + ops.sum(columns, axis=(1, 2, 3))) / pixels


CONTENT_LOSSES = {
    "mse": mean_squared_error,
    "mae": mean_absolute_error,
    "charbonnier": charbonnier,
    "negative_psnr": negative_psnr,
    "total_variation": total_variation,
}


class WeightedSum:
    """Adds content losses up: ``(sharp, restored) -> (B,)``, the sum of ``weight * loss``.

    Args:
        terms: ``(weight, content)`` pairs, each content a name, a callable or another sum, as `get`
            takes it.

    Raises:
        ValueError: If there are no terms, one is no such pair, a weight is not a number or is
            negative, or a name is unknown.

    Example:
        >>> content = WeightedSum([(1.0, "mae"), (0.01, "total_variation")])
        >>> content
        WeightedSum(1.0 * mae + 0.01 * total_variation)
        >>> import numpy as np
        >>> images = np.zeros((2, 4, 4, 3), "float32")
        >>> content(images, images + 0.5).numpy().tolist()
        [0.5, 0.5]
    """

    def __init__(self, terms):
        terms = [_checked_term(term) for term in terms]
        if not terms:
            raise ValueError("A weighted sum needs at least one (weight, content) term.")
        self.terms = [(float(weight), get(content)) for weight, content in terms]
        self._labels = [content if isinstance(content, str) else None for _, content in terms]

    def __call__(self, sharp, restored):
        """Computes one value an image.

        Args:
            sharp: ``(B, H, W, C)``, in the range that the terms expect.
            restored: The same.

        Returns:
            ``(B,)``, float32.
        """
        return sum(weight * content(sharp, restored) for weight, content in self.terms)

    def __repr__(self):
        """Shows the terms."""
        shown = [
            f"{weight} * {label or getattr(content, '__name__', repr(content))}"
            for (weight, content), label in zip(self.terms, self._labels, strict=True)
        ]
        return f"WeightedSum({' + '.join(shown)})"


def get(content):
    """Finds a content loss, or a weighted sum of them.

    Args:
        content: ``"mse"``, ``"mae"``, ``"charbonnier"``, ``"negative_psnr"``,
            ``"total_variation"``; or a callable ``(sharp, restored) -> (B,)``, such as a
            `deblur_keras.PerceptualLoss`, which is returned as it is; or a sum: a dictionary
            ``{name: weight}`` or a list of ``(weight, content)``, as for `WeightedSum`.

    Returns:
        A callable ``(sharp, restored) -> (B,)``.

    Raises:
        ValueError: If a name is unknown or a sum is not as above.

    Example:
        >>> get({"mae": 1.0, "total_variation": 0.01})
        WeightedSum(1.0 * mae + 0.01 * total_variation)
    """
    if callable(content):
        return content
    if isinstance(content, dict):
        return WeightedSum([(weight, name) for name, weight in content.items()])
    if isinstance(content, list | tuple):
        return WeightedSum(content)
    if content in CONTENT_LOSSES:
        return CONTENT_LOSSES[content]
    raise ValueError(
        f"content must be one of {', '.join(map(repr, sorted(CONTENT_LOSSES)))}, a callable "
        "(sharp, restored) -> (batch,), or a sum of these as {name: weight} or [(weight, content), "
        f"...]; received {content!r}."
    )


@keras.saving.register_keras_serializable("deblur_keras")
class ImageLoss(keras.losses.Loss):
    """Averages a content loss over a batch, for ``generator.compile(loss=ImageLoss("mae"))``.

    Args:
        content: A name that `get` knows, or a sum of them as ``{name: weight}``.
        name: Name of the loss; the content's by default.
        reduction: As in ``keras.losses.Loss``.

    Raises:
        ValueError: If a name is unknown, or the content is neither a name nor a dictionary.
    """

    def __init__(self, content, name=None, reduction="sum_over_batch_size"):
        if not isinstance(content, str | dict):
            raise ValueError(
                "ImageLoss is saved with the model and so takes a name, or {name: weight}; "
                f"received {content!r}."
            )
        label = content if isinstance(content, str) else "_".join(content)
        super().__init__(name=name or label, reduction=reduction)
        self.content = content
        self._function = get(content)

    def call(self, y_true, y_pred):
        """Computes one value an image, ``(B,)``."""
        return self._function(y_true, y_pred)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {"content": self.content, "name": self.name, "reduction": self.reduction}


def _checked_term(term):
    if not isinstance(term, list | tuple) or len(term) != 2:
        raise ValueError(f"A term of a weighted sum is (weight, content); received {term!r}.")
    weight = term[0]
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not weight >= 0:
        raise ValueError(
            f"The weight of a term must be a number of at least 0; received {weight!r} in {term!r}."
        )
    return term


def _difference(sharp, restored):
    return ops.cast(sharp, "float32") - ops.cast(restored, "float32")


def _image_mean(values):
    return ops.mean(values, axis=tuple(range(1, len(values.shape))))
