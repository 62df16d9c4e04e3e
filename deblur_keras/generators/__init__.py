"""Generators: functional Keras models that turn a blurred photograph into a restored one.

Every generator maps ``(B, H, W, 3)`` in [-1, 1] to the same shape and range, for any height and
width that are multiples of ``size_multiple(generator)``; `deblur_keras.Restorer` takes care of all
other sizes. ``multiply_adds(generator, height, width)`` is what one image costs,
``layer_costs`` the same by layer.
"""

from deblur_keras.generators.compact import compact_generator
from deblur_keras.generators.dense import dense_generator
from deblur_keras.generators.graph import LayerCost, layer_costs, multiply_adds, size_multiple
from deblur_keras.generators.growth import UnfitError, begin_with
from deblur_keras.generators.quarter import quarter_generator
from deblur_keras.generators.resnet import resnet_generator
from deblur_keras.generators.unet import unet_generator

__all__ = [
    "LayerCost",
    "UnfitError",
    "begin_with",
    "compact_generator",
    "dense_generator",
    "layer_costs",
    "multiply_adds",
    "quarter_generator",
    "resnet_generator",
    "size_multiple",
    "unet_generator",
]
