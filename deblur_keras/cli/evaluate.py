"""``deblur-keras evaluate``: scores a model on pairs of blurred and sharp photographs."""

import shlex
import sys
from pathlib import Path

import click

from deblur_keras.cli.pairs import Source, chosen_pairs, pair_options


@click.command()
@click.argument("model")
@click.argument("data", type=Source())
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for scores.csv (a line per image) and summary.json.",
)
@pair_options
@click.option(
    "--restore-with-dropout",
    is_flag=True,
    help="Keep the model's dropout active, as some of the papers do.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of --restore-with-dropout.",
)
@click.option("--save-images", is_flag=True, help="Write OUTPUT/restored/<name>.png too.")
@click.option("--overwrite", is_flag=True, help="Replace the scores of an earlier run in OUTPUT.")
def evaluate(
    model,
    data,
    output,
    split,
    blur,
    scale,
    limit,
    restore_with_dropout,
    seed,
    save_images,
    overwrite,
):
    """Score MODEL on the pairs of blurred and sharp photographs in DATA.

    MODEL is the name of weights that ship, such as "default", or a .keras file. DATA is GoPro's
    tree, a folder with blur/ and sharp/ (input/ and target/, A/ and B/), or one of side-by-side
    files. PSNR, SSIM and MSE are computed on whole uint8 images, for the blurred input and for the
    restored image, and printed with the protocol: figures from other protocols do not compare.

    Ends with exit code 1 if any pair could not be scored.

    \b
    Examples:
      deblur-keras evaluate default GOPRO_Large
      deblur-keras evaluate default GOPRO_Large --scale 0.5 -o scores
      deblur-keras evaluate runs/mine/generator.keras pairs -o scores --save-images
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    from deblur_keras.cli import console

    console.import_tensorflow()
    from deblur_keras import datasets, evaluation, images
    from deblur_keras.restorer import ModelError, Restorer

    if save_images and output is None:
        raise click.UsageError("--save-images needs an output folder: add -o OUTPUT.")
    if output is not None and not overwrite:
        for name in ("scores.csv", "summary.json"):
            if (output / name).exists():
                raise console.fail(
                    f"{output / name} exists already; choose another folder, or add --overwrite."
                )
    try:
        pairs, split = chosen_pairs(data, split, blur, limit)
        restorer = Restorer(model, restore_with_dropout, seed if restore_with_dropout else None)
        if output is not None:
            output.mkdir(parents=True, exist_ok=True)  # fails now rather than after the scoring
    except (datasets.DatasetError, images.ImageError, ModelError, OSError) as error:
        raise console.fail(error) from error

    facts = {
        "data": data,
        "split": split,
        "blur": blur,
        **evaluation.model_facts(model),
        "restore_with_dropout": restore_with_dropout,
        "seed": seed if restore_with_dropout else None,
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    }
    with console.progress("Scoring", total=len(pairs)) as progress:
        result = evaluation.evaluate_pairs(
            restorer,
            pairs,
            output=output,
            save_images=save_images,
            progress=progress,
            scale=scale,
            protocol=facts,
        )
    screen = console.console(stderr=False)
    for line in result.protocol_lines():
        click.echo(console.printable(line))
    if result.rows:
        screen.print(result.table())
    for line in result.lines():
        click.echo(console.printable(line))
    if output is not None:
        click.echo(console.printable(f"written to {output}"))
    if result.failures:
        for name, text in result.failures.items():
            click.echo(console.printable(f"not scored: {name}: {text}"), err=True)
        raise console.fail(f"{len(result.failures)} of {len(pairs)} pairs could not be scored.")
