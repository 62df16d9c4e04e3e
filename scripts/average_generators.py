"""Averages the weights of generators of one architecture, and saves the result without optimizer.

The mean of what two runs made, of which one began with the other, was as good as either and a good
start for a third; the model card `deblur_keras/weights/default.md` says where.
"""

from pathlib import Path

import click


@click.command()
@click.argument("generators", nargs=-1, required=True, type=click.Path(exists=True))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help=".keras file.")
@click.option("--name", default="default", show_default=True, help="Name of the model.")
def main(generators, output, name):
    """Average GENERATORS, .keras files, into OUTPUT."""
    import keras
    import numpy as np

    import deblur_keras.layers  # noqa: F401 - registers the layers that the files name
    from deblur_keras import images

    models = [keras.saving.load_model(path, compile=False) for path in generators]
    weights = zip(*(model.get_weights() for model in models), strict=True)
    averaged = keras.Model(models[0].input, models[0].output, name=name)
    averaged.set_weights([np.mean(same, axis=0) for same in weights])
    with images.atomic_path(output) as temporary:
        averaged.save(temporary)


if __name__ == "__main__":
    main()
