"""Trainers: ``keras.Model``s whose ``train_step`` is a paper's algorithm, and what runs them.

Public names: `DeblurGAN`, `paper_adam`; the objectives `AdversarialObjective` and `WassersteinGP`;
the callbacks `LinearDecay`, `SaveGenerator`, `SampleSheets`, `StopOnDivergence` and
`TrainingState`; and `runs`, which
the ``train`` command is made of.
"""

import importlib

_NAMES = {
    "AdversarialObjective": "objectives",
    "DeblurGAN": "deblurgan",
    "LinearDecay": "callbacks",
    "SampleSheets": "callbacks",
    "SaveGenerator": "callbacks",
    "StopOnDivergence": "callbacks",
    "TrainingState": "callbacks",
    "WassersteinGP": "objectives",
    "paper_adam": "deblurgan",
}
_MODULES = ("callbacks", "deblurgan", "objectives", "runs")

__all__ = [*_NAMES, *_MODULES]


def __getattr__(name):
    if name in _NAMES:
        return getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
