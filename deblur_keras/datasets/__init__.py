"""Blurred and sharp photographs: found and checked on disk, then fed to training.

``layouts`` needs no TensorFlow; the pipelines, which do, are imported on first use.
"""

import importlib

from deblur_keras.datasets import catalog
from deblur_keras.datasets.catalog import pairs, splits
from deblur_keras.datasets.layouts import DatasetError, Pair

_STREAMS = {
    "averaged": "simulated",
    "mix": "mixtures",
    "paired": "pipelines",
    "synthetic": "simulated",
    "unpaired": "domains",
}

__all__ = [
    "DatasetError",
    "Pair",
    "averaged",
    "mix",
    "paired",
    "pairs",
    "splits",
    "synthetic",
    "unpaired",
]


catalog.register()


def __getattr__(name):
    if name in _STREAMS:
        return getattr(importlib.import_module(f"{__name__}.{_STREAMS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
