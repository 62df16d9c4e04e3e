"""Restores videos: pictures stream through a callable, sound and times stay as they are.

`restore` does it, by PyAV where that is installed (`pip install "av>=16,<17"`), else by
OpenCV, without sound. It needs no TensorFlow: any callable from picture to picture will do.
"""

from deblur_keras.frames import VIDEO_SUFFIXES as SUFFIXES
from deblur_keras.video.clip import VideoError, partial_path
from deblur_keras.video.restoring import Interrupted, Result, formats, restore, result_suffix

__all__ = [
    "SUFFIXES",
    "Interrupted",
    "Result",
    "VideoError",
    "formats",
    "partial_path",
    "restore",
    "result_suffix",
]
