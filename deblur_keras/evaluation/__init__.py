"""Scores models on pairs of blurred and sharp photographs, with the protocol beside the figures."""

import importlib

_NAMES = {
    "Evaluation": "results",
    "Score": "results",
    "evaluate_pairs": "benchmark",
    "model_facts": "benchmark",
}

__all__ = ["Evaluation", "Score", "evaluate_pairs", "model_facts"]


def __getattr__(name):
    if name in _NAMES:
        return getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
