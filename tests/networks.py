"""The registry of networks that the save, precision and gradient tests run through.

A new network is one line here: name -> builder of a small one that takes images of 32x64; the
generators also take any size that is a multiple of 8.
"""

import keras

from deblur_keras import critics, generators


def tiny_generator(filters=4, dropout=0.0):
    """As small as may be, where a trainer is tested: what takes time there is to trace."""
    image = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(filters, 3, padding="same", activation="tanh")(image)
    x = keras.layers.Dropout(dropout)(x) if dropout else x
    x = keras.layers.Conv2D(3, 3, padding="same")(x)
    return keras.Model(image, keras.layers.Activation("tanh", dtype="float32")(x))


def tiny_critic():
    """The same of a critic."""
    image = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 4, strides=2, padding="same", activation="leaky_relu")(image)
    return keras.Model(image, keras.layers.Conv2D(1, 4, padding="same", dtype="float32")(x))


GENERATORS = {
    "resnet": lambda: generators.resnet_generator(filters=4, blocks=2),
    "resnet-resize": lambda: generators.resnet_generator(4, 1, upsampling="resize"),
    "resnet-batch": lambda: generators.resnet_generator(4, 1, norm="batch", dropout=0.0),
    "resnet-plain": lambda: generators.resnet_generator(4, 1, norm="none", skip="none"),
    "dense": lambda: generators.dense_generator(filters=4, growth=4, depth=3),
    "dense-plain": lambda: generators.dense_generator(4, 3, 2, norm="none", skip="none"),
    "unet": lambda: generators.unet_generator(filters=4, levels=3),
    "unet-batch": lambda: generators.unet_generator(4, 3, norm="batch", skip="none"),
    "compact": lambda: generators.compact_generator(widths=(4, 8), blocks=(1, 2), kernel=3),
    "quarter": lambda: generators.quarter_generator((4, 8), (1, 2), scales=2),
}
CRITICS = {
    "patch": lambda: critics.patch_critic(filters=4),
    "patch-plain": lambda: critics.patch_critic(filters=4, layers=2, norm="none"),
    "cyclegan": lambda: critics.cyclegan_discriminator(filters=4, layers=3),
    "dense-head": lambda: critics.dense_head_discriminator((32, 64), filters=4, units=8),
    "dense-head-linear": lambda: critics.dense_head_discriminator(
        (32, 64), 4, 8, norm="instance", head="linear"
    ),
}
NETWORKS = {**GENERATORS, **CRITICS}
