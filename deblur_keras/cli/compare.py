"""``deblur-keras compare``: scores two models on the same pairs."""

import shlex
import sys
from pathlib import Path

import click

from deblur_keras.cli.pairs import Source, chosen_pairs, pair_options


@click.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option(
    "--data",
    required=True,
    type=Source(),
    help="Folder of the pairs, in any layout that evaluate knows, or the name of a dataset.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the scores of each image (CSV), the summary (JSON), the plots of SSIM and "
    "MSE, and the contact sheet.",
)
@pair_options
@click.option("--overwrite", is_flag=True, help="Replace an earlier comparison in OUTPUT.")
def compare(first, second, data, output, split, blur, scale, limit, overwrite):
    """Score two models, A and B, on the same pairs of blurred and sharp photographs.

    A and B are names of weights that ship, such as "default", or .keras files. Prints the means of
    SSIM, MSE and PSNR for the blurred input, A and B, the share of images on which each of the two
    is better, and the p-value of a two-sided Wilcoxon signed-rank test: how often differences of
    these sizes would fall this much to one side if neither were better. A win rate with a large p
    may well be chance.

    Needs SciPy. Ends with exit code 1 if any pair could not be scored with both models.

    \b
    Examples:
      deblur-keras compare default runs/mine/generator.keras --data GOPRO_Large
      deblur-keras compare a.keras b.keras --data pairs -o comparison
      deblur-keras compare a.keras b.keras --data pairs --scale 0.5 --limit 50
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    from deblur_keras.cli import console

    console.import_tensorflow()
    from deblur_keras import datasets, images
    from deblur_keras.evaluation import comparison, model_facts
    from deblur_keras.restorer import ModelError, Restorer

    if output is not None and not overwrite:
        for name in comparison.FILES:
            if (output / name).exists():
                raise console.fail(
                    f"{output / name} exists already; choose another folder, or add --overwrite."
                )
    try:
        pairs, split = chosen_pairs(data, split, blur, limit)
        restorers = [Restorer(model) for model in (first, second)]
        facts = {
            "data": data,
            "split": split,
            "blur": blur,
            **{key: model_facts(model) for key, model in zip("ab", (first, second), strict=True)},
            "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        }
        with console.progress("Scoring", total=2 * len(pairs)) as progress:
            result = comparison.compare_pairs(
                *restorers,
                pairs,
                names=_names(first, second),
                output=output,
                progress=progress,
                scale=scale,
                protocol=facts,
            )
    except (datasets.DatasetError, images.ImageError, ModelError, ImportError, OSError) as error:
        raise console.fail(error) from error

    for line in result.protocol_lines():
        click.echo(console.printable(line))
    if result.first.rows:
        console.console(stderr=False).print(result.table())
    for line in result.lines():
        click.echo(console.printable(line))
    if output is not None and result.first.rows:
        for name in comparison.FILES:
            if (output / name).exists():
                click.echo(console.printable(f"written: {output / name}"))
    if result.failures:
        for name, text in result.failures.items():
            click.echo(console.printable(f"not scored: {name}: {text}"), err=True)
        raise console.fail(f"{len(result.failures)} of {len(pairs)} pairs could not be scored.")


def _names(first, second):
    """Names two models by the shortest ends of their paths that differ: runs all have one name."""
    from deblur_keras.restorer import pretrained_names

    known = pretrained_names()
    ends = [
        (str(model),) if str(model) in known else Path(model).resolve().with_suffix("").parts
        for model in (first, second)
    ]
    for length in range(1, max(map(len, ends)) + 1):
        names = ["/".join(parts[-length:]) for parts in ends]
        if names[0] != names[1]:
            return names
    return [parts[-1] for parts in ends]
