"""``deblur-keras compare``: scores two models on the same pairs."""

from pathlib import Path

import click

from deblur_keras.cli.pairs import DETECTION, chosen, pair_options, tell_failures


@click.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@pair_options
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the scores of each image (CSV), the summary (JSON), a plot of each figure, "
    "and the contact sheet.",
)
@click.option(
    "--report",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the same files and report.html, one page of them all.",
)
@click.option("--overwrite", is_flag=True, help="Replace an earlier comparison there.")
def compare(first, second, **options):
    """Score two models, A and B, on the same pairs of blurred and sharp photographs.

    A and B are names of weights that ship, such as "default", or .keras files. Prints the means of
    PSNR, SSIM and MSE for the blurred input, A and B, the share of images on which each of the two
    is better, and the p-value of a two-sided Wilcoxon signed-rank test: how often differences of
    these sizes would fall this much to one side if neither were better. A win rate with a large p
    may well be chance.

    Needs SciPy. Ends with exit code 1 if any pair could not be scored with both models.

    \b
    Examples:
      deblur-keras compare default runs/mine/generator.keras --data GOPRO_Large
      deblur-keras compare a.keras b.keras --data pairs --report comparison
      deblur-keras compare a.keras b.keras --data pairs --halved --limit 50
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    run(first, second, **options)


def run(first, second, output, report, overwrite, **options):
    """Compares two models, for `compare` and for ``evaluate --compare``.

    Args:
        first: name or path of A.
        second: name or path of B.
        output: folder to write to, or None.
        report: folder to write the same and a page to, or None.
        overwrite: whether an earlier comparison may be replaced.
        options: what `cli.pairs.chosen` takes.
    """
    from deblur_keras.cli import console

    if report is not None and output is not None and report.resolve() != output.resolve():
        raise click.UsageError("--report DIR writes all that -o does: give one of them.")
    output = report or output
    if options["protocol"] in (DETECTION, "unpaired"):
        raise click.UsageError(
            f"--protocol {options['protocol']} scores one model at a time, with evaluate; compare "
            "needs figures against a sharp image."
        )
    console.import_tensorflow()
    from deblur_keras.evaluation import comparison, model_facts, outcomes
    from deblur_keras.restorer import ModelError, Restorer

    if output is not None and not overwrite:
        for name in (outcomes.TABLE, outcomes.SUMMARY, outcomes.SHEET):
            if (output / name).exists():
                raise console.fail(
                    f"{output / name} exists already; choose another folder, or add --overwrite."
                )
    try:
        what = chosen(**options, output=output)
        restorers = [Restorer(model) for model in (first, second)]
        facts = {
            **what.facts,
            **{key: model_facts(model) for key, model in zip("ab", (first, second), strict=True)},
            "command": console.command_line(),
        }
        with console.progress("Scoring", total=2 * len(what.pairs)) as progress:
            result = comparison.compare_pairs(
                *restorers,
                what.pairs,
                names=_names(first, second),
                output=output,
                progress=progress,
                scale=what.scale,
                protocol=what.protocol,
                facts=facts,
            )
    # DatasetError and ImageError are ValueErrors
    except (ModelError, ImportError, OSError, ValueError) as error:
        raise console.fail(error) from error

    table = result.table() if result.first.rows else None
    console.show_scores(result.protocol_lines(), table, result.lines())
    if report is not None and result.first.rows:
        from deblur_keras.evaluation.report import write_comparison_report

        page = write_comparison_report(result, report)
        click.echo(console.printable(f"report: {page}"))
    elif output is not None and result.first.rows:
        click.echo(console.printable(f"written to {output}"))
    tell_failures(result.failures, len(what.pairs))


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
