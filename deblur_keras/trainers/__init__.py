"""Trainers: ``keras.Model``s whose ``train_step`` is a paper's algorithm, and what runs them.

Public names: `DeblurGAN`, `CycleGAN` and its `ImagePool`, `paper_adam`; the objectives
`AdversarialObjective`, `LeastSquares`, `Minimax` and `WassersteinGP`; the callbacks `AfterEpochs`,
`EpochBoard`, `HistoryFile`, `LinearDecay`, `SaveGenerator`, `SampleSheets`, `StopOnDivergence`,
`TellMishaps`, `WarmUp` and `TrainingState`, with its `CheckpointError`; the `MovingAverage` of
weights. `devices` chooses where to train (`DeviceError`), `workers` knows of the other machines
(`WorkerError`).
"""

import importlib

_NAMES = {
    "AdversarialObjective": "objectives",
    "AfterEpochs": "watching",
    "CheckpointError": "checkpoints",
    "CycleGAN": "cyclegan",
    "DeblurGAN": "deblurgan",
    "DeviceError": "devices",
    "EpochBoard": "watching",
    "HistoryFile": "watching",
    "ImagePool": "image_pool",
    "LeastSquares": "objectives",
    "LinearDecay": "callbacks",
    "MovingAverage": "ema",
    "Minimax": "objectives",
    "SampleSheets": "watching",
    "SaveGenerator": "callbacks",
    "StopOnDivergence": "divergence",
    "TellMishaps": "watching",
    "TrainingState": "state",
    "WarmUp": "warmup",
    "WassersteinGP": "objectives",
    "WorkerError": "workers",
    "paper_adam": "optimizers",
}
_MODULES = (
    "accumulation",
    "callbacks",
    "checkpoints",
    "cyclegan",
    "deblurgan",
    "devices",
    "divergence",
    "ema",
    "fitting",
    "image_pool",
    "objectives",
    "optimizers",
    "passes",
    "precision",
    "state",
    "updates",
    "warmup",
    "watching",
    "workers",
)

__all__ = [*_NAMES, *_MODULES]


def __getattr__(name):
    if name in _NAMES:
        return getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
