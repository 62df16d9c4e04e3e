"""``deblur-keras export``: a model for servers and programs that do not have deblur_keras."""

from pathlib import Path

import click


@click.command()
@click.argument("model")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the SavedModel.",
)
@click.option("--overwrite", is_flag=True, help="Replace a SavedModel that is in OUTPUT.")
def export(model, output, overwrite):
    """Export MODEL to a SavedModel that needs only TensorFlow.

    MODEL is the name of weights that ship, such as "default", or a .keras file. The SavedModel
    takes 8-bit RGB photographs of any size and returns them restored: padding, scaling and
    rounding are part of it.

    \b
    Examples:
      deblur-keras export default -o served/1
      deblur-keras export runs/mine/generator.keras -o served/2 --overwrite
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    from deblur_keras.cli import console

    console.import_tensorflow()
    from deblur_keras.export import SIGNATURE, export_saved_model
    from deblur_keras.restorer import ModelError

    try:
        folder = export_saved_model(model, output, overwrite)
    except (ModelError, OSError) as error:
        raise console.fail(error) from error

    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    click.echo(
        f"written to {console.printable(output)} ({size / 1e6:.1f} MB)\n"
        f'signature "{SIGNATURE}": image, uint8 (B, H, W, 3) of any size -> restored, the same\n'
        "\n"
        "To use it from Python, with tensorflow alone:\n"
        "\n"
        f"  import tensorflow as tf; model = tf.saved_model.load({str(output)!r})\n"
        f'  restored = model.signatures["{SIGNATURE}"](image=tf.constant(photographs))["restored"]'
    )
