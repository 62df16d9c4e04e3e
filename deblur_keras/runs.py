"""A training run as a folder: its configuration, logs, samples, weights, and how it goes on.

`train` does what a user's own script would do with a recipe's trainer, ``fit`` and the callbacks.
"""

import contextlib
import logging
import sys
from pathlib import Path

import keras
import tensorflow as tf

from deblur_keras import (
    curves,
    feeds,
    films,
    generators,
    images,
    locks,
    models,
    run_config,
    run_notes,
    trainers,
)
from deblur_keras.run_config import RunError
from deblur_keras.trainers import TrainingState, checkpoints, devices, fitting, workers, writing

_logger = logging.getLogger(__name__)


@workers.lost_named()
def train(config, directory, verbose="auto", resume=False, callbacks=()):
    """Trains a generator as configured and keeps everything in a run folder.

    A run that was stopped, at whatever moment, goes on from its last checkpoint and comes to the
    same weights as one that was not. Ctrl-C, SIGTERM and SIGHUP wait for the running update;
    see `trainers.TrainingState`.

    The folder gets ``README.md``, which says what is what and how to go on, ``config.json``,
    ``history.csv`` and ``curves.png``, ``tensorboard/``, ``samples/`` and ``samples.gif``,
    ``state/``, ``generator.keras`` and ``generator-last.keras``; of a CycleGAN also
    ``blur_generator.keras`` and ``blur_generator-last.keras``. ``generator.keras`` has the highest
    PSNR so far: on the validation pairs if there are any, else on the training crops, where what
    counts is the gain, since they are others in each epoch. A CycleGAN without validation pairs has
    nothing to tell by, and its latest is taken. A run whose best is still worse than its blurred
    input ends with a warning.

    On several machines, which ``TF_CONFIG`` names, each calls this with the same arguments. The
    first one writes the folder, the others show nothing but warnings; see `trainers.workers`.

    Args:
        config: A `run_config.RunConfig`.
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
        ModelError: If ``config.start`` is no generator. One unlike the recipe's is a RunError.
        DatasetError: If there are no data, or they cannot be used; see `feeds.find`.
    """
    directory = Path(directory)
    with contextlib.ExitStack() as stack:
        try:
            if workers.leads():
                stack.enter_context(locks.exclusive(directory))
        except OSError as error:
            raise RunError(
                f"{directory} cannot be written to: {images.reason(error)}. Choose another folder."
            ) from error
        return _train(config, directory, verbose, resume, callbacks)


def _train(config, directory, verbose, resume, callbacks):
    recipe = config.recipe
    run_config.check_folder(config, directory, resume)
    chief = workers.leads()
    if chief:
        _logger.info("Preparing; the first update takes up to a minute or two.")
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    strategy = devices.choose(config.devices)
    devices.check_batch(recipe.batch, strategy)
    keras.utils.set_random_seed(config.seed)
    found = feeds.find(recipe, config.sources)  # before VGG weights are looked for, or downloaded
    start = None
    if config.start and not (resume and checkpoints.Checkpoints(directory / "state").newest(False)):
        start = models.Source(config.start).model
    try:
        with devices.scope(strategy):
            trainer = recipe.build(config.seed, config.vgg or "imagenet", start)
    except generators.UnfitError as error:
        raise RunError(
            f"--start {config.start}: {error} What the recipe builds is chosen by --set "
            "generator=KIND and --set generator.OPTION=VALUE; default is a quarter."
        ) from error
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
        _tell_changed_schedule(state, recipe)
    # From here on the folder is a run that --resume can continue, whatever happens.
    state.extra |= {"images": _counts(found), "epochs": recipe.epochs}
    try:
        if chief:
            run_config.write(config, directory)
            run_notes.write(config, directory, _counts(found))
        if not going_on:
            state.save()
    except writing.ERRORS as error:
        raise RunError(
            f"{directory} cannot be written to: {writing.reason(error)}. Nothing was trained yet."
        ) from error

    saver = trainers.SaveGenerator(directory, **_measured(feed))
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
    except (MemoryError, tf.errors.ResourceExhaustedError, tf.errors.AbortedError) as error:
        if writing.is_full(error):
            raise OSError(writing.reason(error)) from error
        # As oneDNN says it when it gets no memory on a CPU.
        if isinstance(error, tf.errors.AbortedError) and "create a primitive" not in str(error):
            raise
        multiple = generators.size_multiple(trainer.generator)
        parts = devices.replicas(strategy), recipe.accumulate or 1
        advice = fitting.advice(trainer, recipe.batch, recipe.crop, multiple, *parts)
        raise RunError(
            f"{advice} They belong to a run of its own, in another folder; this one is whole and "
            "goes on with --resume, where there is more memory."
        ) from error
    except KeyboardInterrupt:
        if state.stopped:  # and not in the middle of something
            if chief:
                saver.save("generator-last.keras")
            _wait_for_all(strategy)
        raise
    finally:
        if chief:
            error = sys.exc_info()[1]
            ended = "" if error is None or isinstance(error, KeyboardInterrupt) else str(error)
            with writing.Attempts().at("README.md"):
                run_notes.write(config, directory, _counts(found), state.saved, ended)
    if chief:
        _warn_of_harm(directory / "history.csv")
    _wait_for_all(strategy)
    return directory / "generator.keras"


def _measured(feed):
    """Says by what a generator is the best, as arguments of a `SaveGenerator`."""
    if feed.validation is not None:
        return {"monitor": "val_psnr"}
    if feed.samples[1] is not None:
        return {"monitor": "psnr", "baseline": "blurred_psnr"}
    return {"monitor": None}


def _wait_for_all(strategy):
    """Lets no worker leave before the chief has written everything."""
    if workers.of(strategy) is not None:
        workers.any_of(strategy, False)


def _warn_of_harm(history):
    """Warns if even the best generator of a run makes photographs worse."""
    found = curves.best(curves.read(history)) if history.is_file() else None
    if found and found[1] < found[2]:
        _logger.warning(
            "The best generator's images have %.2f dB, the blurred ones that it was given %.2f dB: "
            "it makes them worse. It needs more updates, or another learning rate or content "
            "loss; samples/ and curves.png show how the training went.",
            *found[1:],
        )


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


def _tell_changed_schedule(state, recipe):
    """Tells how the learning rate goes on in a run that was made longer or shorter."""
    before = state.extra.get("epochs", recipe.epochs)
    if before != recipe.epochs:
        _logger.info(
            "The learning rate now follows the schedule of %s epochs instead of %s: %s up to epoch "
            "%s, then falling to 0.",
            *(recipe.epochs, before, f"{recipe.learning_rate:g}", recipe.constant_epochs()),
        )


def _check_crop(recipe, generator):
    multiple = generators.size_multiple(generator)
    if recipe.crop % multiple:
        above = -(-recipe.crop // multiple) * multiple
        below = f"{above - multiple} or " if above > multiple else ""
        raise RunError(
            f"The {recipe.generator.kind} generator trains on crops whose side is a multiple of "
            f"{multiple} pixels; received a crop of {recipe.crop}. Use {below}{above}."
        )
