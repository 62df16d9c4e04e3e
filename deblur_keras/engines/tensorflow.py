"""TensorFlow as an engine: a `tf.function` of the model; always there, and the reference."""

import functools

from deblur_keras import images
from deblur_keras.engines.engine import Engine, OutOfMemoryError
from deblur_keras.models import describe


class TensorFlowEngine(Engine):
    """Runs a Keras model in TensorFlow, one traced function for all sizes.

    Args:
        model: A functional ``keras.Model`` that maps images of any size to images. Training it
            shows in the next image.
        name: What to call the model.

    Raises:
        ModelError: If the model's layers cannot be followed.

    Example:
        >>> import numpy as np
        >>> from deblur_keras.generators import compact_generator
        >>> engine = TensorFlowEngine(compact_generator(widths=(4,), blocks=(1,)), "mine")
        >>> restored, finite = engine(np.zeros((1, 4, 6, 3), "uint8"))
        >>> restored.shape, finite
        ((1, 4, 6, 3), True)
    """

    name = "tensorflow"
    overhead = 1.5

    def __init__(self, model, name):
        super().__init__(describe(model, name))
        self._model = model

    def __call__(self, padded):
        """Restores one image, as `Engine` says; pixels are converted in the graph."""
        import tensorflow as tf

        try:
            restored, finite = self.function(padded.dtype.name)(tf.constant(padded))
        except tf.errors.ResourceExhaustedError as error:
            raise OutOfMemoryError(f"tensorflow has not enough memory: {error.message}") from error
        return restored.numpy(), bool(finite)

    def values(self, blurred):
        """Runs the model itself, as `Engine` says."""
        import tensorflow as tf

        return self.function("float32")(tf.constant(blurred)).numpy()

    @functools.cache  # noqa: B019 - an engine lives as long as its functions
    def function(self, kind):
        """Makes the traced function for one type of element.

        Args:
            kind: ``"uint8"``, ``"uint16"`` or ``"float32"``.

        Returns:
            ``tf.function``: ``(B, H, W, 3)`` pixels to the restored ones and whether all values
            were finite; or values in [-1, 1] to values.
        """
        import tensorflow as tf

        model = self._model
        signature = [tf.TensorSpec((None, None, None, 3), kind)]
        if kind == "float32":
            return tf.function(lambda values: model(values, training=False), signature)
        to_pixels = {"uint8": images.to_uint8, "uint16": images.to_uint16}[kind]

        @tf.function(input_signature=signature)
        def forward(blurred):
            restored = model(images.to_float(blurred), training=False)
            return to_pixels(restored), tf.reduce_all(tf.math.is_finite(restored))

        return forward
