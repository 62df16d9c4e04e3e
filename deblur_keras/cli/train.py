"""``deblur-keras train``: trains a generator and keeps everything in a run folder."""

from pathlib import Path

import click

_RESNET_ONLY = {"filters", "blocks", "upsampling", "dropout"}


@click.command()
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, resolve_path=True),
    help="Folder of blurred and sharp pairs (GoPro's tree, blur/ and sharp/, A|B files, ...).",
)
@click.option(
    "--photographs",
    type=click.Path(exists=True, file_okay=False, resolve_path=True),
    help="Folder of sharp photographs, blurred at random; with --data, mixed 2:1 as in the paper.",
)
@click.option(
    "--validation",
    type=click.Path(exists=True, file_okay=False, resolve_path=True),
    help="Folder of pairs to score after each epoch.  [default: the val or test split of DATA]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Run folder.",
)
@click.option("--resume", is_flag=True, help="Go on with the run in OUTPUT, as it was configured.")
@click.option(
    "--generator",
    type=click.Choice(["resnet", "compact"]),
    default="resnet",
    show_default=True,
    help="The paper's network, or a small one for training without a GPU.",
)
@click.option(
    "--filters",
    type=click.IntRange(min=1),
    default=64,
    show_default=True,
    help="First channels of the ResNet.",
)
@click.option(
    "--blocks",
    type=click.IntRange(min=1),
    default=9,
    show_default=True,
    help="Residual blocks of the ResNet.",
)
@click.option(
    "--upsampling",
    type=click.Choice(["transpose", "resize"]),
    default="transpose",
    show_default=True,
    help="Transposed convolution as in the paper, or resize and convolve: no checkerboards.",
)
@click.option(
    "--dropout",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.5,
    show_default=True,
    help="Rate in the residual blocks.",
)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    default=300,
    show_default=True,
    help="Half constant, half linear decay.",
)
@click.option(
    "--steps-per-epoch",
    type=click.IntRange(min=1),
    help="Updates that count as an epoch.  [default: one pass over the data]",
)
@click.option(
    "--batch", type=click.IntRange(min=1), default=1, show_default=True, help="Crops an update."
)
@click.option(
    "--crop",
    type=click.IntRange(min=1),
    default=256,
    show_default=True,
    help="Side of the crops in pixels.",
)
@click.option(
    "--scale",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.5,
    show_default=True,
    help="Reduce pairs first; 0.5 is the paper's halved GoPro.",
)
@click.option(
    "--blur",
    type=click.Choice(["blur", "blur_gamma"]),
    default="blur",
    show_default=True,
    help="Blurred side of GoPro.",
)
@click.option(
    "--learning-rate",
    type=click.FloatRange(0, min_open=True),
    default=1e-4,
    show_default=True,
    help="Of both Adam optimizers.",
)
@click.option(
    "--content",
    type=click.Choice(["perceptual", "mse", "mae", "charbonnier", "negative_psnr"]),
    default="perceptual",
    show_default=True,
    help="Content loss.",
)
@click.option(
    "--content-weight",
    type=click.FloatRange(min=0),
    default=100.0,
    show_default=True,
    help="Factor of it.",
)
@click.option(
    "--vgg",
    type=click.Path(exists=True, dir_okay=False, resolve_path=True),
    help="VGG19 weights (.npz, .h5, .weights.h5).  [default: Keras's own, downloaded once]",
)
@click.option(
    "--adversarial-weight",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    help="Factor of the adversarial loss.",
)
@click.option(
    "--penalty-weight",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    help="Of the gradient penalty.",
)
@click.option(
    "--penalty-mode",
    type=click.Choice(["per_sample", "pixelwise"]),
    default="per_sample",
    show_default=True,
    help="The textbook's gradient penalty, or the authors' code to the letter.",
)
@click.option(
    "--critic-steps",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Before each generator update.",
)
@click.option(
    "--sample-every",
    type=click.IntRange(min=1),
    default=500,
    show_default=True,
    help="Updates between two sheets in samples/.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of weights, data and dropout.",
)
@click.pass_context
def train(context, output, resume, **options):
    """Train DeblurGAN on pairs, on sharp photographs alone, or on both.

    OUTPUT becomes the run folder: config.json, history.csv, tensorboard/, sample sheets in
    samples/, generator.keras (the best so far by PSNR), generator-last.keras, and state/, from
    which --resume goes on with both networks and both optimizers as they were. The defaults are
    the paper's; they are meant for a GPU and days. The last example runs on a laptop.

    \b
    Examples:
      deblur-keras train --data GOPRO_Large -o runs/gopro
      deblur-keras train --resume -o runs/gopro
      deblur-keras train --data GOPRO_Large --photographs coco/ -o runs/combined
      deblur-keras train --photographs holiday/ -o runs/small --generator compact \\
          --content mae --adversarial-weight 0.001 --epochs 20 --steps-per-epoch 200
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    import dataclasses

    from deblur_keras.cli import console

    console.import_tensorflow()
    import tensorflow as tf

    from deblur_keras.datasets import DatasetError
    from deblur_keras.images import ImageError
    from deblur_keras.trainers import runs

    given = {
        name: value
        for name, value in options.items()
        if context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT
    }
    if given.get("generator") == "compact" and (unused := _RESNET_ONLY & set(given)):
        names = ", ".join(f"--{name}" for name in sorted(unused))
        raise click.UsageError(
            f"{names}: for the resnet generator alone; the compact one has none."
        )
    expected = (
        *(DatasetError, ImageError, FloatingPointError, OSError, RuntimeError, ValueError),
        tf.errors.OpError,
    )
    try:
        config = runs.RunConfig(**options)
        if resume:
            config = dataclasses.replace(runs.read_config(output), **given)
        # The pass fails on the critic's gradients, harmlessly, and says so on every user's screen.
        tf.config.optimizer.set_experimental_options({"remapping": False})
        click.echo("Preparing; the first update takes up to a minute or two.", err=True)
        verbose = 1 if console.console().is_terminal else 2
        path = runs.train(config, output, verbose=verbose, resume=resume)
    except KeyboardInterrupt:
        if (output / "state").exists():
            click.echo(f"\nGo on with: deblur-keras train --resume -o {output}", err=True)
        raise
    except expected as error:
        raise console.fail(error) from error
    click.echo(f"Wrote {path}\nUse it:   deblur-keras deblur photo.jpg --model {path}")
