"""GOPRO_Large (Nah et al., CVPR 2017): real street videos, averaged."""

import dataclasses
import hashlib
import re

import tensorflow_datasets as tfds

from deblur_keras.datasets import archives, builders

SEED = 0
"""Seed of the subset ``light``."""

_MEMBER = re.compile(
    r"(?:^|/)(train|test)/([^/]+)/(blur|blur_gamma|sharp)/([^/]+)\.png$", re.IGNORECASE
)
_FEATURES = {"blur": "blurred", "blur_gamma": "blurred_gamma", "sharp": "sharp"}

ARCHIVE = archives.Published(
    file="GOPRO_Large.zip",
    page="https://seungjunnah.github.io/Datasets/gopro",
    size="9.5 GB",
    # The author's own upload, at the commit to which the checksum belongs.
    url="https://huggingface.co/datasets/snah/GOPRO_Large/resolve/"
    "592978466ae510d2734b199cad2fc79a346bda1c/GOPRO_Large.zip",
    checksum="sha256:24532c036712515cf33803704421311c91f6a080e76049d7e5e7fd22389f128e",
    folders=("GOPRO_Large", "."),
    marks=("train", "test"),
)


@dataclasses.dataclass(eq=False)
class GoproConfig(tfds.core.BuilderConfig):
    """Says what of GoPro is taken.

    Attributes:
        subset: Dictionary from splits to how many pairs are drawn; None takes all.
        scale: Factor by which the images are resized.
    """

    subset: dict[str, int] | None = None
    scale: float = 1.0


class Builder(builders.PairBuilder):
    """Makes the GoPro dataset: 2103 pairs to train on and 1111 to test with, 1280x720.

    What the ground truth is: a GoPro camera filmed at 240 frames a second; a blurred image is the
    mean of some 7 to 13 consecutive frames, the sharp one is the frame in their middle. So the
    blurred side never saw a long exposure (its highlights are clipped before they are averaged, its
    motion is sampled in steps), the sharp side has the blur of 1/240 s, and where an even number of
    frames was averaged the two are up to half a frame's motion apart. ``blurred`` is the mean of
    the pixel values (folder ``blur``, which DeblurGAN, MPRNet and most papers use);
    ``blurred_gamma`` was averaged in linear light, with a gamma of 2.2 (folder ``blur_gamma``,
    which DeepDeblur used). Figures on one do not compare with figures on the other.

    Configurations:

    - ``large``: all.
    - ``light``: 500 pairs of train and 216 of test, as small as the "light" sets of which some
      papers tell without saying which images they hold. Drawn by `draw`, so the same everywhere.
    - ``halved``: all, reduced to 640x360 by `deblur_keras.images.resize`, that is by area
      averaging: the size behind DeblurGAN's published 28.7 dB. Train on it with a scale of 1.

    Examples have the ``name`` ``"<scene>/<number>"``, as `deblur_keras.datasets.pairs` names them.

    The archive is looked for in the manual folder first, packed or unpacked, and downloaded else.

    Reference:
        Nah, Kim and Lee, "Deep Multi-Scale Convolutional Neural Network for Dynamic Scene
        Deblurring", CVPR 2017.

    Note:
        The checksum is the one that two public projects, independently, pin for the author's
        upload; it has not been compared with a download here. The numbers of pairs are those of the
        paper. DeblurGAN's own code reduced bicubically.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}  # noqa: RUF012 - as TFDS reads it
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    GOPRO_Large.zip (9.5 GB) is downloaded unless it lies there already, as it is or unpacked
    (GOPRO_Large/train and GOPRO_Large/test). To fetch it by hand:
    https://seungjunnah.github.io/Datasets/gopro (CC BY 4.0).
    """
    BUILDER_CONFIGS = [  # noqa: RUF012 - as TFDS reads it
        GoproConfig(name="large", description="All 2103 and 1111 pairs, 1280x720."),
        GoproConfig(
            name="light",
            description="500 pairs of train and 216 of test, 1280x720, drawn with seed 0.",
            subset={"train": 500, "test": 216},
        ),
        GoproConfig(name="halved", description="All pairs, halved to 640x360.", scale=0.5),
    ]
    HOMEPAGE = ARCHIVE.page
    EXPECTED = {"train": 2103, "test": 1111}  # noqa: RUF012 - a constant
    MORE_SIDES = ("blurred_gamma",)

    def _split_generators(self, dl_manager):
        archive = archives.locate(dl_manager, [ARCHIVE])[ARCHIVE.file]
        pairs = {split: {} for split in self.EXPECTED}
        for name in archive.names:
            if match := _MEMBER.search(name):
                split, scene, side, number = match.groups()
                sides = pairs[split.lower()].setdefault(f"{scene}/{number}", {})
                sides[_FEATURES[side.lower()]] = (archive, name)
        pattern = "<train or test>/<scene>/{blur,blur_gamma,sharp}/<number>.png"
        archives.check_pairs(pairs, _FEATURES.values(), self.EXPECTED, archive, pattern)
        config = self.builder_config
        if config.subset:
            pairs = {
                split: {name: found[name] for name in draw(found, config.subset[split])}
                for split, found in pairs.items()
            }
        return {
            split: self._generate_examples(found, config.scale) for split, found in pairs.items()
        }


def draw(names, count, seed=SEED):
    """Draws a subset that depends on the names and the seed alone, not on any library's version.

    Args:
        names: Names to draw from.
        count: How many.
        seed: Any integer.

    Returns:
        The ``count`` names whose SHA-256 of ``"<seed>/<name>"`` is lowest, sorted; all where there
        are no more.

    Example:
        >>> draw(["a/1", "a/2", "b/1", "b/2"], 2)
        ['a/1', 'a/2']
    """

    def lot(name):
        return hashlib.sha256(f"{seed}/{name}".encode()).digest()

    return sorted(sorted(names, key=lot)[:count])
