"""The dataset of Levin et al. (CVPR 2009): real camera shakes with their kernels."""

import re

import numpy as np
import tensorflow_datasets as tfds

from deblur_keras.datasets import archives, builders
from deblur_keras.datasets.layouts import DatasetError
from deblur_keras.datasets.levin import matlab

_MEMBER = re.compile(r"(?:^|/)im(\d+)_flit(\d+)\.mat$")

ARCHIVE = archives.Published(
    file="LevinEtalCVPR09Data.rar",
    page="https://webee.technion.ac.il/people/anat.levin/papers/LevinEtalCVPR09Data.rar",
    size="size not published",
    folders=("LevinEtalCVPR09Data", "Levin09blurdata", "."),
    marks=("im05_flit01.mat",),
    unpack="unrar x LevinEtalCVPR09Data.rar",
)


class Builder(builders.PairBuilder):
    """Makes the dataset of Levin et al.: 32 shots, 4 images under 8 real camera shakes.

    What the ground truth is: a tripod whose one axis was left loose held a camera before small
    printed images, so that the blur is the same all over an image. The sharp side is a photograph
    of the same print without shake; the kernel was measured from both. Images are grey, 255x255;
    kernels are 13x13 to 27x27, not negative, with sum 1.

    An example has the ``name`` ``"im<05 to 08>/flit<01 to 08>"``, ``blurred`` and ``sharp`` as RGB
    with three equal channels, and ``kernel``, float32. The convolution of ``sharp`` with ``kernel``
    gives ``blurred``; in the authors' files the kernel is turned by 180 degrees (``f``).

    The archive is a RAR file, which Python cannot read, so it is fetched and unpacked by hand.

    Reference:
        Levin, Weiss, Durand and Freeman, "Understanding and Evaluating Blind Deconvolution
        Algorithms", CVPR 2009.

    Note:
        The files' values are rounded to 8 bits here. Neither size nor checksum of the archive is
        published. That ``f`` is turned is what three public projects do before they convolve; it
        has not been compared with the authors' own code.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}  # noqa: RUF012 - as TFDS reads it
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    Get https://webee.technion.ac.il/people/anat.levin/papers/LevinEtalCVPR09Data.rar, put it there
    and unpack it (unrar x LevinEtalCVPR09Data.rar, or 7-Zip), so that im05_flit01.mat to
    im08_flit08.mat lie somewhere in LevinEtalCVPR09Data/ or Levin09blurdata/.
    """
    HOMEPAGE = "https://webee.technion.ac.il/people/anat.levin/"
    EXPECTED = {"test": 32}  # noqa: RUF012 - a constant

    def _more_features(self):
        return {
            "kernel": tfds.features.Tensor(shape=(None, None), dtype=np.float32, encoding="zlib")
        }

    def _split_generators(self, dl_manager):
        archive = archives.locate(dl_manager, [ARCHIVE])[ARCHIVE.file]
        files = {
            f"im{match[1]}/flit{match[2]}": name
            for name in archive.names
            if (match := _MEMBER.search(name))
        }
        shots = {"test": {name: {} for name in files}}
        archives.check_pairs(shots, (), self.EXPECTED, archive, "im<number>_flit<number>.mat")
        return {"test": self._generate_shots(archive, files)}

    def _generate_shots(self, archive, files):
        for name, file in sorted(files.items()):
            try:
                arrays = matlab.read_arrays(archive.read(file))
                sharp, blurred, kernel = (arrays[variable] for variable in "xyf")
            except (ValueError, KeyError) as error:
                raise DatasetError(
                    f"{archive.path}: {file}: expected the arrays x, y and f ({error})."
                    f" {archives.again(archive.published)}"
                ) from error
            yield (
                name,
                {
                    "name": name,
                    "blurred": _picture(blurred),
                    "sharp": _picture(sharp),
                    "kernel": np.rot90(kernel, 2).astype(np.float32),
                },
            )


def _picture(levels):
    return builders.picture(np.rint(np.clip(levels, 0, 1) * 255).astype(np.uint8))
