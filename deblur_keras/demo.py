"""Shows what a model does to photographs that need no download: those inside scikit-image's wheel.

Five colour photographs are blurred by seeded synthetic camera shake, restored and scored; one that
was shaken when it was taken, ``clock_motion``, is restored too, but has no sharp partner to be
scored against.
"""

import dataclasses
import importlib.util
from pathlib import Path

from deblur_keras import blur, images, sheets

PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")
"""The colour photographs that lie in scikit-image's own folder."""

BLURRED_PHOTOGRAPH = "clock_motion.png"
"""A grey photograph with real motion blur."""

_INSTALL = 'pip install "scikit-image>=0.25,<1"'
_CELL = 512  # px, width of a cell of the contact sheet


class DemoError(RuntimeError):
    """Says why the demonstration cannot run, and what to do about it."""


@dataclasses.dataclass(frozen=True)
class SyntheticPair:
    """Holds a sharp photograph and the shake that blurs it, in the place of a pair on disk.

    Attributes:
        name: Name of the photograph.
        path: Its file.
        psf: Point-spread function, ``(h, w)``, that `blur.motion_blur` takes.
    """

    name: str
    path: Path
    psf: object

    def read(self):
        """Reads the photograph and blurs it, in linear light.

        Returns:
            ``(blurred, sharp)``, uint8 RGB arrays of one shape ``(H, W, 3)``.
        """
        sharp = images.read(self.path)
        return blur.motion_blur(sharp, self.psf), sharp


def photograph_folder():
    """Finds the folder of photographs inside the installed scikit-image, without importing it.

    Returns:
        `pathlib.Path` of the folder.

    Raises:
        DemoError: If scikit-image is missing, or is a build without its photographs.
    """
    spec = importlib.util.find_spec("skimage")
    if spec is None or not spec.origin:
        raise DemoError(
            f"The demonstration's photographs come with scikit-image, which is missing: {_INSTALL}"
        )
    folder = Path(spec.origin).parent / "data"
    missing = [name for name in (*PHOTOGRAPHS, BLURRED_PHOTOGRAPH) if not (folder / name).is_file()]
    if missing:
        raise DemoError(
            f"The installed scikit-image has no {', '.join(missing)} in {folder}; this brings "
            f"them: {_INSTALL}"
        )
    return folder


def pairs(seed=0):
    """Makes the pairs of the demonstration: each photograph under a random shake of its own.

    Args:
        seed: Whole number from which the shakes are drawn.

    Returns:
        List of `SyntheticPair`.

    Raises:
        DemoError: See `photograph_folder`.

    Example:
        >>> [pair.name for pair in pairs()][:2]
        ['astronaut', 'chelsea']
    """
    folder = photograph_folder()
    psfs = blur.random_psfs(len(PHOTOGRAPHS), seed=seed)
    return [
        SyntheticPair(Path(name).stem, folder / name, psf)
        for name, psf in zip(PHOTOGRAPHS, psfs, strict=True)
    ]


def run(restorer, directory, seed=0, progress=None, facts=None):
    """Restores and scores the photographs, and writes what there is to look at.

    In the folder: ``contact_sheet.png`` (blurred, restored, sharp, with the scores below),
    ``restored/<name>.png`` and ``blurred/<name>.png``, ``scores.csv``, ``summary.json`` and
    ``run.json``. These files are replaced, others are left alone.

    Args:
        restorer: A `deblur_keras.Restorer`, or any callable from uint8 RGB ``(H, W, 3)`` to the
            same.
        directory: Folder to write to.
        seed: Whole number from which the shakes are drawn.
        progress: Object with ``start(name)`` and ``advance()``, called for each of the
            ``len(PHOTOGRAPHS) + 1`` photographs; or None.
        facts: Dictionary of further facts for ``summary.json``.

    Returns:
        The `deblur_keras.evaluation.Evaluation` of the photographs with a sharp partner.

    Raises:
        DemoError: See `photograph_folder`.
    """
    from deblur_keras.evaluation import evaluate_pairs

    directory = Path(directory)
    chosen = pairs(seed)
    facts = {"data": "scikit-image's photographs, synthetic blur", "seed": seed, **(facts or {})}
    evaluation = evaluate_pairs(
        restorer, chosen, directory, save_images=True, progress=progress, facts=facts
    )
    scores = {row.name: row for row in evaluation.rows}
    rows, captions = [], []
    for pair in chosen:
        if pair.name not in scores:
            continue
        row = scores[pair.name]
        blurred, sharp = pair.read()
        images.write(directory / "blurred" / f"{pair.name}.png", blurred)
        rows.append([blurred, images.read(directory / "restored" / f"{pair.name}.png"), sharp])
        captions.append(
            [
                f"{row.blurred['psnr']:.2f} dB, SSIM {row.blurred['ssim']:.3f}",
                f"{row.restored['psnr']:.2f} dB ({row.gain('psnr'):+.2f}), "
                f"SSIM {row.restored['ssim']:.3f}",
                pair.name,
            ]
        )

    name = Path(BLURRED_PHOTOGRAPH).stem
    if progress is not None:
        progress.start(name)
    blurred = images.read(photograph_folder() / BLURRED_PHOTOGRAPH)
    restored = restorer(blurred)
    images.write(directory / "blurred" / f"{name}.png", blurred)
    images.write(directory / "restored" / f"{name}.png", restored)
    rows.append([blurred, restored, None])
    captions.append([f"{name}: shaken when it was taken", "", "no sharp photograph exists"])
    if progress is not None:
        progress.advance()

    sheet = sheets.contact_sheet(rows, ["blurred", "restored", "sharp"], captions, cell=_CELL)
    images.write(directory / "contact_sheet.png", sheet)
    return evaluation
