"""Puts weights among those that ship, small and in both forms: for Keras, and without it.

`python scripts/ship_weights.py default run/generator.keras` rounds the kernels to 8 bits and writes
`deblur_keras/weights/default.keras` and `.graph`; without a generator it makes the `.graph` files
of what is there anew. A test compares both forms, and until they agree restoring falls back to
TensorFlow. Needs `pip install "onnx>=1.18,<2"`.
"""

import click

from deblur_keras import images, kernels, models, portable


@click.command(help=__doc__)
@click.argument("name", required=False)
@click.argument("generator", required=False, type=click.Path(exists=True, dir_okay=False))
def main(name, generator):
    """Writes the files and prints how large they are."""
    from deblur_keras.engines import conversion

    if generator:
        models.save_small(models.load(generator), models.WEIGHTS / f"{name}.keras")
    for each in [name] if name else models.pretrained_names():
        path = models.pretrained_path(each)
        converted = conversion.convert(models.load(path), each, portable.sha256(path))
        graph = path.with_suffix(portable.GRAPH)
        images.write_bytes(graph, kernels.leave_out(converted, path))
        for file in (path, graph):
            click.echo(f"{file}: {file.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
