"""What a run is fed with: the streams of training, validation and sample sheets.

Here the folders that a user names become `datasets` streams, as the recipe wants them: pairs, sharp
photographs to blur, a mix of both, or blurred and sharp photographs without partners.
"""

import dataclasses
import math

from deblur_keras import datasets, images
from deblur_keras.datasets import DatasetError, mixtures

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
        validation: The same as ``data``, to score after each epoch; if not given, it is ``data``.
            Of splits, ``val`` or ``valid`` is taken if there is one, else ``test``.
        blur: Blurred side of GoPro, ``"blur"`` or ``"blur_gamma"``.
        split: Split of ``data`` to train on; if not given, ``train`` where there is one.
    """

    data: str | None = None
    photographs: str | None = None
    blurred: str | None = None
    validation: str | None = None
    blur: str = "blur"
    split: str | None = None


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
        training: `tf.data.Dataset` of (blurred, sharp) batches in [-1, 1], without end.
        validation: The same of pairs, always the same crops; None if there are no pairs.
        steps: Batches that count as an epoch.
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
    pairs = training_pairs(sources)
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
    return Found(pairs, sharp, blurred, validation_pairs(sources))


def training_pairs(sources):
    """Finds the pairs to train on: those of the split ``train`` where there is one.

    Args:
        sources: `Sources`.

    Returns:
        List of `datasets.Pair`, empty if there is no ``data``.

    Raises:
        DatasetError: If there are none in it, or its splits are others.
    """
    if not sources.data:
        return []
    split = sources.split
    if split is None and "train" in datasets.splits(sources.data, sources.blur):
        split = "train"
    return datasets.pairs(sources.data, split=split, blur=sources.blur)


def validation_pairs(sources):
    """Finds the pairs to choose weights by: of splits one that is not trained on.

    Args:
        sources: `Sources`.

    Returns:
        List of `datasets.Pair`, empty if there are none apart from those to train on.

    Raises:
        DatasetError: If there are none in ``validation``.
    """
    source = sources.validation or sources.data
    if not source:
        return []
    used = {"train"} if sources.validation else {"train", sources.split}
    present = [split for split in datasets.splits(source, sources.blur) if split not in used]
    if present:
        # A set of its own to choose by, before the one to report on.
        split = min(present, key=lambda split: split == "test")
        return datasets.pairs(source, split=split, blur=sources.blur)
    return datasets.pairs(source, blur=sources.blur) if sources.validation else []


def _photographs(folder):
    if not folder:
        return []
    found = [source.path for source in images.find([folder])]
    if not found:
        raise DatasetError(f"{folder}: there are no photographs to train on.")
    return found


def feed(
    recipe,
    found,
    seed=0,
    steps_per_epoch=None,
    first_batch=0,
    *,
    cache=False,
    max_bad=10,
    validation_batch=1,
):
    """Makes the streams of a run.

    Args:
        recipe: As `training` takes it, and all the others.
        found: What `find` returned for the recipe.
        seed: Seed of the crops and all else that is random.
        steps_per_epoch: Batches that count as an epoch; one pass over the data if not given.
        first_batch: Batches that are done already; the very next ones follow.
        cache: Where decoded images are kept, those of validation too.
        max_bad: Images that may turn out unusable, of training and of validation.
        validation_batch: Crops of validation that are scored at once.

    Returns:
        A `Feed`.

    Raises:
        DatasetError: If an image is on both sides of unpaired data, or a cache does not fit.
    """
    kept = {"cache": cache, "max_bad": max_bad}
    # First, because it tells of the larger cache.
    stream, steps = training(recipe, found, seed, steps_per_epoch, first_batch, **kept)
    fixed = {"crop": recipe.crop, "seed": seed, "fixed": True, "max_bad": max_bad}
    pairs = {"scale": recipe.scale, **fixed}
    validation = None
    if found.validation:
        validation = datasets.paired(
            found.validation,
            **{"shuffle": False, "flip": False, "cache": cache, "batch": validation_batch},
            **pairs,
        )
        shown = validation
    elif recipe.trainer == "CycleGAN":
        shown = datasets.unpaired(found.blurred, found.sharp, **pairs)
    elif found.pairs:
        shown = datasets.paired(found.pairs, **pairs)
    else:
        shown = datasets.synthetic(found.sharp, **recipe.blur(), **fixed)
    chosen = list(shown.unbatch().take(SAMPLES).as_numpy_iterator())
    partners = validation is not None or recipe.trainer != "CycleGAN"
    samples = [pair[0] for pair in chosen], [pair[1] for pair in chosen] if partners else None
    return Feed(stream, validation, steps, samples)


def training(
    recipe,
    found,
    seed=0,
    steps_per_epoch=None,
    first_batch=0,
    *,
    cache=False,
    max_bad=10,
):
    """Makes the stream that a run trains on, which `feed` makes with those beside it.

    Args:
        recipe: A `recipes.Recipe`: its trainer, crop, batch, scale, crops an image, mix, and what
            the camera does that blurs photographs.
        found: As in `feed`.
        seed: As in `feed`.
        steps_per_epoch: As in `feed`.
        first_batch: As in `feed`.
        cache: True keeps decoded images in memory, a folder there; see `datasets.paired`.
        max_bad: Images that may turn out unusable before training stops.

    Returns:
        The stream, without end, and the steps of an epoch. If not given they are those of one pass
        over the data, of pairs where both kinds are mixed; a last batch that the data do not fill
        is filled from the next pass.

    Raises:
        DatasetError: As `feed` says.
    """
    crops = recipe.crops_per_image
    common = {
        **{"crop": recipe.crop, "batch": recipe.batch, "seed": seed, "repeat": True},
        **{"crops_per_image": crops, "cache": cache, "max_bad": max_bad},
    }

    def one_pass(count):
        return math.ceil(count * crops / recipe.batch)

    def synthetic(begin):
        return datasets.synthetic(found.sharp, first_batch=begin, **recipe.blur(), **common)

    def paired(begin):
        return datasets.paired(found.pairs, scale=recipe.scale, first_batch=begin, **common)

    if recipe.trainer == "CycleGAN":
        sides = found.blurred, found.sharp
        stream = datasets.unpaired(*sides, scale=recipe.scale, first_batch=first_batch, **common)
        return stream, steps_per_epoch or one_pass(max(map(len, sides)))
    if not found.pairs:
        return synthetic(first_batch), steps_per_epoch or one_pass(len(found.sharp))
    if not found.sharp:
        return paired(first_batch), steps_per_epoch or one_pass(len(found.pairs))
    ratio = recipe.synthetic_to_real
    begins = mixtures.drawn(ratio, seed, first_batch)
    streams = [synthetic(begins[0]), paired(begins[1])]
    mixed = datasets.mix(streams, ratio, seed=seed, first_batch=first_batch)
    # One pass over the pairs, with the synthetic crops between them.
    return mixed, steps_per_epoch or one_pass(len(found.pairs) * sum(ratio) / ratio[1])
