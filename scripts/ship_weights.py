"""Puts weights among those that ship, small and in both forms: for Keras, and without it.

`python scripts/ship_weights.py default run/generator.keras` rounds the kernels to 8 bits and writes
`deblur_keras/weights/default.keras` and `.graph`; without a generator it makes the `.graph` files
of what is there anew. A test compares both forms, and until they agree restoring falls back to
TensorFlow. Needs `pip install "onnx>=1.18,<2"`.

Trained weights see less far than their layers could: with `--sees 480` the `.graph` file says so,
which is checked, and engines need so many pixels around a tile alone.
"""

import dataclasses
import sys
import tempfile
from pathlib import Path

import click
import numpy as np

from deblur_keras import demo, images, kernels, models, portable, tiles

_CORE = 1024  # pixels, the side of the tiles in which `--sees` is checked


@click.command(help=__doc__)
@click.argument("name", required=False)
@click.argument("generator", required=False, type=click.Path(exists=True, dir_okay=False))
@click.option("--sees", type=click.IntRange(min=0), help="Pixels around a tile beyond which "
              "nothing changes a result by half a grey level.")  # fmt: skip
def main(name, generator, sees):
    """Writes the files and prints how large they are, and how far apart."""
    import onnx

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
            if sees is not None:
                network = models.describe(model, each)
                if network.halo is None:
                    raise ValueError(f"--sees: {each} has a layer that looks at the whole image")
                check_sees(model, sees)
                halo = -(-sees // network.multiple) * network.multiple
                network = dataclasses.replace(network, halo=min(halo, network.halo))
                note = portable.metadata(network, portable.sha256(path))
                onnx.helper.set_model_props(converted, note)
            difference = conversion.check_parity(model, converted, each, onnx_runner())
            # Both are there before either is replaced.
            graph = kernels.leave_out(converted, path), f"{each}{portable.GRAPH}"
            for content, file in ((path.read_bytes(), path.name), graph):
                images.write_bytes(models.WEIGHTS / file, content)
                click.echo(f"{models.WEIGHTS / file}: {len(content) / 1e6:.2f} MB")
            click.echo(f"Largest difference between them: {difference:.1g} in [-1, 1]")


def check_sees(model, sees):
    """Raises a ValueError if tiles with so many pixels around them are not those of the whole."""
    sides = []
    for pair in demo.pairs()[:4]:
        blurred, _ = pair.read()
        more = [(0, _CORE - side) for side in blurred.shape[:2]]
        sides.append(np.pad(blurred, [*more, (0, 0)], "symmetric"))
    whole = np.block([[[sides[0]], [sides[1]]], [[sides[2]], [sides[3]]]])
    whole = images.to_float(whole).astype(np.float32)[None]
    restored = np.asarray(model(whole, training=False))
    most, spans = 0.0, tiles.regular_spans(2 * _CORE, _CORE, sees)
    for row in spans:
        for column in spans:
            window = whole[:, row.start : row.stop, column.start : column.stop]
            window = np.asarray(model(window, training=False))
            for span, axis in ((row, 1), (column, 2)):
                inner = range(span.core_start - span.start, span.core_stop - span.start)
                window = window.take(inner, axis)
            core = restored[:, row.core_start : row.core_stop, column.core_start : column.core_stop]
            most = max(most, float(np.abs(window - core).max()) * 127.5)
    click.echo(f"With {sees} pixels around tiles they differ by {most:.2g} grey levels at most.")
    if most > 0.5:
        raise ValueError(f"--sees {sees} is too little; give more, or leave it out")


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError, ImportError) as error:
        sys.exit(f"Error: {error}")
