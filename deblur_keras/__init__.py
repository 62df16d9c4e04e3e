"""Removes motion blur from photographs: GAN deblurring systems of the literature, in Keras 3.

The public names below are imported on first use, so that ``import deblur_keras`` and the command
line's ``--help`` cost nothing; TensorFlow is loaded only by what needs it.
"""

import importlib

__version__ = "0.1.0"

_SUBMODULES = (
    "blur",
    "critics",
    "datasets",
    "ensembles",
    "evaluation",
    "export",
    "generators",
    "images",
    "layers",
    "losses",
    "metrics",
    "perceptual",
    "recipes",
    "restorer",
    "trainers",
    "video",
)
_NAMES = {
    "Restorer": "restorer",
    "DeblurGAN": "trainers",
    "WassersteinGP": "trainers",
    "PerceptualLoss": "perceptual",
}

__all__ = ["__version__", *_SUBMODULES, *_NAMES]


def __getattr__(name):
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
