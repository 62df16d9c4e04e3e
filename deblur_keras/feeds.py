"""What a run is fed with: the streams of training, validation and sample sheets.

Here the folders that a user names become `datasets` streams, as the recipe wants them: pairs, sharp
photographs to blur, a mix of both, or blurred and sharp photographs without partners.
"""

import dataclasses
import math

from deblur_keras import datasets, images
from deblur_keras.datasets import DatasetError

SAMPLES = 8


@dataclasses.dataclass(frozen=True)
class Sources:
    """Holds where the data of a run lie.

    Attributes:
        data: Folder of blurred and sharp pairs, as `datasets.pairs` understands it.
        photographs: Folder of sharp photographs: to be blurred at random, mixed with ``data`` if
            both are given; for a CycleGAN its sharp side.
        blurred: Folder of blurred photographs without partners, for a CycleGAN.
        validation: Folder of pairs to score after each epoch; if not given, the ``val`` or
            ``valid`` split of ``data`` if there is one, else ``test``.
        blur: Blurred side of GoPro, ``"blur"`` or ``"blur_gamma"``.
    """

    data: str | None = None
    photographs: str | None = None
    blurred: str | None = None
    validation: str | None = None
    blur: str = "blur"

    def training_pairs(self):
        """Finds the pairs to train on; none if there is no ``data``."""
        if not self.data:
            return []
        split = "train" if "train" in datasets.splits(self.data, self.blur) else None
        return datasets.pairs(self.data, split=split, blur=self.blur)

    def validation_pairs(self):
        """Finds the pairs to choose the best weights by; none if there are none."""
        if self.validation:
            return datasets.pairs(self.validation, blur=self.blur)
        if self.data:
            # A set of its own to choose by, before the one to report on.
            present = [s for s in datasets.splits(self.data, self.blur) if s != "train"]
            if present:
                split = min(present, key=lambda split: split == "test")
                return datasets.pairs(self.data, split=split, blur=self.blur)
        return []


@dataclasses.dataclass(frozen=True)
class Feed:
    """Holds the streams of a run.

    Attributes:
        training: `tf.data.Dataset` of (blurred, sharp) batches in [-1, 1].
        validation: The same of pairs, always the same crops; None if there are no pairs.
        steps: Batches that count as an epoch; None for one pass over the data.
        samples: ``(blurred, sharp)`` crops for the sample sheets; without partners sharp is None.
    """

    training: object
    validation: object
    steps: int | None
    samples: tuple


def feed(recipe, sources, seed=0, steps_per_epoch=None, first_epoch=0, updates=0):
    """Makes the streams of a run.

    Args:
        recipe: A `recipes.Recipe`: its trainer, crop, batch, scale and mix.
        sources: `Sources`.
        seed: Seed of the crops and all else that is random.
        steps_per_epoch: Batches that count as an epoch; one pass over the data if not given.
        first_epoch: Epochs that are done already, to go on with the next.
        updates: Updates that are done already.

    Returns:
        A `Feed`.

    Raises:
        DatasetError: If there is nothing to train on, or nothing that this trainer can use.
        ImageError: If a folder does not exist.
    """
    make = _unpaired if recipe.trainer == "CycleGAN" else _paired
    common = {"crop": recipe.crop, "batch": recipe.batch, "seed": seed}

    def begin(count, repeat):
        # A stream that repeats counts passes over its own images, which are not the run's epochs.
        return math.ceil(updates * recipe.batch / count) if repeat else first_epoch

    pairs = sources.training_pairs()
    training, steps, fixed = make(recipe, sources, pairs, steps_per_epoch, begin, common)
    validation = None
    if validation_pairs := sources.validation_pairs():
        validation = datasets.paired(
            validation_pairs,
            scale=recipe.scale,
            shuffle=False,
            flip=False,
            fixed=True,
            **{**common, "batch": 1},
        )
        fixed = validation
    chosen = list(fixed.unbatch().take(SAMPLES).as_numpy_iterator())
    partners = validation is not None or recipe.trainer != "CycleGAN"
    samples = [pair[0] for pair in chosen], [pair[1] for pair in chosen] if partners else None
    return Feed(training, validation, steps, samples)


def _paired(recipe, sources, pairs, steps, begin, common):
    """Makes the stream of pairs, of photographs blurred at random, or of both mixed."""
    if sources.blurred:
        raise DatasetError(
            f"{sources.blurred}: {recipe.name} learns from pairs, not from blurred photographs "
            "without partners. Give --data or --photographs, or train cyclegan."
        )
    if not (sources.data or sources.photographs):
        raise DatasetError(
            "Nothing to train on: give --data (a folder of blurred and sharp pairs), --photographs "
            "(a folder of sharp photographs, blurred at random), or both."
        )
    mixing = bool(pairs and sources.photographs)
    repeat = mixing or steps is not None
    streams, fixed = [], []
    if sources.photographs:
        files = _photographs(sources.photographs)
        first = begin(len(files), repeat)
        streams.append(datasets.synthetic(files, repeat=repeat, first_epoch=first, **common))
        fixed.append(lambda: datasets.synthetic(files, fixed=True, **common))
    if pairs:
        first = begin(len(pairs), repeat)
        scale = {"scale": recipe.scale}
        streams.append(datasets.paired(pairs, repeat=repeat, first_epoch=first, **scale, **common))
        fixed.append(lambda: datasets.paired(pairs, fixed=True, **scale, **common))
    training = streams[-1]
    if mixing:
        ratio = recipe.synthetic_to_real
        training = datasets.mix(streams, ratio, seed=common["seed"] + begin(len(pairs), False))
        # One pass over the pairs, with the synthetic crops between them.
        steps = steps or math.ceil(len(pairs) * sum(ratio) / ratio[1] / recipe.batch)
    return training, steps, fixed[-1]()


def _unpaired(recipe, sources, pairs, steps, begin, common):
    """Makes the stream of blurred and sharp photographs that do not belong together."""
    blurred = _photographs(sources.blurred) if sources.blurred else [p.blurred for p in pairs]
    sharp = _photographs(sources.photographs) if sources.photographs else [p.sharp for p in pairs]
    if not (blurred and sharp):
        raise DatasetError(
            f"{recipe.name} needs blurred and sharp photographs: give --blurred and --photographs "
            "(two folders that need not belong together), or --data (pairs, each side shuffled by "
            f"itself). Received {'no blurred' if not blurred else 'no sharp'} ones."
        )
    repeat = steps is not None
    first = begin(max(len(blurred), len(sharp)), repeat)
    options = {"scale": recipe.scale, **common}
    training = datasets.unpaired(blurred, sharp, repeat=repeat, first_epoch=first, **options)
    return training, steps, datasets.unpaired(blurred, sharp, fixed=True, **options)


def _photographs(folder):
    found = [source.path for source in images.find([folder])]
    if not found:
        raise DatasetError(f"{folder}: there are no photographs to train on.")
    return found
