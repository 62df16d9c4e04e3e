"""A training run as a folder: its configuration, logs, samples, weights, and how it goes on.

`RunConfig` is what the ``train`` command collects; `train` does what a user's own script would do
with a recipe's trainer, ``fit`` and the callbacks.
"""

import dataclasses
import json
from pathlib import Path

import keras

from deblur_keras import __version__, feeds, generators, images, recipes
from deblur_keras.trainers import callbacks as cb

# Where data lie and are kept may change between two parts of a run; what was trained how may not.
_MAY_CHANGE = (
    *("epochs", "sample_every", "data", "photographs", "blurred", "validation", "vgg"),
    *("cache", "max_bad"),
)


class RunError(ValueError):
    """A run that cannot be started or continued as asked."""


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """What a run is made of.

    Attributes:
        recipe: The system and how it is trained, a `recipes.Recipe`.
        sources: Where the data lie, a `feeds.Sources`.
        steps_per_epoch: Updates that count as an epoch; one pass over the data if not given.
        vgg: File of VGG weights for the perceptual loss; Keras's own if not given.
        sample_every: Generator updates between two sheets in ``samples/``.
        seed: Seed of weights, data and dropout.
        cache: Where decoded images are kept: True for memory, or a folder; see `datasets.paired`.
        max_bad: Images that may turn out unusable before training stops.
    """

    recipe: recipes.Recipe
    sources: feeds.Sources = dataclasses.field(default_factory=feeds.Sources)
    steps_per_epoch: int | None = None
    vgg: str | None = None
    sample_every: int = 500
    seed: int = 0
    cache: bool | str = False
    max_bad: int = 10

    def values(self):
        """Returns the configuration as plain values: what ``config.json`` keeps."""
        values = {name: getattr(self, name) for name in _PLAIN}
        recipe = {"name": self.recipe.name, **self.recipe.values()}
        return {"recipe": recipe, **dataclasses.asdict(self.sources), **values}


_PLAIN = ("steps_per_epoch", "vgg", "sample_every", "seed", "cache", "max_bad")
_SOURCES = tuple(field.name for field in dataclasses.fields(feeds.Sources))


def train(config, directory, verbose="auto", resume=False):
    """Trains a generator as configured and keeps everything in a run folder.

    The folder gets ``config.json``, ``history.csv``, ``tensorboard/``, ``samples/``, ``state/``,
    ``generator.keras`` and ``generator-last.keras``; of a CycleGAN also ``blur_generator.keras``
    and ``blur_generator-last.keras``. ``generator.keras`` has the highest PSNR so far: on the
    validation pairs if there are any, else on the training crops. A CycleGAN without validation
    pairs has nothing to tell by, and its latest is taken.

    Args:
        config: A `RunConfig`.
        directory: The run folder.
        verbose: As in ``keras.Model.fit``.
        resume: Whether to go on with the run that is in the folder.

    Returns:
        The path of ``generator.keras``.

    Raises:
        RunError: If the folder holds a run and ``resume`` is off, or the configuration disagrees
            with the run that is to be continued.
        FileNotFoundError: If there is nothing to continue.
        FloatingPointError: If the training diverges; see `callbacks.StopOnDivergence`.
        DatasetError: If there are no data, or they cannot be used; see `feeds.find`.
    """
    directory = Path(directory)
    recipe = config.recipe
    keras.utils.set_random_seed(config.seed)
    _check_folder(config, directory, resume)
    found = feeds.find(recipe, config.sources)  # before VGG weights are looked for, or downloaded
    trainer = recipe.build(config.seed, config.vgg or "imagenet")
    _check_crop(recipe, trainer.generator)
    state = cb.TrainingState(trainer, directory / "state")
    first_epoch = state.restore() if resume else 0
    if first_epoch >= recipe.epochs:
        raise RunError(
            f"The run in {directory} has finished its {first_epoch} epochs; continue it with a "
            f"larger --epochs than {recipe.epochs}."
        )
    updates = int(trainer.generator_optimizer.iterations.numpy())
    feed = feeds.feed(
        *(recipe, found, config.seed, config.steps_per_epoch, first_epoch, updates),
        cache=config.cache,
        max_bad=config.max_bad,
    )
    # From here on the folder is a run that --resume can continue, whatever happens.
    if not resume:
        state.save()
    values = {"deblur_keras": __version__, **config.values()}
    images.write_bytes(directory / "config.json", json.dumps(values, indent=2).encode() + b"\n")

    monitor = "psnr" if feed.samples[1] is not None else None
    if feed.validation is not None:
        monitor = "val_psnr"
    saver = cb.SaveGenerator(directory, monitor=monitor, best=float(state.best.numpy()))
    state.watch(saver)
    constant = recipe.constant_epochs()
    try:
        trainer.fit(
            feed.training,
            epochs=recipe.epochs,
            initial_epoch=first_epoch,
            steps_per_epoch=feed.steps,
            validation_data=feed.validation,
            verbose=verbose,
            shuffle=False,  # the streams shuffle by themselves
            callbacks=[
                cb.LinearDecay(recipe.learning_rate, constant, max(recipe.epochs - constant, 1)),
                cb.StopOnDivergence(),  # before anything is saved
                saver,
                state,  # behind the saver, whose best value it keeps
                cb.SampleSheets(directory / "samples", feed.samples, config.sample_every),
                keras.callbacks.CSVLogger(directory / "history.csv", append=resume),
                keras.callbacks.TensorBoard(directory / "tensorboard", write_graph=False),
                cb.TellMishaps({"training": feed.training, "validation": feed.validation}),
            ],
        )
    except KeyboardInterrupt:
        state.save()
        saver.save("generator-last.keras")
        raise
    return directory / "generator.keras"


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
    if unknown := sorted(set(values) - {"recipe", *_SOURCES, *_PLAIN}):
        raise RunError(
            f"{path} was written by deblur_keras {version} and has fields that {__version__} does "
            f"not know: {', '.join(unknown)}. Continue the run with that version."
        )
    try:
        stored = dict(values["recipe"])
        recipe = recipes.get(stored.pop("name")).override(stored)
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"{path} was written by deblur_keras {version} and its recipe is not one that "
            f"{__version__} knows: {error} Continue the run with that version."
        ) from error
    sources = feeds.Sources(**{name: values[name] for name in _SOURCES if name in values})
    plain = {name: values[name] for name in _PLAIN if name in values}
    return RunConfig(recipe, sources, **plain)


def _check_folder(config, directory, resume):
    if not resume:
        if directory.exists() and any(directory.iterdir()):
            raise RunError(
                f"{directory} is not empty. Continue the run in it with --resume, or choose "
                "another folder."
            )
        return
    before, after = (_flat_values(entry) for entry in (read_config(directory), config))
    changed = [
        f"{name} was {before.get(name)!r}, now {after.get(name)!r}"
        for name in {**before, **after}
        if name not in _MAY_CHANGE and before.get(name) != after.get(name)
    ]
    if changed:
        raise RunError(
            f"The run in {directory} cannot be continued with other settings: {'; '.join(changed)}."
        )


def _flat_values(config):
    values = config.values()
    return recipes.flat({**values.pop("recipe"), **values})


def _check_crop(recipe, generator):
    multiple = generators.size_multiple(generator)
    if recipe.crop % multiple:
        above = -(-recipe.crop // multiple) * multiple
        below = f"{above - multiple} or " if above > multiple else ""
        raise RunError(
            f"The {recipe.generator.kind} generator trains on crops whose side is a multiple of "
            f"{multiple} pixels; received a crop of {recipe.crop}. Use {below}{above}."
        )
