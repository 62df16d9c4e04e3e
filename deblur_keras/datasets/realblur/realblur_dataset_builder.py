"""RealBlur (Rim et al., ECCV 2020): real camera shake at night, two cameras behind one lens."""

import dataclasses
import re

import tensorflow_datasets as tfds

from deblur_keras.datasets import archives, builders
from deblur_keras.datasets.layouts import DatasetError

_SHARP = re.compile(r"(?:^|/)(scene[^/]+)/gt/gt_([^/]+)\.png$")

ARCHIVE = archives.Published(
    file="RealBlur.tar.gz",
    page="http://cg.postech.ac.kr/research/realblur/",
    size="about 12 GB",
    folders=("RealBlur", "."),
    unpack="mkdir -p RealBlur && tar -xzf RealBlur.tar.gz -C RealBlur",
)


@dataclasses.dataclass(eq=False)
class RealBlurConfig(tfds.core.BuilderConfig):
    """Says which of the two versions is taken.

    Attributes:
        folder: Folder of the images.
    """

    folder: str = ""


class Builder(builders.PairBuilder):
    """Makes the RealBlur dataset: 3758 pairs to train on, 980 to test with, in two versions.

    What the ground truth is: two cameras looked through one beam splitter, one with a long
    exposure, held in the hand, one with a short one. So this is real blur, saturation and noise
    included, but the sharp side is another photograph from another sensor. The authors aligned the
    pairs (homography, then the blur's centroid) and matched their brightness; what is left is up to
    some pixels, which is why their protocol registers a result with the sharp image before it
    scores it. Plain PSNR on these pairs is lower than by that protocol.

    Configurations:

    - ``j``: JPEG as the cameras made it (RealBlur-J).
    - ``r``: from raw files, the sharp side denoised with BM3D (RealBlur-R); much darker.

    Examples have the ``name`` ``"<scene>/<number>"``. The splits are those of the lists in the
    archive; each has scenes of its own.

    The archive is on Google Drive, so it is fetched by hand; a tar.gz cannot be read in any order,
    so it is unpacked by hand as well.

    Reference:
        Rim, Lee, Won and Cho, "Real-World Blur Dataset for Learning and Benchmarking Deblurring
        Algorithms", ECCV 2020.

    Note:
        Neither size nor checksum of the archive is published by the authors; about 12 GB is what
        people who fetched it report. The numbers of pairs are those of public descriptions.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}  # noqa: RUF012 - as TFDS reads it
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    Get RealBlur.tar.gz from http://cg.postech.ac.kr/research/realblur/ (CC BY 4.0), put it there
    and unpack it: mkdir -p RealBlur && tar -xzf RealBlur.tar.gz -C RealBlur .
    """
    BUILDER_CONFIGS = [  # noqa: RUF012 - as TFDS reads it
        RealBlurConfig(
            name="j",
            description="RealBlur-J: the cameras' JPEG.",
            folder="RealBlur-J_ECC_IMCORR_centroid_itensity_ref",  # spelt so in the archive
        ),
        RealBlurConfig(
            name="r",
            description="RealBlur-R: from raw files.",
            folder="RealBlur-R_BM3D_ECC_IMCORR_centroid_itensity_ref",
        ),
    ]
    HOMEPAGE = ARCHIVE.page
    EXPECTED = {"train": 3758, "test": 980}  # noqa: RUF012 - a constant

    def _split_generators(self, dl_manager):
        config = self.builder_config
        published = dataclasses.replace(ARCHIVE, marks=(config.folder,))
        archive = archives.locate(dl_manager, [published])[ARCHIVE.file]
        pairs = {
            split: _listed(archive, f"RealBlur_{config.name.upper()}_{split}_list.txt")
            for split in self.EXPECTED
        }
        pattern = f"{config.folder}/<scene>/{{gt,blur}}/*.png, as listed in RealBlur_*_list.txt"
        archives.check_pairs(pairs, ("blurred", "sharp"), self.EXPECTED, archive, pattern)
        return {split: self._generate_examples(found) for split, found in pairs.items()}


def _listed(archive, list_name):
    """Returns the pairs of a list, each line of which names a sharp and a blurred image."""
    found = [name for name in archive.names if name.rpartition("/")[2] == list_name]
    if not found:
        raise DatasetError(
            f"{archive.path}: expected {list_name}, which says which pairs belong to the split;"
            f" it is not there. {archives.again(archive.published)}"
        )
    root, there, pairs = found[0].removesuffix(list_name), set(archive.names), {}
    for line in archive.read(found[0]).decode().splitlines():
        if not line.strip():
            continue
        sharp, blurred, *_ = [*line.split(), ""]
        match = _SHARP.search(sharp)
        if not match or not blurred:
            raise DatasetError(
                f"{archive.path}: {found[0]}: expected lines such as 'folder/scene001/gt/gt_1.png"
                f" folder/scene001/blur/blur_1.png', got {line!r}"
            )
        sides = {"sharp": root + sharp, "blurred": root + blurred}
        pairs["/".join(match.groups())] = {
            side: (archive, member) for side, member in sides.items() if member in there
        }
    return pairs
