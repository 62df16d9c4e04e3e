"""What runs a network on pixels: TensorFlow always, OpenVINO and ONNX Runtime if installed.

An engine is called with the pixels of one padded image or window and returns them restored. All but
TensorFlow's read the network from an ONNX file, so that neither TensorFlow nor Keras is loaded.
`make` chooses one; `deblur_keras.Restorer` does the rest.
"""

from deblur_keras.engines.choice import ENGINES, PRECISIONS, make
from deblur_keras.engines.engine import Engine, EngineError, OutOfMemoryError

__all__ = ["ENGINES", "PRECISIONS", "Engine", "EngineError", "OutOfMemoryError", "make"]
