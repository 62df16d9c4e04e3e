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
        data: Folder of blurred and sharp pairs, or the name of a dataset, as `datasets.pairs`
            understands them.
        photographs: Folder of sharp photographs: to be blurred at random, mixed with ``data`` if
            both are given; for a CycleGAN its sharp side.
        blurred: Folder of blurred photographs without partners, for a CycleGAN.
        validation: The same, to score after each epoch; if not given, the ``val`` or ``valid``
            split of ``data`` if there is one, else ``test``.
        blur: Blurred side of GoPro, ``"blur"`` or ``"blur_gamma"``.
    """

    data: str | None = None
    photographs: str | None = None
    blurred: str | None = None
    validation: str | None = None
    blur: str = "blur"


@dataclasses.dataclass(frozen=True)
class Found:
    """Holds what was found in `Sources`, of what a recipe trains on.

    Attributes:
        pairs: Pairs to train on, as from `datasets.pairs`.
        sharp: Sharp photographs: files, or `records.Stored` images of a prepared dataset.
        blurred: Blurred photographs without partners, the same.
        validation: Pairs to choose the best weights by.
    """

    pairs: list
    sharp: list
    blurred: list
    validation: list


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


def find(recipe, sources):
    """Finds the photographs of a run, and checks that the recipe's trainer can use them.

    Args:
        recipe: A `recipes.Recipe`.
        sources: `Sources`.

    Returns:
        A `Found`.

    Raises:
        DatasetError: If there is nothing to train on, or nothing that this trainer can use.
        ImageError: If a folder does not exist.
    """
    unpaired = recipe.trainer == "CycleGAN"
    if sources.blurred and not unpaired:
        raise DatasetError(
            f"{sources.blurred}: {recipe.name} learns from pairs, not from blurred photographs "
            "without partners. Give --data or --photographs, or train cyclegan."
        )
    if not (sources.data or sources.photographs or unpaired):
        raise DatasetError(
            "Nothing to train on: give --data (a folder of blurred and sharp pairs), --photographs "
            "(a folder of sharp photographs, blurred at random), or both."
        )
    pairs = _training_pairs(sources)
    sharp, blurred = _photographs(sources.photographs), _photographs(sources.blurred)
    if unpaired:
        # Of pairs, each side is a set by itself, with an order and crops of its own.
        sharp = sharp or [pair.sharp for pair in pairs]
        blurred = blurred or [pair.blurred for pair in pairs]
        if not (sharp and blurred):
            missing = [name for name, side in (("blurred", blurred), ("sharp", sharp)) if not side]
            raise DatasetError(
                f"{recipe.name} needs blurred and sharp photographs: give --blurred and "
                "--photographs (two folders that need not belong together), or --data (pairs, each "
                f"side shuffled by itself). Received no {' and no '.join(missing)} ones."
            )
    return Found(pairs, sharp, blurred, _validation_pairs(sources))


def _training_pairs(sources):
    if not sources.data:
        return []
    split = "train" if "train" in datasets.splits(sources.data, sources.blur) else None
    return datasets.pairs(sources.data, split=split, blur=sources.blur)


def _validation_pairs(sources):
    if sources.validation:
        return datasets.pairs(sources.validation, blur=sources.blur)
    if sources.data:
        # A set of its own to choose by, before the one to report on.
        present = [s for s in datasets.splits(sources.data, sources.blur) if s != "train"]
        if present:
            split = min(present, key=lambda split: split == "test")
            return datasets.pairs(sources.data, split=split, blur=sources.blur)
    return []


def _photographs(folder):
    if not folder:
        return []
    found = [source.path for source in images.find([folder])]
    if not found:
        raise DatasetError(f"{folder}: there are no photographs to train on.")
    return found


def feed(recipe, found, seed=0, steps_per_epoch=None, first_epoch=0, updates=0):
    """Makes the streams of a run.

    Args:
        recipe: A `recipes.Recipe`: its trainer, crop, batch, scale and mix.
        found: What `find` returned for it.
        seed: Seed of the crops and all else that is random.
        steps_per_epoch: Batches that count as an epoch; one pass over the data if not given.
        first_epoch: Epochs that are done already, to go on with the next.
        updates: Updates that are done already.

    Returns:
        A `Feed`.

    Raises:
        DatasetError: If an image is on both sides of unpaired data.
    """
    make = _unpaired if recipe.trainer == "CycleGAN" else _paired
    common = {"crop": recipe.crop, "batch": recipe.batch, "seed": seed}

    def begin(count, repeat):
        # A stream that repeats counts passes over its own images, which are not the run's epochs.
        return math.ceil(updates * recipe.batch / count) if repeat else first_epoch

    training, steps, fixed = make(recipe, found, steps_per_epoch, begin, common)
    validation = None
    if found.validation:
        validation = datasets.paired(
            found.validation,
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


def _paired(recipe, found, steps, begin, common):
    """Makes the stream of pairs, of photographs blurred at random, or of both mixed.

    Returns:
        The stream, the steps of an epoch or None, and a stream that repeats the same crops.
    """
    mixing = bool(found.pairs and found.sharp)
    repeat = mixing or steps is not None
    streams = []
    if found.sharp:
        first = begin(len(found.sharp), repeat)
        streams.append(datasets.synthetic(found.sharp, repeat=repeat, first_epoch=first, **common))
        fixed = datasets.synthetic(found.sharp, fixed=True, **common)
    if found.pairs:
        first = begin(len(found.pairs), repeat)
        options = {"scale": recipe.scale, **common}
        streams.append(datasets.paired(found.pairs, repeat=repeat, first_epoch=first, **options))
        fixed = datasets.paired(found.pairs, fixed=True, **options)
    if not mixing:
        return streams[0], steps, fixed
    ratio = recipe.synthetic_to_real
    seed = common["seed"] + begin(len(found.pairs), False)
    # One pass over the pairs, with the synthetic crops between them.
    steps = steps or math.ceil(len(found.pairs) * sum(ratio) / ratio[1] / recipe.batch)
    return datasets.mix(streams, ratio, seed=seed), steps, fixed


def _unpaired(recipe, found, steps, begin, common):
    """Makes the stream of photographs that do not belong together; returns as `_paired`."""
    sides = found.blurred, found.sharp
    repeat = steps is not None
    first = begin(max(map(len, sides)), repeat)
    options = {"scale": recipe.scale, **common}
    training = datasets.unpaired(*sides, repeat=repeat, first_epoch=first, **options)
    return training, steps, datasets.unpaired(*sides, fixed=True, **options)
