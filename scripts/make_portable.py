"""Makes the ONNX files of the weights that ship: `python scripts/make_portable.py [NAME...]`.

To be run whenever a `.keras` file in `deblur_keras/weights` has changed; a test compares both, and
until then restoring falls back to TensorFlow. Needs `pip install "onnx>=1.18,<2"`.
"""

import sys

from deblur_keras.export import export_onnx
from deblur_keras.restorer import pretrained_names, pretrained_path


def main(names):
    """Converts weights and prints how far they are from Keras.

    Args:
        names: Of `pretrained_names()`; all of them if empty.
    """
    for name in names or pretrained_names():
        keras_file = pretrained_path(name)
        path, difference = export_onnx(keras_file, keras_file.with_suffix(".onnx"), overwrite=True)
        size = path.stat().st_size / 1e6
        print(f"{path}: {size:.2f} MB, largest difference to Keras {difference:.1g} in [-1, 1]")


if __name__ == "__main__":
    main(sys.argv[1:])
