"""``deblur-keras train``: trains a recipe and keeps everything in a run folder."""

import re
from pathlib import Path

import click

from deblur_keras.cli import feeding
from deblur_keras.cli.pairs import Source

# Besides those that `data show` has too: options that are fields of the recipe, by the same name.
_FIELDS = ("epochs", "learning_rate", "precision")
_SOURCES = ("data", "photographs", "blurred", "validation", "blur")
_OTHERS = (
    *("steps_per_epoch", "start", "vgg", "sample_every", "seed", "cache", "max_bad"),
    *("checkpoint_every", "checkpoint_minutes", "max_bad_steps", "critic_limit", "devices"),
    "deterministic",
)
_STOPPED = 130  # exit code, as of any program that Ctrl-C ends


def _refuse_finished(folder, epochs):
    """Says at once of a run that it is finished; TensorFlow takes seconds to load."""
    import json

    from deblur_keras.cli import console
    from deblur_keras.trainers import checkpoints

    try:
        wanted = epochs or json.loads((folder / "config.json").read_bytes())["recipe"]["epochs"]
        done = checkpoints.finished_epochs(folder / "state")
    except (OSError, ValueError, TypeError, KeyError):
        return  # what is wrong with it is said where it is read
    if done >= wanted:
        raise console.fail(checkpoints.finished(folder, done))


class _Interval(click.ParamType):
    """Takes updates such as `500`, minutes such as `10min`, or both: `500,10min`."""

    name = "updates,minutes"

    def convert(self, value, parameter, context):
        """Returns a pair of updates and minutes, of which one may be None."""
        if isinstance(value, tuple):
            return value
        found = re.fullmatch(r"(\d+)|(?:(\d+),)?(\d+\.?\d*|\.\d+)min", value.replace(" ", ""))
        limits = [float(limit) for limit in found.groups() if limit] if found else [0.0]
        if min(limits) <= 0:
            self.fail(
                f"{value!r} is neither updates such as 500, nor minutes such as 10min, nor both "
                "such as 500,10min.",
                parameter,
                context,
            )
        updates, minutes = found[1] or found[2], found[3]
        return updates and int(updates), minutes and float(minutes)


class _Start(click.ParamType):
    """Takes the name of weights that ship, or a file of a generator, made absolute."""

    name = "model"

    def convert(self, value, parameter, context):
        """Returns a string."""
        from deblur_keras import models

        try:
            path = models.locate(value)
        except models.ModelError as error:
            self.fail(str(error), parameter, context)
        return value if value in models.pretrained_names() else str(path.resolve())


class _Devices(click.ParamType):
    """Takes `all`, numbers of GPUs such as `0,1`, `cpu`, or `cpu:2`."""

    name = "all|0,1|cpu"

    def convert(self, value, parameter, context):
        """Returns the text, checked."""
        from deblur_keras.trainers import devices

        try:
            devices.parse(value)
        except devices.DeviceError as error:
            self.fail(str(error), parameter, context)
        return value


@click.command()
@click.argument("recipe", required=False, metavar="[RECIPE]")
@click.option(
    "--data",
    type=Source(),
    help="Folder of blurred and sharp pairs (GoPro's tree, blur/ and sharp/, A|B files, ...), or "
    "the name of a dataset, such as gopro/light.",
)
@click.option(
    "--validation",
    type=Source(),
    help="Pairs to score after each epoch.  [default: the val or test split of DATA]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Run folder.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Go on with the run in OUTPUT exactly where its last checkpoint is, as it was configured.",
)
@feeding.feed_options
@click.option(
    "--epochs", type=click.IntRange(min=1), help="Passes over the data.  [default: the recipe's]"
)
@click.option(
    "--steps-per-epoch",
    type=click.IntRange(min=1),
    help="Updates that count as an epoch.  [default: one pass over the data]",
)
@click.option(
    "--learning-rate",
    type=click.FloatRange(0, min_open=True),
    help="Of both Adam optimizers.  [default: the recipe's]",
)
@click.option(
    "--precision",
    type=click.Choice(("float32", "mixed_bfloat16", "mixed_float16")),
    help="What the networks compute in; their weights, the norms, losses and what is saved are "
    "float32 in any case. bfloat16 is quicker on recent processors and GPUs, float16 on older GPUs."
    "  [default: the recipe's]",
)
@click.option(
    "--start",
    type=_Start(),
    help="Begin with the weights of a trained generator instead of random ones: a .keras file, or "
    "the name of weights that ship, such as default, which needs --set generator=quarter.",
)
@click.option(
    "--vgg",
    type=click.Path(exists=True, dir_okay=False, resolve_path=True),
    help="VGG weights (.npz, .h5, .weights.h5).  [default: Keras's own, downloaded once]",
)
@click.option(
    "--sample-every",
    type=click.IntRange(min=1),
    default=500,
    show_default=True,
    help="Updates between two sheets in samples/.",
)
@click.option(
    "--checkpoint-every",
    type=_Interval(),
    default="5min",
    show_default=True,
    help="When to write a checkpoint, besides at the end of each epoch: after so many updates "
    "(500), minutes (10min), or whichever comes first (500,10min). A crash costs that much.",
)
@click.option(
    "--devices",
    type=_Devices(),
    help="GPUs that share each batch: all, or some by number (0,1). cpu leaves them alone; cpu:2 "
    "tries out two devices on any machine. --batch is that of all together. Several machines: see "
    "docs/scaling.md.  [default: the first GPU if there is one, else the CPU]",
)
@click.option(
    "--deterministic",
    is_flag=True,
    help="Give the same weights each time with the same --seed, data and devices, on GPUs too. It "
    "costs speed: crops are made one after the other, and some ways to compute are slower.",
)
@click.option(
    "--max-bad-steps",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Bad steps in a row that end the run: an update was left out because its loss or gradient "
    "was not finite, or the critic's loss was beyond --critic-limit. Nothing is saved meanwhile.",
)
@click.option(
    "--critic-limit",
    type=feeding.Number(0, min_open=True),
    default=1e4,
    show_default="10000",
    help="Size of the critic's loss beyond which it has exploded.",
)
@click.pass_context
def train(context, recipe, output, resume, config, settings, **options):
    """Train a paper's system on pairs, on sharp photographs, or on photographs without partners.

    RECIPE is one of the names that `deblur-keras recipes` lists, deblurgan if none is given. Its
    fields are the paper's where it states them, and most are meant for a GPU and days. Any can be
    changed, by --config, by --set, and the common ones by an option of their own. The third example
    runs on a laptop. What changes the result belongs to the recipe, and a run goes on with what it
    began with; where data lie and are kept, and how many images may be broken, belongs to the run,
    and may be given anew with --resume.

    OUTPUT becomes the run folder: README.md, which says what is what, config.json, history.csv,
    curves.png, tensorboard/, sample sheets in samples/ and as a film in samples.gif,
    generator.keras (the best so far by PSNR), generator-last.keras, and state/, its checkpoints.
    Ctrl-C saves and stops. From there, or after a crash from the last checkpoint,
    --resume goes on exactly: the weights in the end are those of a run that was never stopped.

    \b
    Examples:
      deblur-keras train deblurgan --data GOPRO_Large -o runs/gopro
      deblur-keras train --resume -o runs/gopro
      deblur-keras train deblurgan --photographs holiday/ -o runs/small \\
          --set generator=quarter --set content=mae --set adversarial_weight=0.001 \\
          --epochs 20 --steps-per-epoch 200
      deblur-keras train deblurgan --start default --data pairs/ -o runs/mine \\
          --set generator=quarter --set content=negative_psnr --set adversarial_weight=0 \\
          --learning-rate 1e-4 --epochs 20
      deblur-keras train cyclegan --blurred shaken/ --photographs holiday/ -o runs/unpaired
      deblur-keras train dense-deblurgan --data GOPRO_Large --config mine.toml -o runs/dense
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    import contextlib
    import dataclasses
    import shlex

    from deblur_keras import recipes
    from deblur_keras.cli import console, epochs

    try:
        changes = feeding.changes(config, settings, options, _FIELDS)
        chosen = None if resume and not recipe else recipes.get(recipe or "deblurgan")
    except recipes.RecipeError as error:
        raise click.UsageError(str(error)) from error
    asked = {
        name
        for name in context.params
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    }
    if resume and asked <= {"output", "resume", "epochs"}:  # else there may be more to say
        _refuse_finished(output, options["epochs"])
    console.import_tensorflow()
    import tensorflow as tf

    from deblur_keras import run_config, runs
    from deblur_keras.datasets import DatasetError, mishaps
    from deblur_keras.images import ImageError
    from deblur_keras.trainers import workers

    given = {
        name: value
        for name, value in options.items()
        if context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT
    }
    for collected in (options, given):
        if "checkpoint_every" in collected:
            updates, minutes = collected["checkpoint_every"]
            collected |= {"checkpoint_every": updates, "checkpoint_minutes": minutes}
    expected = (
        *(DatasetError, ImageError, FloatingPointError, OSError, RuntimeError, ValueError),
        tf.errors.OpError,
    )
    try:
        if resume:
            configured = run_config.read(output)
            if chosen and chosen.name != configured.recipe.name:
                raise run_config.RunError(
                    f"The run in {output} is one of {configured.recipe.name}, not of {chosen.name}."
                )
            chosen = configured.recipe
        else:
            configured, given = run_config.RunConfig(chosen), options
        try:
            for change in changes:
                chosen = chosen.override(change)
            if given.get("vgg") and (not chosen.content or chosen.content.kind != "perceptual"):
                raise click.UsageError("--vgg: there is no perceptual loss that would use it.")
        except recipes.RecipeError as error:
            raise click.UsageError(str(error)) from error
        sources = dataclasses.replace(
            configured.sources, **{name: given[name] for name in _SOURCES if name in given}
        )
        feeding.refuse_unused(options, settings, sources)
        configured = dataclasses.replace(
            configured,
            recipe=chosen,
            sources=sources,
            **{name: given[name] for name in _OTHERS if name in given},
        )
        # The pass fails on the critic's gradients, harmlessly, and says so on every user's screen.
        tf.config.optimizer.set_experimental_options({"remapping": False})
        leads = workers.leads()  # the others show nothing but warnings
        with console.shown_log(), contextlib.ExitStack() as stack:
            shown = []
            if leads:
                progress = stack.enter_context(console.progress("Training", total=None))
                shown.append(epochs.shown_on(progress))
            path = runs.train(configured, output, verbose=0, resume=resume, callbacks=shown)
    except KeyboardInterrupt:
        if not (output / "config.json").exists():
            raise
        click.echo(
            f"Go on with: deblur-keras train --resume -o {shlex.quote(str(output))}", err=True
        )
        context.exit(_STOPPED)
    except expected as error:
        raise console.fail(mishaps.reason(error)) from error
    if not leads:
        return
    named = shlex.quote(str(path))
    click.echo(f"Wrote {path}\nUse it:   deblur-keras deblur photo.jpg --model {named}")
