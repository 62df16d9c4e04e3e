"""REDS (Nah et al., CVPR Workshops 2019): clips of 100 frames, averaged after interpolation."""

import dataclasses
import re

import tensorflow_datasets as tfds

from deblur_keras.datasets import archives, builders

_MEMBER = re.compile(r"(?:^|/)(\d{3})/(\d{8})\.png$")
# The author's own upload, at the commit to which the checksums belong.
_URL = "https://huggingface.co/datasets/snah/REDS/resolve/62dc25d16e6f43d2214f1b365023abda86f7a0ae/"


def _published(stem, size, checksum=None):
    return archives.Published(
        file=f"{stem}.zip",
        page="https://seungjunnah.github.io/Datasets/reds",
        size=size,
        url=f"{_URL}{stem}.zip",
        checksum=checksum,
        folders=(stem, f"{stem.partition('_')[0]}/{stem}"),
    )


ARCHIVES = {
    ("train", "blurred"): _published(
        "train_blur",
        "28.3 GB",
        "sha256:415c360c0d71d2d89af099b3c64e76bca7e1d8317750f8e056e02ebaab957bb8",
    ),
    ("train", "sharp"): _published(
        "train_sharp",
        "34.3 GB",
        "sha256:620294c1c3f23ed26c5ea228633770469c0b28e57d31eb41dc77deb401c6681b",
    ),
    ("validation", "blurred"): _published("val_blur", "3.5 GB"),
    ("validation", "sharp"): _published("val_sharp", "4.3 GB"),
}


@dataclasses.dataclass(eq=False)
class RedsConfig(tfds.core.BuilderConfig):
    """Says which splits are made.

    Attributes:
        splits: Their names.
    """

    splits: tuple[str, ...] = ("train", "validation")


class Builder(builders.PairBuilder):
    """Makes the REDS dataset: 24000 pairs to train on and 3000 to validate with, 1280x720.

    What the ground truth is: a GoPro camera filmed at 120 frames a second, from which a network
    interpolated many more; a blurred image is their mean over 5 of the original frames, taken in
    linear light by the camera's own measured response; the sharp one is the original frame in the
    middle. So blur is smoother than GoPro's, but partly a network's idea of the motion. Clips are
    240 of train and 30 of validation, 100 frames each. The sharp side of the test split was never
    published, so papers report on the validation split, often on a part of it: say which.

    Configurations:

    - ``full``: both splits; 70 GB to download.
    - ``validation``: that split alone; 8 GB to download.

    Examples have the ``name`` ``"<clip>/<frame>"``, for example ``"000/00000000"``.

    The archives are looked for in the manual folder first, packed or unpacked, and downloaded else.

    Reference:
        Nah, Baik, Hong, Moon, Son, Timofte and Lee, "NTIRE 2019 Challenge on Video Deblurring and
        Super-Resolution: Dataset and Study", CVPR Workshops 2019.

    Note:
        The checksums of the two archives of train are those that the author's upload states. Those
        of validation could not be found, so these archives are checked by their contents alone.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}  # noqa: RUF012 - as TFDS reads it
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    train_blur.zip (28.3 GB), train_sharp.zip (34.3 GB), val_blur.zip (3.5 GB) and val_sharp.zip
    (4.3 GB) are downloaded unless they lie there already, as they are or unpacked. To fetch them
    by hand: https://seungjunnah.github.io/Datasets/reds (CC BY 4.0). The configuration "validation"
    needs the last two alone.
    """
    BUILDER_CONFIGS = [  # noqa: RUF012 - as TFDS reads it
        RedsConfig(name="full", description="240 clips of train and 30 of validation."),
        RedsConfig(
            name="validation", description="30 clips of validation.", splits=("validation",)
        ),
    ]
    HOMEPAGE = "https://seungjunnah.github.io/Datasets/reds"
    EXPECTED = {"train": 24000, "validation": 3000}  # noqa: RUF012 - a constant

    def _split_generators(self, dl_manager):
        splits = self.builder_config.splits
        wanted = {key: one for key, one in ARCHIVES.items() if key[0] in splits}
        found = archives.locate(dl_manager, list(wanted.values()))
        pairs = {split: {} for split in splits}
        for (split, side), published in wanted.items():
            archive = found[published.file]
            for name in archive.names:
                if match := _MEMBER.search(name):
                    sides = pairs[split].setdefault("/".join(match.groups()), {})
                    sides[side] = (archive, name)
        for split in splits:
            archives.check_pairs(
                {split: pairs[split]},
                ("blurred", "sharp"),
                {split: self.EXPECTED[split]},
                found[ARCHIVES[split, "sharp"].file],
                "<clip>/<frame>.png",
            )
        return {split: self._generate_examples(pairs[split]) for split in splits}
