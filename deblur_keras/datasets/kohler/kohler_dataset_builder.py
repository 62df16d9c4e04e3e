"""The dataset of Koehler et al. (ECCV 2012): real camera shake, played back by a robot."""

import re

import numpy as np
import tensorflow_datasets as tfds

from deblur_keras.datasets import archives, builders
from deblur_keras.datasets.kohler_folder import FRAMES

_BLURRED = re.compile(r"(?:^|/)Blurry(\d+)_(\d+)\.png$")
_FRAME = re.compile(r"(?:^|/)GroundTruth(\d+)_(\d+)_(\d+)\.png$")
_URL = "http://people.kyb.tuebingen.mpg.de/rolfk/BenchmarkECCV2012/"
_PAGE = "https://webdav.tuebingen.mpg.de/pixel/benchmark4camerashake/"


def _published(stem, md5, marks):
    return archives.Published(
        file=f"{stem}.zip",
        page=_PAGE,
        size="size not published",
        url=f"{_URL}{stem}.zip",
        checksum=f"md5:{md5}",
        folders=(stem, "."),
        marks=marks,
    )


ARCHIVES = (
    _published("BlurryImages", "61ffb1434d93fca6c508976a7216d723", ("Blurry1_1.png",)),
    _published("GroundTruth_pngs_Image1", "acb90b6d9bfdb4b2370e08a5fcb80e68", ("Image1",)),
    _published("GroundTruth_pngs_Image2", "da440d3bf43b32bec0b7170ccd828f29", ("Image2",)),
    _published("GroundTruth_pngs_Image3", "3a77c41c951367f35db52eb18496bbac", ("Image3",)),
    _published("GroundTruth_pngs_Image4", "72ce9690c3ed1296358653396cf9576d", ("Image4",)),
)


class Builder(builders.PairBuilder):
    """Makes the dataset of Koehler et al.: 48 shots, each with its 198 to 200 sharp frames.

    What the ground truth is: the shake of people's hands was recorded in six dimensions; a robot
    played 12 of these trajectories back, holding a camera before 4 printed photographs. A blurred
    shot is one long exposure of such a movement; then the robot stopped at some 199 points of the
    same trajectory, and at each a sharp photograph was taken. None of them is *the* ground truth:
    the authors' protocol compares a result with every frame, after scaling and shifting it, and
    takes the best score (`frames`). ``sharp`` is the middle frame, which is enough to look at a
    pair, and to train; scores against it alone are lower than the published ones.

    An example has the ``name`` ``"image<1 to 4>/trajectory<01 to 12>"``, ``image`` and
    ``trajectory`` as numbers, ``blurred``, ``sharp`` and the sequence ``frames``. Decoded, the
    frames of one shot take some 400 MB; ``decoders={"frames": tfds.decode.SkipDecoding()}`` leaves
    them packed, and `deblur_keras.datasets.catalog.pairs` reads one at a time.

    The archives are looked for in the manual folder first, packed or unpacked, and downloaded else.

    Reference:
        Koehler, Hirsch, Mohler, Schoelkopf and Harmeling, "Recording and Playback of Camera Shake:
        Benchmarking Blind Deconvolution with a Real-World Database", ECCV 2012.

    Note:
        Addresses, checksums and the numbers of frames are those that the library deepinv downloads
        and checks with; whether that server still answers could not be tried.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}  # noqa: RUF012 - as TFDS reads it
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    BlurryImages.zip and GroundTruth_pngs_Image1.zip to GroundTruth_pngs_Image4.zip are downloaded
    unless they lie there already, as they are or unpacked. To fetch them by hand:
    https://webdav.tuebingen.mpg.de/pixel/benchmark4camerashake/ .
    """
    HOMEPAGE = _PAGE
    EXPECTED = {"test": 48}  # noqa: RUF012 - a constant

    def _more_features(self):
        return {
            "image": tfds.features.Scalar(np.int64),
            "trajectory": tfds.features.Scalar(np.int64),
            "frames": tfds.features.Sequence(builders.photograph()),
        }

    def _split_generators(self, dl_manager):
        found = archives.locate(dl_manager, list(ARCHIVES))
        blurred = {}
        shots = {}
        for archive in found.values():
            for name in archive.names:
                if match := _BLURRED.search(name):
                    blurred[tuple(map(int, match.groups()))] = (archive, name)
                elif match := _FRAME.search(name):
                    image, trajectory, number = map(int, match.groups())
                    shots.setdefault((image, trajectory), {})[number] = (archive, name)
        pairs = {_name(shot): {"blurred": member} for shot, member in blurred.items()}
        for shot, frames in shots.items():
            pairs.setdefault(_name(shot), {})["sharp"] = next(iter(frames.values()))
        first = found[ARCHIVES[0].file]
        pattern = "Blurry<image>_<trajectory>.png and GroundTruth<image>_<trajectory>_<frame>.png"
        archives.check_pairs({"test": pairs}, ("blurred", "sharp"), self.EXPECTED, first, pattern)
        for (image, trajectory), frames in sorted(shots.items()):
            archives.check_pairs(
                {_name((image, trajectory)): frames},
                (),
                {_name((image, trajectory)): FRAMES.get((image, trajectory), 0)},
                found[f"GroundTruth_pngs_Image{image}.zip"],
                pattern,
                what="frames",
            )
        return {"test": self._generate_shots(blurred, shots)}

    def _generate_shots(self, blurred, shots):
        for (image, trajectory), frames in sorted(shots.items()):
            packed = [archive.read_image(name) for _, (archive, name) in sorted(frames.items())]
            archive, name = blurred[image, trajectory]
            key = _name((image, trajectory))
            yield (
                key,
                {
                    "name": key,
                    "image": image,
                    "trajectory": trajectory,
                    "blurred": archive.read_image(name),
                    "sharp": packed[(len(packed) - 1) // 2],
                    "frames": packed,
                },
            )


def _name(shot):
    return f"image{shot[0]}/trajectory{shot[1]:02}"
