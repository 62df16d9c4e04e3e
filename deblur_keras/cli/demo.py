"""``deblur-keras demo``: what the weights that ship do to photographs that need no download."""

from pathlib import Path

import click


@click.command()
@click.option(
    "-o",
    "--output",
    default="demo",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the contact sheet and the restored photographs.",
)
@click.option(
    "--model", default="default", show_default=True, help="Weights that ship, or a .keras file."
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of the synthetic blur.",
)
def demo(output, model, seed):
    """Restore blurred photographs that need no download, and score them.

    Blurs five colour photographs that come with scikit-image by random camera shake, restores
    them, and prints PSNR and SSIM, blurred -> restored. Restores a photograph with real motion
    blur too, which has no sharp partner. Writes a contact sheet and the restored files; files of
    an earlier demo are replaced.

    \b
    Examples:
      deblur-keras demo
      deblur-keras demo --model runs/mine/generator.keras -o mine --seed 7
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    from deblur_keras.cli import console

    console.import_tensorflow()
    from deblur_keras import demo as demonstration
    from deblur_keras.evaluation import model_facts
    from deblur_keras.restorer import ModelError, Restorer

    try:
        demonstration.photograph_folder()
        restorer = Restorer(model)
        with console.progress("Restoring", len(demonstration.PHOTOGRAPHS) + 1) as progress:
            evaluation = demonstration.run(restorer, output, seed, progress, model_facts(model))
    except (demonstration.DemoError, ModelError, OSError) as error:
        raise console.fail(error) from error

    click.echo(f"Photographs of scikit-image under synthetic motion blur, seed {seed}")
    console.show_scores(evaluation.protocol_lines(), evaluation.table(), evaluation.lines())
    click.echo(
        f"\n{console.printable(output / 'contact_sheet.png')}: blurred, restored and sharp side by "
        f"side\n{console.printable(output / 'restored')}: the restored photographs, "
        f"{Path(demonstration.BLURRED_PHOTOGRAPH).stem} (really blurred, not scored) too"
    )
    if evaluation.failures:
        for name, text in evaluation.failures.items():
            click.echo(console.printable(f"not restored: {name}: {text}"), err=True)
        raise console.fail(f"{len(evaluation.failures)} photographs could not be restored.")
