"""Puts weights among those that ship, small and in both forms: for Keras, and without it.

`python scripts/ship_weights.py default run/generator.keras` rounds the kernels to 8 bits and writes
`deblur_keras/weights/default.keras` and `.graph`; without a generator it makes the `.graph` files
of what is there anew. A test compares both forms, and until they agree restoring falls back to
TensorFlow. Needs `pip install "onnx>=1.18,<2"`.
"""

import sys
import tempfile
from pathlib import Path

import click

from deblur_keras import images, kernels, models, portable


@click.command(help=__doc__)
@click.argument("name", required=False)
@click.argument("generator", required=False, type=click.Path(exists=True, dir_okay=False))
def main(name, generator):
    """Writes the files and prints how large they are, and how far apart."""
    from deblur_keras.engines import conversion
    from deblur_keras.export import onnx_runner

    if generator and not name.isidentifier():
        raise ValueError(f"expected a name of letters, digits and underscores, got {name!r}")
    for each in [name] if name else models.pretrained_names():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{each}.keras"
            if generator:
                models.save_small(models.load(generator), path)
            else:
                path.write_bytes(models.pretrained_path(each).read_bytes())
            model = models.load(path)
            converted = conversion.convert(model, each, portable.sha256(path))
            difference = conversion.check_parity(model, converted, each, onnx_runner())
            # Both are there before either is replaced.
            graph = kernels.leave_out(converted, path), f"{each}{portable.GRAPH}"
            for content, file in ((path.read_bytes(), path.name), graph):
                images.write_bytes(models.WEIGHTS / file, content)
                click.echo(f"{models.WEIGHTS / file}: {len(content) / 1e6:.2f} MB")
            click.echo(f"Largest difference between them: {difference:.1g} in [-1, 1]")


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError, ImportError) as error:
        sys.exit(f"Error: {error}")
