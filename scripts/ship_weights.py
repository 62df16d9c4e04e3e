"""Puts weights among those that ship, small and in both forms: for Keras, and without it.

`python scripts/ship_weights.py default run/generator.keras` rounds the kernels to 8 bits and writes
`deblur_keras/weights/default.keras` and `.graph`; without any argument it makes the `.graph` files
of what is there anew, with what `--sees` has noted in them. A test compares both forms, and until
they agree restoring falls back to TensorFlow. Needs `pip install "onnx>=1.18,<2"`, and onnxruntime
for `--sees`.

Trained weights see less far than their layers could: with `--sees 480` the `.graph` file says so,
which is checked, and engines need so many pixels around a tile alone.
"""

import dataclasses
import sys
import tempfile
from pathlib import Path

import click
import numpy as np

from deblur_keras import demo, images, kernels, models, portable
from deblur_keras.restorer import Restorer

# Pixels: sides of the photographs, after they are extended, and of the tiles that check `--sees`.
_PHOTOGRAPH, _TILE = 1024, 512


@click.command(help=__doc__)
@click.argument("name", required=False)
@click.argument("generator", required=False, type=click.Path(exists=True, dir_okay=False))
@click.option("--sees", type=click.IntRange(min=0), help="Pixels around a tile beyond which "
              "nothing changes a result by half a grey level.")  # fmt: skip
def main(name, generator, sees):
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
            around = sees
            if around is None and not generator:
                around = noted(each, model)
            if around is not None:
                note_sees(converted, models.describe(model, each), portable.sha256(path), around)
                sealed = Path(folder) / f"{each}.onnx"
                sealed.write_bytes(portable.seal(converted.SerializeToString()))
                check_sees(sealed, around)
            difference = conversion.check_parity(model, converted, each, onnx_runner())
            # Both are there before either is replaced.
            graph = kernels.leave_out(converted, path), f"{each}{portable.GRAPH}"
            for content, file in ((path.read_bytes(), path.name), graph):
                images.write_bytes(models.WEIGHTS / file, content)
                click.echo(f"{models.WEIGHTS / file}: {len(content) / 1e6:.2f} MB")
            click.echo(f"Largest difference between them: {difference:.1g} in [-1, 1]")


def noted(name, model):
    """Says how many pixels around tiles the shipped file notes, if it is not what layers say."""
    shipped, _ = portable.describe(models.WEIGHTS / f"{name}{portable.GRAPH}")
    return shipped.halo if shipped.halo != models.describe(model, name).halo else None


def note_sees(converted, network, digest, sees):
    """Notes in a converted network, in place, that tiles need no more than `sees` around them."""
    import onnx

    if network.halo is None:
        raise ValueError(f"--sees: {network.name} has a layer that looks at the whole image")
    halo = -(-sees // network.multiple) * network.multiple
    network = dataclasses.replace(network, halo=min(halo, network.halo))
    onnx.helper.set_model_props(converted, portable.metadata(network, digest))


def check_sees(file, sees):
    """Raises a ValueError if tiles, with as much around them as a file notes, are not the whole."""
    photographs = []
    for pair in demo.pairs()[:4]:
        blurred, _ = pair.read()
        more = [(0, _PHOTOGRAPH - side) for side in blurred.shape[:2]]
        photographs.append(np.pad(blurred, [*more, (0, 0)], "symmetric"))
    whole = np.block([[[photographs[0]], [photographs[1]]], [[photographs[2]], [photographs[3]]]])
    times = -(-2 * (sees + _TILE) // len(whole))  # else what is around a tile may be all
    whole = np.tile(whole, (times, times, 1)).astype(np.uint16) * 257  # parts of a grey level tell
    in_one, in_tiles = (
        Restorer(file, engine="onnxruntime", tile=tile)(whole).astype(float) / 257
        for tile in (None, _TILE)
    )
    most = np.abs(in_one - in_tiles).max()
    click.echo(f"With {sees} pixels around tiles they differ by {most:.2g} grey levels at most.")
    if most > 0.5:
        raise ValueError(f"--sees {sees} is too little; give more, or leave it out")


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError, ImportError) as error:
        sys.exit(f"Error: {error}")
