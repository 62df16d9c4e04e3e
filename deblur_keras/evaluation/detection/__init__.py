"""Judges deblurring by what an object detector then sees: the measure of the DeblurGAN paper.

A detector of the user's, an ONNX file, looks at the blurred, the restored and the sharp photograph.
What it finds on the sharp one, or boxes drawn by hand, is the truth for the other two.

Reference:
    Kupyn et al., "DeblurGAN: Blind Motion Deblurring Using Conditional Adversarial Networks",
    CVPR 2018, section 6.3 and Table 3.
"""

import importlib

_NAMES = {
    "DECODERS": "decoders",
    "DetectionError": "boxes",
    "DetectionEvaluation": "run",
    "Detections": "boxes",
    "Detector": "detector",
    "DrawnBoxes": "drawn",
    "Judge": "judge",
    "Preparation": "preparation",
    "average_precision": "scoring",
    "count": "judge",
    "detection_sheet": "sheet",
    "evaluate_detection": "run",
    "match": "scoring",
    "overlaps": "boxes",
    "rates": "scoring",
    "read_names": "boxes",
    "summarize": "judge",
    "summary_lines": "judge",
    "summary_table": "judge",
    "telling": "sheet",
}

__all__ = [
    "DECODERS",
    "DetectionError",
    "DetectionEvaluation",
    "Detections",
    "Detector",
    "DrawnBoxes",
    "Judge",
    "Preparation",
    "average_precision",
    "count",
    "detection_sheet",
    "evaluate_detection",
    "match",
    "overlaps",
    "rates",
    "read_names",
    "summarize",
    "summary_lines",
    "summary_table",
    "telling",
]


def __getattr__(name):
    if name in _NAMES:
        return getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
