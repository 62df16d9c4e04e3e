"""A training run as a folder: its configuration, logs, samples, weights, and how it goes on.

`RunConfig` is what the ``train`` command collects; `train` does what a user's own script would do
with a recipe's trainer, ``fit`` and the callbacks.
"""

import contextlib
import dataclasses
import json
import logging
from pathlib import Path

import keras
import tensorflow as tf

from deblur_keras import (
    __version__,
    curves,
    feeds,
    films,
    generators,
    images,
    locks,
    recipes,
    run_notes,
    trainers,
)
from deblur_keras.trainers import TrainingState, checkpoints, devices, fitting, workers

FORMAT = 2  # of config.json; 1 had no such number

# Where data lie and are kept may change between two parts of a run; what was trained how may not.
_MAY_CHANGE = (
    *("epochs", "sample_every", "data", "photographs", "blurred", "validation", "vgg"),
    *("cache", "max_bad", "checkpoint_every", "checkpoint_minutes"),
    *("max_bad_steps", "critic_limit", "devices"),
)
# Fields of recipes that have an option of their own; the others are changed by --set.
_OPTIONS = (
    *("batch", "crop", "scale", "crops_per_image", "rotation", "grid", "highlights"),
    *("shot_noise", "read_noise", "jpeg", "epochs", "learning_rate", "precision"),
)

_logger = logging.getLogger(__name__)


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
        max_bad_steps: Bad steps in a row that end the run; see `trainers.StopOnDivergence`.
        critic_limit: The largest size of the critic's loss in a step that is not bad.
        deterministic: Whether TensorFlow must use ways to compute that give the same weights each
            time, as on the CPU they do anyway. It holds for the rest of the process.
        checkpoint_every: Updates between two checkpoints within an epoch; None for no such limit.
        checkpoint_minutes: Minutes between two; None for no such limit.
        devices: Where to train, as `trainers.devices.choose` takes it. They share each batch.
    """

    recipe: recipes.Recipe
    sources: feeds.Sources = dataclasses.field(default_factory=feeds.Sources)
    steps_per_epoch: int | None = None
    vgg: str | None = None
    sample_every: int = 500
    seed: int = 0
    cache: bool | str = False
    max_bad: int = 10
    max_bad_steps: int = 10
    critic_limit: float = 1e4
    deterministic: bool = False
    checkpoint_every: int | None = None
    checkpoint_minutes: float | None = 5.0
    devices: str | None = None

    def values(self):
        """Returns the configuration as plain values: what ``config.json`` keeps."""
        values = {name: getattr(self, name) for name in _PLAIN}
        recipe = {"name": self.recipe.name, **self.recipe.values()}
        return {"recipe": recipe, **dataclasses.asdict(self.sources), **values}


_PLAIN = (
    *("steps_per_epoch", "vgg", "sample_every", "seed", "cache", "max_bad"),
    *("checkpoint_every", "checkpoint_minutes", "max_bad_steps", "critic_limit", "devices"),
    "deterministic",
)
_SOURCES = tuple(field.name for field in dataclasses.fields(feeds.Sources))


@workers.lost_named()
def train(config, directory, verbose="auto", resume=False, callbacks=()):
    """Trains a generator as configured and keeps everything in a run folder.

    A run that was stopped, at whatever moment, goes on from its last checkpoint and comes to the
    same weights as one that was not. Ctrl-C and SIGTERM wait for the running update; see
    `trainers.TrainingState`.

    The folder gets ``README.md``, which says what is what and how to go on, ``config.json``,
    ``history.csv`` and ``curves.png``, ``tensorboard/``, ``samples/`` and ``samples.gif``,
    ``state/``, ``generator.keras`` and ``generator-last.keras``; of a CycleGAN also
    ``blur_generator.keras`` and ``blur_generator-last.keras``. ``generator.keras`` has the highest
    PSNR so far: on the validation pairs if there are any, else on the training crops. A CycleGAN
    without validation pairs has nothing to tell by, and its latest is taken.

    On several machines, which ``TF_CONFIG`` names, each calls this with the same arguments. The
    first one writes the folder, the others show nothing but warnings; see `trainers.workers`.

    Args:
        config: A `RunConfig`.
        directory: The run folder; of several machines to be one that all of them see.
        verbose: As in ``keras.Model.fit``.
        resume: Whether to go on with the run that is in the folder.
        callbacks: More callbacks, which come before those of the run.

    Returns:
        The path of ``generator.keras``.

    Raises:
        RunError: If the folder holds a run and ``resume`` is off, or there is none to continue, or
            it is finished, or the configuration disagrees with it; if it cannot be written to; if
            memory runs out, saying what would fit.
        CheckpointError: If none of its checkpoints can be used.
        InUse: If another run is at work in the folder; see `locks.exclusive`.
        OSError: If the last checkpoint or generator could not be written.
        KeyboardInterrupt: When it was stopped, after all was saved.
        FloatingPointError: If the training diverges; see `trainers.StopOnDivergence`.
        DeviceError: If devices are not there, or more than the images of a batch.
        WorkerError: If another machine does not come, or was lost.
        DatasetError: If there are no data, or they cannot be used; see `feeds.find`.
    """
    directory = Path(directory)
    there = workers.configured()
    with contextlib.ExitStack() as stack:
        try:
            if there is None or there.chief:
                stack.enter_context(locks.exclusive(directory))
        except OSError as error:
            raise RunError(
                f"{directory} cannot be written to: {images.reason(error)}. Choose another folder."
            ) from error
        return _train(config, directory, verbose, resume, callbacks)


def _train(config, directory, verbose, resume, callbacks):
    recipe = config.recipe
    _check_folder(config, directory, resume)
    there = workers.configured()
    if there is None or there.chief:
        _logger.info("Preparing; the first update takes up to a minute or two.")
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    strategy = devices.choose(config.devices)
    there = workers.of(strategy)
    chief = there is None or there.chief
    devices.check_batch(recipe.batch, strategy)
    keras.utils.set_random_seed(config.seed)
    found = feeds.find(recipe, config.sources)  # before VGG weights are looked for, or downloaded
    with devices.scope(strategy):
        trainer = recipe.build(config.seed, config.vgg or "imagenet")
    _check_crop(recipe, trainer.generator)
    if recipe.trainer == "DeblurGAN" and not recipe.adversarial_weight:
        _logger.info("adversarial_weight is 0: the critic is not trained.")
    state = TrainingState(
        *(trainer, directory / "state", config.checkpoint_every, config.checkpoint_minutes)
    )
    going_on = resume and state.restore()
    feed = feeds.feed(
        *(recipe, found, config.seed, config.steps_per_epoch, state.batches),
        cache=config.cache,
        max_bad=config.max_bad,
        validation_batch=devices.replicas(strategy),
    )
    if going_on:
        _tell_changed_data(state, found, feed.steps)
        _logger.info("Continuing: %s.", state.place())
    # From here on the folder is a run that --resume can continue, whatever happens.
    values = {"deblur_keras": __version__, "format": FORMAT, **config.values()}
    if chief:
        text = json.dumps(values, indent=2).encode() + b"\n"
        images.write_bytes(directory / "config.json", text)
        run_notes.write(config, directory, _counts(found))
    state.extra["images"] = _counts(found)
    if not going_on:
        state.save()

    monitor = "psnr" if feed.samples[1] is not None else None
    if feed.validation is not None:
        monitor = "val_psnr"
    saver = trainers.SaveGenerator(directory, monitor=monitor, best=state.best)
    state.watch(saver)
    sheets = trainers.SampleSheets(directory / "samples", feed.samples, config.sample_every)
    constant = recipe.constant_epochs()
    written = [
        saver,
        sheets,
        trainers.HistoryFile(directory / "history.csv"),
        trainers.EpochBoard(directory / "tensorboard", sheets),
        trainers.AfterEpochs(_makers(config, directory, _counts(found))),
    ]
    try:
        with state.interruptible():
            trainer.fit(
                workers.distribute(strategy, feed.training, recipe.batch),
                epochs=recipe.epochs,
                initial_epoch=state.epoch,
                steps_per_epoch=feed.steps,
                validation_data=feed.validation,
                verbose=verbose if chief else 0,
                shuffle=False,  # the streams shuffle by themselves
                callbacks=[
                    *callbacks,
                    trainers.LinearDecay(
                        recipe.learning_rate, constant, max(recipe.epochs - constant, 1)
                    ),
                    trainers.WarmUp(recipe.warmup_epochs or 0),
                    # Before anything is saved.
                    trainers.StopOnDivergence(config.max_bad_steps, config.critic_limit),
                    *(written if chief else []),
                    trainers.TellMishaps(
                        {"training": feed.training, "validation": feed.validation}
                    ),
                    state,  # the last: what it calls done, the others have written
                ],
            )
    except FloatingPointError as error:
        where = "Other settings belong to a run of its own, in another folder."
        raise FloatingPointError(f"{error} {where}") from error
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        multiple = generators.size_multiple(trainer.generator)
        advice = fitting.advice(trainer, recipe.batch, recipe.crop, multiple)
        raise RunError(
            f"{advice} They belong to a run of its own, in another folder; this one is whole and "
            "goes on with --resume, where there is more memory."
        ) from error
    except KeyboardInterrupt:
        if state.stopped and chief:  # and not in the middle of something
            saver.save("generator-last.keras")
        raise
    if there is not None:
        workers.any_of(strategy, False)  # nobody leaves before the chief has written everything
    return directory / "generator.keras"


def _makers(config, directory, counts):
    """What a person looks at; all of it is made of files, and so goes on with a run."""

    def film():
        sheets = directory / "samples"
        path = directory / "samples.gif"
        newest = max((file.stat().st_mtime_ns for file in sheets.glob("*.png")), default=0)
        if not path.exists() or path.stat().st_mtime_ns < newest:
            films.sheets_film(sheets, path)

    return {
        "curves.png": lambda: curves.draw(directory / "history.csv", directory / "curves.png"),
        "samples.gif": film,
        "README.md": lambda: run_notes.write(config, directory, counts),
    }


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
    if values.pop("format", 1) > FORMAT:
        raise RunError(
            f"{path} was written by deblur_keras {version}, which is newer than {__version__}. "
            "Continue the run with that version."
        )
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
    """Raises RunError if this run cannot be started in the folder, or continued there."""
    if not resume:
        if directory.exists() and any(map(_counts_as_file, directory.iterdir())):
            raise RunError(
                f"{directory} is not empty. Continue the run in it with --resume, or choose "
                "another folder."
            )
        return
    before, after = (_flat_values(entry) for entry in (read_config(directory), config))
    changed = [
        f"{_option(name)} was {_shown(before.get(name))}, now {_shown(after.get(name))}"
        for name in {**before, **after}
        if name not in _MAY_CHANGE and before.get(name) != after.get(name)
    ]
    if changed:
        raise RunError(
            f"The run in {directory} cannot be continued with other settings: {'; '.join(changed)}."
            " Leave them out to go on with it as it is, or start another run in a folder of its "
            "own."
        )
    done = checkpoints.finished_epochs(directory / "state")
    if done >= config.recipe.epochs:
        raise RunError(checkpoints.finished(directory, done, config.recipe.epochs))
    for left in directory.rglob(".deblur-*"):
        left.unlink(missing_ok=True)


def _counts_as_file(path):
    """Says whether this is more than the lock, or what a killed run left half written."""
    return path.name != locks.NAME and not path.name.startswith(".deblur-")


def _option(name):
    """Names a field of a configuration as it is given on the command line."""
    if name in _OPTIONS or name in _PLAIN or name in _SOURCES:
        return f"--{name.replace('_', '-')}"
    return "RECIPE" if name == "name" else f"--set {name.removesuffix('.kind')}"


def _shown(value):
    if value is None:
        return "not given"
    return "-".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _counts(found):
    return {name: len(getattr(found, name)) for name in ("pairs", "sharp", "blurred")}


def _tell_changed_data(state, found, steps):
    """Warns where a run cannot go on exactly, because it no longer has the same data."""
    before, now = state.extra.get("images"), _counts(found)
    if before is not None and before != now:
        counts = [f"{now[k]} instead of {before[k]} ({k})" for k in now if now[k] != before.get(k)]
        _logger.warning(
            "The data have changed: there are now %s. The run goes on, but not exactly as it would "
            "have.",
            ", ".join(counts),
        )
    if state.step and state.steps != steps:
        _logger.warning(
            "An epoch had %s updates and now has %s: the unfinished one, of which %s were done, "
            "begins anew.",
            *(state.steps, steps, state.step),
        )
        state.begin_epoch_anew()


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
