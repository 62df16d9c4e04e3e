"""Writes what was measured as one page to read: one HTML file that loads nothing."""

import importlib

_NAMES = {
    "write_comparison_report": "comparison",
    "write_detection_report": "detection",
    "write_report": "single",
}

__all__ = ["write_comparison_report", "write_detection_report", "write_report"]


def __getattr__(name):
    if name in _NAMES:
        return getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
