"""Averages the weights of generators of one kind, and saves the result.

Of two runs, of which one began with what the other made, the mean was as good as either and a good
start for a third, and lost less where blur is unlike that of the training; the model card
`deblur_keras/weights/default.md` says where. Blocks that some generators lack count there as
identity, of the same kernels and with factors of 0.
"""

import sys
from pathlib import Path

import click


@click.command(help=__doc__)
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help=".keras file.")
def main(files, output):
    """Averages FILES, generators, into OUTPUT."""
    import numpy as np

    from deblur_keras import generators, images, models

    if len(files) < 2:
        raise ValueError("expected two or more files to average, got one")
    if output.suffix != ".keras" or output.exists():
        raise ValueError(f"-o must name a new file that ends in .keras; got {output}")
    # What the others lack, blocks or scales, counts as nothing in them.
    averaged = max(map(models.load, files), key=lambda one: generators.multiply_adds(one, 512, 512))
    deepest = averaged.get_weights()
    total = [0.0 * weight for weight in deepest]
    for file in files:
        averaged.set_weights(deepest)
        try:
            generators.begin_with(averaged, models.load(file))
        except generators.UnfitError as error:
            raise ValueError(f"{file} cannot be averaged with the others: {error}") from error
        total = [a + b for a, b in zip(total, averaged.get_weights(), strict=True)]
    averaged.set_weights([np.divide(weight, len(files)) for weight in total])
    with images.atomic_path(output) as temporary:
        averaged.save(temporary)
    click.echo(f"{output}: {averaged.count_params():,} parameters, the mean of {len(files)} files")


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as error:
        sys.exit(f"Error: {error}")
