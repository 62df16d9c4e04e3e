"""Scores models on pairs of blurred and sharp photographs, with the protocol beside the figures."""

import importlib

_NAMES = {
    "Comparison": "outcomes",
    "Evaluation": "results",
    "Figure": "figures",
    "JournalError": "journal",
    "Outcome": "outcomes",
    "Protocol": "protocols",
    "Published": "protocols",
    "Score": "scores",
    "compare_pairs": "comparison",
    "comparison_sheet": "plots",
    "evaluate_pairs": "benchmark",
    "model_facts": "benchmark",
    "plot_scores": "plots",
    "signed_rank_test": "significance",
    "write_comparison_report": "report",
    "write_detection_report": "report",
    "write_report": "report",
}

__all__ = [
    "Comparison",
    "Evaluation",
    "Figure",
    "JournalError",
    "Outcome",
    "Protocol",
    "Published",
    "Score",
    "compare_pairs",
    "comparison_sheet",
    "evaluate_pairs",
    "model_facts",
    "plot_scores",
    "signed_rank_test",
    "write_comparison_report",
    "write_detection_report",
    "write_report",
]


def __getattr__(name):
    if name in _NAMES:
        return getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
