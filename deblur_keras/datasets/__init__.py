"""Pairs of blurred and sharp photographs: found and checked on disk, then fed to training.

``layouts`` needs no TensorFlow; the pipelines, which do, are imported on first use.
"""

import importlib

from deblur_keras.datasets.layouts import DatasetError, Pair, pairs, splits

_PIPELINES = ("averaged", "mix", "paired", "synthetic")

__all__ = ["DatasetError", "Pair", "averaged", "mix", "paired", "pairs", "splits", "synthetic"]


def __getattr__(name):
    if name in _PIPELINES:
        return getattr(importlib.import_module(f"{__name__}.pipelines"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
