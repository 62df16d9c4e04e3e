"""``deblur-keras export``: a model for servers, and for engines other than TensorFlow."""

import shlex
from pathlib import Path

import click


@click.command()
@click.argument("model")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder of the SavedModel, or ONNX file.",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["savedmodel", "onnx"]),
    help="savedmodel needs only TensorFlow; onnx restores without it, quicker.  [default: onnx "
    "where OUTPUT ends in .onnx, else savedmodel]",
)
@click.option("--overwrite", is_flag=True, help="Replace an export that is there.")
def export(model, output, kind, overwrite):
    """Export MODEL, for programs that do without deblur_keras or without TensorFlow.

    MODEL is the name of weights that ship, such as "default", or a .keras file.

    A SavedModel takes 8-bit RGB photographs of any size and returns them restored: padding, scaling
    and rounding are part of it. An ONNX file is the network alone; deblur-keras restores with it
    by OpenVINO or ONNX Runtime where it lies beside the .keras file of its name, or is given as
    --model.

    \b
    Examples:
      deblur-keras export default -o served/1
      deblur-keras export runs/mine/generator.keras -o served/2 --overwrite
      deblur-keras export runs/mine/generator.keras -o runs/mine/generator.onnx
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    from deblur_keras.cli import console

    if (kind == "onnx") != (output.suffix == ".onnx") and kind is not None:
        raise click.UsageError(
            "--format onnx writes a file, whose name must end in .onnx; the name of another folder "
            f"must not; got -o {console.printable(output)}"
        )
    console.import_tensorflow()
    from deblur_keras.export import export_onnx, export_saved_model
    from deblur_keras.restorer import ModelError

    try:
        if output.suffix == ".onnx":
            _, difference = export_onnx(model, output, overwrite)
            _tell_onnx(model, output, difference)
        else:
            _tell_saved_model(export_saved_model(model, output, overwrite), output)
    except (ModelError, ImportError, OSError) as error:
        raise console.fail(error) from error


def _tell_onnx(model, output, difference):
    from deblur_keras.cli.console import printable

    click.echo(
        f"written to {printable(output)} ({output.stat().st_size / 1e6:.1f} MB)\n"
        "blurred, float32 (B, H, W, 3) in [-1, 1] -> restored, the same; largest difference to "
        f"Keras: {difference:.1g}\n"
        "\n"
        "To restore with it, without TensorFlow, once openvino or onnxruntime is installed:\n"
        "\n"
        f"  deblur-keras deblur photo.jpg --model {shlex.quote(str(output))}"
    )
    if output.with_suffix("").name == Path(model).stem and Path(model).parent == output.parent:
        click.echo(f"  (--model {shlex.quote(model)} uses it too)")


def _tell_saved_model(folder, output):
    from deblur_keras.cli.console import printable
    from deblur_keras.export import SIGNATURE

    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    click.echo(
        f"written to {printable(output)} ({size / 1e6:.1f} MB)\n"
        f'signature "{SIGNATURE}": image, uint8 (B, H, W, 3) of any size -> restored, the same\n'
        "\n"
        "To use it from Python, with tensorflow alone:\n"
        "\n"
        f"  import tensorflow as tf; model = tf.saved_model.load({str(output)!r})\n"
        f'  restored = model.signatures["{SIGNATURE}"](image=tf.constant(photographs))["restored"]'
    )
