"""The few layers that the papers' networks need and Keras lacks.

All are backend-neutral (``keras.ops`` only), registered under the package name ``deblur_keras`` and
hold no weights, so a saved generator loads after ``import deblur_keras.layers``.
"""

import keras
from keras import ops


@keras.saving.register_keras_serializable("deblur_keras")
class ReflectionPadding2D(keras.layers.Layer):
    """Pads height and width by reflection, without repeating the border pixel.

    Args:
        padding: Pixels added on each of the four sides; the input must be larger than this.

    Input shape ``(B, H, W, C)``, output shape ``(B, H + 2 * padding, W + 2 * padding, C)``.

    Raises:
        ValueError: If ``padding`` is not a whole number of at least 0, or if the input is known to
            be too small to be reflected that far.

    Example:
        >>> ReflectionPadding2D(1)(keras.ops.ones((1, 4, 5, 3))).shape
        TensorShape([1, 6, 7, 3])
    """

    def __init__(self, padding, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(padding, int) or padding < 0:
            raise ValueError(f"padding must be a whole number of at least 0; received {padding!r}.")
        self.padding = padding
        self.supports_jit = True

    def call(self, inputs):
        """Pads a batch of images."""
        if self.padding == 0:
            return inputs
        edge = (self.padding, self.padding)
        return ops.pad(inputs, ((0, 0), edge, edge, (0, 0)), mode="reflect")

    def compute_output_shape(self, input_shape):
        """Computes ``(B, H + 2 * padding, W + 2 * padding, C)``."""
        batch, height, width, channels = input_shape
        for name, size in (("height", height), ("width", width)):
            if size is not None and size <= self.padding:
                raise ValueError(
                    f"ReflectionPadding2D({self.padding}) needs a {name} of at least "
                    f"{self.padding + 1} pixels; received an input of shape {tuple(input_shape)}. "
                    "Use a larger image or crop."
                )
        grow = 2 * self.padding
        return (
            batch,
            None if height is None else height + grow,
            None if width is None else width + grow,
            channels,
        )

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "padding": self.padding}


@keras.saving.register_keras_serializable("deblur_keras")
class InstanceNormalization(keras.layers.Layer):
    """Normalizes each channel of each image to zero mean and unit variance over its pixels.

    ``(x - mean) / sqrt(variance + epsilon)`` with the population variance, without scale and
    offset, and with the image's own statistics in training and inference alike.

    Args:
        epsilon: Added to the variance; the reference networks use 1e-5.

    Input and output shape ``(B, H, W, C)``. The statistics are computed in float32 under any
    precision policy, and a constant image gives exactly 0.

    Reference:
        Ulyanov et al., "Instance Normalization: The Missing Ingredient for Fast Stylization".
    """

    def __init__(self, epsilon=1e-5, **kwargs):
        super().__init__(**kwargs)
        if not epsilon > 0:
            raise ValueError(f"epsilon must be positive; received {epsilon!r}.")
        self.epsilon = epsilon
        self.supports_jit = True

    def call(self, inputs):
        """Normalizes a batch of feature maps."""
        x = ops.cast(inputs, "float32")
        # Two passes: E[x^2] - E[x]^2 would cancel to a negative variance on nearly flat maps.
        centered = x - ops.mean(x, axis=(1, 2), keepdims=True)
        variance = ops.mean(ops.square(centered), axis=(1, 2), keepdims=True)
        return ops.cast(centered * ops.rsqrt(variance + self.epsilon), inputs.dtype)

    def normalize(self, inputs, mean, variance):
        """Normalizes feature maps by given statistics, for an image that is seen in parts.

        Args:
            inputs: ``(B, H, W, C)``.
            mean: ``(C,)``, float32.
            variance: ``(C,)``, float32.

        Returns:
            ``(B, H, W, C)``, as the layer gives where these are the image's own statistics.
        """
        centered = ops.cast(inputs, "float32") - mean
        return ops.cast(centered * ops.rsqrt(variance + self.epsilon), inputs.dtype)

    def compute_output_shape(self, input_shape):
        """Returns the input's shape."""
        return input_shape

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "epsilon": self.epsilon}


@keras.saving.register_keras_serializable("deblur_keras")
class ClippedAdd(keras.layers.Layer):
    """Adds a correction to an image and clips the sum: ``clip(image + correction, -1, 1)``.

    The global skip of DeblurGAN's generator ("ResOut"), which makes the network learn the
    correction alone.

    Inputs: ``[image, correction]``, both ``(B, H, W, C)``. Output: ``(B, H, W, C)`` in [-1, 1].

    Reference:
        DeblurGAN (Kupyn et al.), section 3.2, "Network architecture".
    """

    def call(self, inputs):
        """Adds and clips."""
        image, correction = inputs
        return ops.clip(image + correction, -1.0, 1.0)

    def compute_output_shape(self, input_shape):
        """Returns the shape of the image."""
        return input_shape[0]


@keras.saving.register_keras_serializable("deblur_keras")
class SimpleGate(keras.layers.Layer):
    """Splits the channels in two halves and multiplies them: ``(B, H, W, 2C) -> (B, H, W, C)``.

    Args:
        activation: What the second half goes through before: None, or a name or function of
            ``keras.activations``. With ``"tanh"`` the output is never larger than the first half.
            Products of products otherwise grow without bound where nothing normalizes them, and a
            single unusual image can come out as NaN.

    Reference:
        NAFNet (Chen et al., "Simple Baselines for Image Restoration"), equation 4; with an
        activation, the gated linear unit of Dauphin et al., "Language Modeling with Gated
        Convolutional Networks", equation 1.
    """

    def __init__(self, activation=None, **kwargs):
        super().__init__(**kwargs)
        self.activation = keras.activations.get(activation)

    def call(self, inputs):
        """Multiplies the first half of the channels by the second."""
        first, second = ops.split(inputs, 2, axis=-1)
        return first * self.activation(second)

    def compute_output_shape(self, input_shape):
        """Halves the channels."""
        if input_shape[-1] % 2:
            raise ValueError(
                f"SimpleGate needs an even number of channels; received shape {tuple(input_shape)}."
            )
        return (*input_shape[:-1], input_shape[-1] // 2)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "activation": keras.activations.serialize(self.activation),
        }


@keras.saving.register_keras_serializable("deblur_keras")
class ChannelScale(keras.layers.Layer):
    """Multiplies each channel by a trained factor, which keeps a deep residual stack calm at first.

    Args:
        initial: The value of every factor before training.

    Input and output shape ``(B, H, W, C)``; C weights.
    """

    def __init__(self, initial=0.1, **kwargs):
        super().__init__(**kwargs)
        self.initial = initial

    def build(self, input_shape):
        """Creates the factors."""
        self.scale = self.add_weight(
            shape=(input_shape[-1],),
            initializer=keras.initializers.Constant(self.initial),
            name="scale",
        )

    def call(self, inputs):
        """Scales the channels."""
        return inputs * self.scale

    def compute_output_shape(self, input_shape):
        """Returns the input's shape."""
        return input_shape

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "initial": self.initial}
