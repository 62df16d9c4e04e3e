"""A training run as a folder: its configuration, logs, samples, weights, and how it goes on.

`RunConfig` is what the ``train`` command collects; `train` does what a user's own script would do
with `DeblurGAN`, ``fit`` and the callbacks.
"""

import dataclasses
import json
import math
from pathlib import Path

import keras

from deblur_keras import __version__, critics, datasets, generators, images
from deblur_keras.perceptual import PerceptualLoss
from deblur_keras.trainers import callbacks as cb
from deblur_keras.trainers.deblurgan import DeblurGAN, paper_adam
from deblur_keras.trainers.objectives import WassersteinGP

SAMPLES = 8
# SSIM needs 11 pixels, and the networks' reflections and strides a little more.
_SMALLEST_CROP = 16
# Where the data lie may change between two parts of a run; what was trained how may not.
_MAY_CHANGE = ("epochs", "sample_every", "data", "photographs", "validation", "vgg")
# Paper 003 mixes synthetic and real pairs 2 to 1 ("DeblurGAN-Comb").
SYNTHETIC_TO_REAL = (2, 1)


class RunError(ValueError):
    """A run that cannot be started or continued as asked."""


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """What a run is made of; each field is an option of ``deblur-keras train``.

    Attributes:
        data: Folder of blurred and sharp pairs, as `datasets.pairs` understands it.
        photographs: Folder of sharp photographs to blur at random; with ``data``, both are mixed.
        validation: Folder of pairs to score after each epoch; if not given, the ``val`` or
            ``valid`` split of ``data`` if there is one, else ``test``.
        blur: Blurred side of GoPro, ``"blur"`` or ``"blur_gamma"``.
        generator: ``"resnet"`` (the paper's) or ``"compact"`` (small, for training without a GPU).
        filters: Channels of the ResNet generator's first convolution.
        blocks: Residual blocks of the ResNet generator.
        upsampling: ``"transpose"`` or ``"resize"``, of the ResNet generator.
        dropout: Rate in the residual blocks.
        epochs: Passes over the data.
        steps_per_epoch: Updates that count as an epoch; one pass over the data if not given.
        batch: Crops an update.
        crop: Side of the crops in pixels.
        scale: Factor by which pairs are reduced first; photographs are not.
        learning_rate: Of both Adam optimizers; constant for half of the epochs, then linear to 0.
        content: ``"perceptual"``, ``"mse"``, ``"mae"``, ``"charbonnier"`` or ``"negative_psnr"``.
        content_weight: Factor of the content loss.
        vgg: File of VGG19 weights for the perceptual loss; Keras's own if not given.
        adversarial_weight: Factor of the adversarial loss.
        penalty_weight: Factor of the gradient penalty.
        penalty_mode: ``"per_sample"`` or ``"pixelwise"``.
        critic_steps: Critic updates before each generator update.
        sample_every: Generator updates between two sheets in ``samples/``.
        seed: Seed of weights, data and dropout.
    """

    data: str | None = None
    photographs: str | None = None
    validation: str | None = None
    blur: str = "blur"
    generator: str = "resnet"
    filters: int = 64
    blocks: int = 9
    upsampling: str = "transpose"
    dropout: float = 0.5
    epochs: int = 300
    steps_per_epoch: int | None = None
    batch: int = 1
    crop: int = 256
    scale: float = 0.5
    learning_rate: float = 1e-4
    content: str = "perceptual"
    content_weight: float = 100.0
    vgg: str | None = None
    adversarial_weight: float = 1.0
    penalty_weight: float = 10.0
    penalty_mode: str = "per_sample"
    critic_steps: int = 5
    sample_every: int = 500
    seed: int = 0


def train(config, directory, verbose="auto", resume=False):
    """Trains a generator as configured and keeps everything in a run folder.

    The folder gets ``config.json``, ``history.csv``, ``tensorboard/``, ``samples/``, ``state/``,
    ``generator.keras`` (highest PSNR so far, on the validation pairs if there are any) and
    ``generator-last.keras``.

    Args:
        config: A `RunConfig`.
        directory: The run folder.
        verbose: As in ``keras.Model.fit``.
        resume: Whether to go on with the run that is in the folder.

    Returns:
        The path of ``generator.keras``.

    Raises:
        RunError: If the folder holds a run and ``resume`` is off, or the configuration has no data
            or disagrees with the run that is to be continued.
        FileNotFoundError: If there is nothing to continue.
        FloatingPointError: If the training diverges; see `callbacks.StopOnDivergence`.
        DatasetError: If the data cannot be used; see `datasets.pairs`.
    """
    directory = Path(directory)
    keras.utils.set_random_seed(config.seed)
    _check_folder(config, directory, resume)
    trainer = build(config)
    _check_crop(config, trainer.generator)
    state = cb.TrainingState(trainer, directory / "state")
    first_epoch = state.restore() if resume else 0
    if first_epoch >= config.epochs:
        raise RunError(
            f"The run in {directory} has finished its {first_epoch} epochs; continue it with a "
            f"larger --epochs than {config.epochs}."
        )
    updates = int(trainer.generator_optimizer.iterations.numpy())
    training, validation, steps = _data(config, first_epoch, updates)
    samples = _samples(config, validation)
    # From here on the folder is a run that --resume can continue, whatever happens.
    if not resume:
        state.save()
    _write_config(config, directory)

    saver = cb.SaveGenerator(
        directory,
        monitor="val_psnr" if validation is not None else "psnr",
        best=float(state.best.numpy()),
    )
    state.watch(saver)
    half = max(config.epochs // 2, 1)
    try:
        trainer.fit(
            training,
            epochs=config.epochs,
            initial_epoch=first_epoch,
            steps_per_epoch=steps,
            validation_data=validation,
            verbose=verbose,
            shuffle=False,  # the streams shuffle by themselves
            callbacks=[
                cb.LinearDecay(config.learning_rate, config.epochs - half, half),
                cb.StopOnDivergence(),  # before anything is saved
                saver,
                state,  # behind the saver, whose best value it keeps
                cb.SampleSheets(directory / "samples", samples, config.sample_every),
                keras.callbacks.CSVLogger(directory / "history.csv", append=resume),
                keras.callbacks.TensorBoard(directory / "tensorboard", write_graph=False),
            ],
        )
    except KeyboardInterrupt:
        state.save()
        saver.save("generator-last.keras")
        raise
    return directory / "generator.keras"


def build(config):
    """Builds and compiles the trainer of a configuration.

    Args:
        config: A `RunConfig`.

    Returns:
        A compiled `DeblurGAN`.

    Raises:
        RuntimeError: If the perceptual loss has no weights; see `PerceptualLoss`.
        ValueError: If a field is out of range.
    """
    if config.generator == "compact":
        generator = generators.compact_generator()
    elif config.generator == "resnet":
        generator = generators.resnet_generator(
            config.filters, config.blocks, dropout=config.dropout, upsampling=config.upsampling
        )
    else:
        raise RunError(f"generator must be 'resnet' or 'compact'; received {config.generator!r}.")
    content = config.content
    if content == "perceptual":
        content = PerceptualLoss(weights=config.vgg or "imagenet")
    trainer = DeblurGAN(generator, critics.patch_critic(), seed=config.seed)
    trainer.compile(
        paper_adam(config.learning_rate),
        paper_adam(config.learning_rate),
        adversarial=WassersteinGP(config.penalty_weight, config.penalty_mode),
        adversarial_weight=config.adversarial_weight,
        content=content,
        content_weight=config.content_weight,
        critic_steps=config.critic_steps,
    )
    return trainer


def read_config(directory):
    """Reads the configuration of a run.

    Args:
        directory: The run folder.

    Returns:
        A `RunConfig`.

    Raises:
        RunError: If there is none, or one of another version of the library.
    """
    path = Path(directory) / "config.json"
    if not path.is_file():
        raise RunError(f"No run in {directory}: {path.name} is missing. Start it without --resume.")
    try:
        values = json.loads(path.read_text())
    except ValueError as error:
        raise RunError(f"{path} is not readable as JSON ({error}); restore it.") from error
    if not isinstance(values, dict):
        raise RunError(f"{path} does not hold the fields of a run; restore it.")
    version = values.pop("deblur_keras", "unknown")
    known = {field.name for field in dataclasses.fields(RunConfig)}
    if unknown := sorted(set(values) - known):
        raise RunError(
            f"{path} was written by deblur_keras {version} and has fields that {__version__} does "
            f"not know: {', '.join(unknown)}. Continue the run with that version."
        )
    return RunConfig(**values)


def _write_config(config, directory):
    values = {"deblur_keras": __version__, **dataclasses.asdict(config)}
    images.write_bytes(directory / "config.json", json.dumps(values, indent=2).encode() + b"\n")


def _check_folder(config, directory, resume):
    if not (config.data or config.photographs):
        raise RunError(
            "Nothing to train on: give --data (a folder of blurred and sharp pairs), --photographs "
            "(a folder of sharp photographs, blurred at random), or both."
        )
    if not resume:
        if directory.exists() and any(directory.iterdir()):
            raise RunError(
                f"{directory} is not empty. Continue the run in it with --resume, or choose "
                "another folder."
            )
        return
    before = dataclasses.asdict(read_config(directory))
    changed = [
        f"{name} was {before[name]!r}, now {value!r}"
        for name, value in dataclasses.asdict(config).items()
        if name not in _MAY_CHANGE and before[name] != value
    ]
    if changed:
        raise RunError(
            f"The run in {directory} cannot be continued with other settings: {'; '.join(changed)}."
        )


def _check_crop(config, generator):
    multiple = generators.size_multiple(generator)
    if config.crop < _SMALLEST_CROP or config.crop % multiple:
        below = max(config.crop // multiple * multiple, _SMALLEST_CROP)
        raise RunError(
            f"The {config.generator} generator trains on crops of at least {_SMALLEST_CROP} pixels "
            f"a side, in multiples of {multiple}; received a crop of {config.crop}. Use "
            f"{below} or {below + multiple}."
        )


def _data(config, first_epoch, updates=0):
    """Makes the training stream, the validation stream (or None), and the steps of an epoch."""

    def begin(count):
        # A stream that repeats counts passes over its own images, which are not the run's epochs.
        return math.ceil(updates * config.batch / count) if repeat else first_epoch

    common = {"crop": config.crop, "batch": config.batch, "seed": config.seed}
    pairs = _training_pairs(config)
    mixing = bool(pairs and config.photographs)
    repeat = mixing or config.steps_per_epoch is not None
    streams = []
    if config.photographs:
        photographs = [source.path for source in images.find([config.photographs])]
        if not photographs:
            raise RunError(f"{config.photographs}: there are no photographs to train on.")
        first = begin(len(photographs))
        streams.append(datasets.synthetic(photographs, repeat=repeat, first_epoch=first, **common))
    if pairs:
        first = begin(len(pairs))
        streams.append(
            datasets.paired(pairs, scale=config.scale, repeat=repeat, first_epoch=first, **common)
        )
    training, steps = streams[-1], config.steps_per_epoch
    if mixing:
        training = datasets.mix(streams, SYNTHETIC_TO_REAL, seed=config.seed + first_epoch)
        # One pass over the pairs, with twice as many synthetic crops between them.
        steps = steps or math.ceil(len(pairs) * sum(SYNTHETIC_TO_REAL) / config.batch)
    validation_pairs = _validation_pairs(config)
    validation = None
    if validation_pairs:
        validation = datasets.paired(
            validation_pairs,
            scale=config.scale,
            shuffle=False,
            flip=False,
            fixed=True,
            **{**common, "batch": 1},
        )
    return training, validation, steps


def _training_pairs(config):
    if not config.data:
        return []
    split = "train" if "train" in datasets.splits(config.data, config.blur) else None
    return datasets.pairs(config.data, split=split, blur=config.blur)


def _validation_pairs(config):
    if config.validation:
        return datasets.pairs(config.validation, blur=config.blur)
    if config.data:
        # A set of its own to choose the best weights by, before the one to report on.
        present = [s for s in datasets.splits(config.data, config.blur) if s != "train"]
        if present:
            split = min(present, key=lambda split: split == "test")
            return datasets.pairs(config.data, split=split, blur=config.blur)
    return []


def _samples(config, validation):
    """Takes the crops of the sample sheets: validation crops, or else training crops."""
    if validation is None:
        common = {"crop": config.crop, "seed": config.seed, "fixed": True}
        pairs = _training_pairs(config)
        validation = (
            datasets.paired(pairs, scale=config.scale, **common)
            if pairs
            else datasets.synthetic(config.photographs, **common)
        )
    chosen = list(validation.unbatch().take(SAMPLES).as_numpy_iterator())
    return [[pair[side] for pair in chosen] for side in (0, 1)]
