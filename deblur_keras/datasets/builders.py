"""What the TFDS builders of this package share: features, and pairs copied from archives.

A builder lies in a folder of its own, as TensorFlow Datasets wants it
(``gopro/gopro_dataset_builder.py``); `catalog` makes TensorFlow Datasets find them by name.
"""

import inspect

import numpy as np
import tensorflow_datasets as tfds

from deblur_keras import images


class PairBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Makes a dataset of blurred and sharp photographs from its archives.

    Each example has a ``name`` that is unique in its split, and images, uint8 RGB
    ``(height, width, 3)``: ``blurred``, ``sharp`` and those of ``MORE_SIDES``. They are stored as
    the very bytes of the archive's files wherever nothing has to be changed.
    ``as_supervised=True`` gives ``(blurred, sharp)``.

    A subclass writes ``_split_generators``, from `archives.locate` and `archives.check_pairs`.

    Attributes:
        HOMEPAGE: The dataset's own page.
        EXPECTED: Dictionary from splits to the number of examples of the complete archive.
        MORE_SIDES: Names of further images.
    """

    HOMEPAGE = ""
    EXPECTED: dict[str, int] = {}  # noqa: RUF012 - a constant
    MORE_SIDES: tuple[str, ...] = ()

    # TFDS's own wants importlib_resources, which it does not install: tensorflow/datasets#11212.
    @tfds.core.utils.classproperty
    @classmethod
    def code_path(cls):
        """Path of the file of the builder, beside which its description and citation lie."""
        return tfds.core.Path(inspect.getfile(cls))

    def _info(self):
        sides = ("blurred", "sharp", *self.MORE_SIDES)
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "name": tfds.features.Text(),
                    **{side: photograph() for side in sides},
                    **self._more_features(),
                }
            ),
            supervised_keys=("blurred", "sharp"),
            homepage=self.HOMEPAGE,
        )

    def _more_features(self):
        """Returns a dictionary of the features besides the name and the sides."""
        return {}

    def _generate_examples(self, pairs, scale=1.0):
        """Yields examples.

        Args:
            pairs: Dictionary from names to dictionaries from sides to ``(archive, member)``.
            scale: Factor by which the images are resized.

        Raises:
            DatasetError: An image is damaged.
        """
        for name, sides in sorted(pairs.items()):
            stored = {side: archive.read_image(member) for side, (archive, member) in sides.items()}
            if scale != 1:
                stored = {
                    side: picture(images.resize(images.decode(data, f"{name} {side}"), scale))
                    for side, data in stored.items()
                }
            yield name, {"name": name, **stored}


def photograph():
    """Makes the feature of an RGB image of any size, lossless.

    Returns:
        `tfds.features.Image`.

    Example:
        >>> photograph().shape
        (None, None, 3)
    """
    return tfds.features.Image(shape=(None, None, 3), encoding_format="png")


def picture(pixels):
    """Wraps pixels so that a `photograph` feature takes them without starting TensorFlow.

    Args:
        pixels: uint8 array, (H, W, 3) RGB or (H, W) grey.

    Returns:
        `PIL.Image.Image`, RGB.

    Example:
        >>> picture(np.zeros((2, 3), "uint8")).size
        (3, 2)
    """
    from PIL import Image

    return Image.fromarray(np.ascontiguousarray(pixels)).convert("RGB")
