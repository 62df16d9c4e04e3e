"""HIDE (Shen et al., ICCV 2019): people in the street, averaged frames."""

import re

import tensorflow_datasets as tfds

from deblur_keras.datasets import archives, builders

_BLURRED = re.compile(r"(?:^|/)(train|test/test-close-ups|test/test-long-shot)/([^/]+)\.png$")
_SHARP = re.compile(r"(?:^|/)GT/([^/]+)\.png$")

ARCHIVE = archives.Published(
    file="HIDE_dataset.zip",
    page="https://github.com/joanshen0508/HA_deblur",
    size="size not published",
    folders=("HIDE_dataset", "."),
    marks=("train", "test", "GT"),
)


class Builder(builders.PairBuilder):
    """Makes the HIDE dataset: 6397 pairs to train on and 2025 to test with, 1280x720.

    What the ground truth is: as in GoPro, a blurred image is the mean of consecutive frames (11, as
    the authors say) of a 240 frames-a-second video, and the sharp one the frame in their middle.
    Its scenes are chosen for people: the blur is mostly theirs, not the camera's.

    Examples of train have the name of their file; those of test have
    ``test-close-ups/`` or ``test-long-shot/`` before it. The three folders of blurred images share
    one folder of sharp ones, ``GT``, in which they are looked up by file name.

    The archive is behind a Dropbox link that has changed more than once, so it is fetched by hand;
    the zip is read as it is.

    Reference:
        Shen, Wang, Lu, Shen, Ling, Xu and Shao, "Human-Aware Motion Deblurring", ICCV 2019.

    Note:
        Neither size nor checksum of the archive is published. The numbers of pairs are those of
        the authors' page; the names of the folders are those that public code reads.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}  # noqa: RUF012 - as TFDS reads it
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    Get HIDE_dataset.zip from the link on https://github.com/joanshen0508/HA_deblur and put it
    there, as it is or unpacked (HIDE_dataset/train, HIDE_dataset/test and HIDE_dataset/GT).
    """
    HOMEPAGE = ARCHIVE.page
    EXPECTED = {"train": 6397, "test": 2025}  # noqa: RUF012 - a constant

    def _split_generators(self, dl_manager):
        archive = archives.locate(dl_manager, [ARCHIVE])[ARCHIVE.file]
        matches = ((name, _SHARP.search(name)) for name in archive.names)
        sharp = {match[1]: (archive, name) for name, match in matches if match}
        pairs = {split: {} for split in self.EXPECTED}
        for name in archive.names:
            if match := _BLURRED.search(name):
                folder, stem = match.groups()
                split, _, kind = folder.partition("/")
                sides = {"blurred": (archive, name)}
                if stem in sharp:
                    sides["sharp"] = sharp[stem]
                pairs[split][f"{kind}/{stem}" if kind else stem] = sides
        pattern = "train/, test/test-close-ups/, test/test-long-shot/ and GT/, each with *.png"
        archives.check_pairs(pairs, ("blurred", "sharp"), self.EXPECTED, archive, pattern)
        return {split: self._generate_examples(found) for split, found in pairs.items()}
