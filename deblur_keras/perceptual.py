"""The perceptual content loss: the distance between VGG features of restored and sharp images.

Also where the VGG weights come from, which are the one thing this library cannot ship.
"""

import logging
import os
import re
import zipfile
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

from deblur_keras import losses

logger = logging.getLogger(__name__)

# Convolutions in each of the five blocks; block i has min(64 * 2^i, 512) channels.
NETWORKS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
ACTIVATIONS = ("pre", "post")

CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)

# One unit of an image in [-1, 1], in the grey levels that Keras's VGG is fed with.
GREY_LEVELS_PER_UNIT = 127.5

_LAYER = re.compile(r"block(\d)_conv(\d)")


class PerceptualLoss:
    """Computes the mean squared difference of VGG features, ``(sharp, restored) -> (B,)``.

    ``mean((f(sharp) - f(restored))^2) * feature_scale^2``, the mean over all elements of the
    feature map of one layer of a VGG network trained on ImageNet.

    Args:
        network: ``"vgg19"`` (DeblurGAN) or ``"vgg16"``.
        layer: Name of a convolution, ``"block1_conv1"`` to ``"block5_conv4"``.
        weights: ``"imagenet"`` takes Keras's own file from its cache, or downloads it once. A path
            takes the weights from a file: ``.npz`` (arrays named after the Keras layers), ``.h5``
            or ``.weights.h5``; layers behind the chosen one are ignored. ``None`` leaves the
            network at random, for tests of code, and says so in the log.
        activation: ``"pre"`` compares the convolution's output, as the authors' code does;
            ``"post"`` compares it after the ReLU, as the paper says.
        feature_scale: Factor on the features; see the note.

    Raises:
        ValueError: If an argument is none of the above, or the file lacks a layer or has one of
            another shape.
        FileNotFoundError: If the weights file does not exist.
        RuntimeError: If Keras's file is neither cached nor to be had from the network.

    Example:
        >>> content = PerceptualLoss(weights=None)  # doctest: +SKIP
        >>> content(sharp, restored)  # (B, H, W, 3) in [-1, 1] -> (B,)  # doctest: +SKIP

    Reference:
        DeblurGAN (Kupyn et al.), section 3.1, "Content loss"; Johnson et al., "Perceptual Losses
        for Real-Time Style Transfer and Super-Resolution", section 3.2.

    Note:
        The authors feed images in [-1, 1] to torchvision's VGG19; Keras has the original Caffe
        network, fed with 0 to 255 less the mean, BGR, whose features are far larger. Left as they
        are, their squared differences are 16,256 times as large, and beside 100 of these the
        adversarial loss would never be heard. ``feature_scale`` is therefore 1 / 127.5, the number
        of grey levels in one unit of [-1, 1]: a ReLU network is homogeneous when its biases are
        scaled along, so this gives exactly the features of the Caffe network rewritten for images
        in [-1, 1]. It is a change of unit, not a fit: torchvision's weights were trained anew and
        cannot be matched layer by layer. As a check of its size: averaged frames of a GoPro scene
        that lie 32 to 25 dB from the sharp one have a loss of 0.9 to 4.1 in this unit, and the one
        log of the authors' code that was ever published shows 3.0 (300 after the weight of 100;
        issue 117 of their repository).
    """

    def __init__(
        self,
        network="vgg19",
        layer="block3_conv3",
        weights="imagenet",
        activation="pre",
        feature_scale=1.0 / GREY_LEVELS_PER_UNIT,
    ):
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation must be 'pre' or 'post'; received {activation!r}.")
        self.network = network
        self.layer = layer
        self.activation = activation
        self.feature_scale = feature_scale
        self.features = _vgg(network, layer, activation)
        self.features.trainable = False
        _load(self.features, network, weights)

    def __call__(self, sharp, restored):
        """Computes one value an image.

        Args:
            sharp: ``(B, H, W, 3)``, RGB in [-1, 1].
            restored: The same.

        Returns:
            ``(B,)``, float32.
        """
        # The target's features need no gradient; the restored image's do.
        target = ops.stop_gradient(self.extract(sharp))
        return losses.mean_squared_error(target, self.extract(restored))

    def extract(self, images):
        """Computes the scaled features of RGB images in [-1, 1]: ``(B, h, w, channels)``."""
        pixels = (ops.cast(images, "float32") + 1.0) * GREY_LEVELS_PER_UNIT
        caffe = ops.flip(pixels, axis=-1) - ops.convert_to_tensor(CAFFE_MEAN_BGR, "float32")
        return self.features(caffe, training=False) * self.feature_scale

    def __repr__(self):
        """Shows what is compared."""
        return f"PerceptualLoss({self.network} {self.layer}, {self.activation}-activation)"


def _vgg(network, layer, activation):
    """Builds a VGG network up to a convolution: (B, H, W, 3) -> (B, H/2^k, W/2^k, C)."""
    if network not in NETWORKS:
        raise ValueError(f"network must be 'vgg16' or 'vgg19'; received {network!r}.")
    names = [
        f"block{block}_conv{index}"
        for block, count in enumerate(NETWORKS[network], start=1)
        for index in range(1, count + 1)
    ]
    if layer not in names:
        raise ValueError(
            f"layer must be one of {', '.join(names)} for {network}; received {layer!r}."
        )
    image = x = keras.Input((None, None, 3), dtype="float32")
    for name in names[: names.index(layer) + 1]:
        block, index = (int(part) for part in _LAYER.fullmatch(name).groups())
        if index == 1 and block > 1:
            x = layers.MaxPooling2D(2, name=f"block{block - 1}_pool", dtype="float32")(x)
        x = layers.Conv2D(
            min(64 * 2 ** (block - 1), 512),
            3,
            padding="same",
            activation=None if name == layer and activation == "pre" else "relu",
            dtype="float32",
            name=name,
        )(x)
    return keras.Model(image, x, name=f"{network}_{layer}")


def _load(features, network, weights):
    if weights is None:
        logger.warning(
            "The perceptual loss uses a %s with random weights (weights=None): good for testing "
            "code, meaningless for training.",
            network,
        )
        return
    found = _from_keras(network) if str(weights) == "imagenet" else _from_file(Path(weights))
    for layer in features.layers:
        if not _LAYER.fullmatch(layer.name):
            continue
        shapes = {4: layer.kernel.shape, 1: layer.bias.shape}
        for dimensions, shape in shapes.items():
            value = found.get((layer.name, dimensions))
            if value is None or value.shape != tuple(shape):
                have = "nothing" if value is None else f"an array of shape {value.shape}"
                raise ValueError(
                    f"The weights {weights} hold {have} for {layer.name}, where {network} needs "
                    f"{'a kernel' if dimensions == 4 else 'a bias'} of shape {tuple(shape)}. "
                    "Give a file of this network in Keras's layout and layer names."
                )
        layer.set_weights([found[layer.name, 4], found[layer.name, 1]])


def _from_file(path):
    """Reads ``{(layer name, dimensions): array}`` from an .npz, .h5 or .weights.h5 file."""
    if not path.is_file():
        raise FileNotFoundError(
            f"No weights file at {path}. Give an .npz, .h5 or .weights.h5 file of the network in "
            "Keras's layer names, or weights='imagenet' for Keras's own."
        )
    try:
        if path.suffix == ".npz":
            with np.load(path) as arrays:
                return _by_layer((name, arrays[name]) for name in arrays.files)
        if path.suffix in (".h5", ".hdf5"):
            return _by_layer(_hdf5_arrays(path))
    except (OSError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} is not a readable {path.suffix} file of weights ({error}). Give another file, "
            "or weights='imagenet' for Keras's own."
        ) from error
    raise ValueError(f"Weights are read from .npz, .h5 or .weights.h5; received {path.name}.")


def _hdf5_arrays(path):
    """Yields ``(name, array)``; Keras 3 keeps a layer's name in an attribute beside its arrays."""
    import h5py

    found = []

    def visit(name, node):
        if isinstance(node, h5py.Dataset):
            found.append((f"{node.parent.attrs.get('name', '')}/{name}", node[()]))

    with h5py.File(path) as file:
        file.visititems(visit)
    return found


def _by_layer(arrays):
    found = {}
    for name, value in arrays:
        match = _LAYER.search(name)
        if match and value.ndim in (1, 4):
            found[match.group(), value.ndim] = value
    return found


def _from_keras(network):
    application = {"vgg16": keras.applications.VGG16, "vgg19": keras.applications.VGG19}[network]
    try:
        model = application(weights="imagenet", include_top=False)
    except Exception as error:  # Keras raises a bare Exception when a download fails.
        name = f"{network}_weights_tf_dim_ordering_tf_kernels_notop.h5"
        cache = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "models"
        raise RuntimeError(
            f"The ImageNet weights of {network} are not here and could not be downloaded "
            f"({error}). Three ways to have them: (1) pass a file, PerceptualLoss(weights=PATH) or "
            "--vgg PATH, an .npz, .h5 or .weights.h5 in Keras's layer names; (2) put "
            f"{name} into {cache}; (3) connect to the network once, and Keras downloads and keeps "
            "them."
        ) from error
    return _by_layer(
        (f"{layer.name}/{index}", value)
        for layer in model.layers
        for index, value in enumerate(layer.get_weights())
    )
