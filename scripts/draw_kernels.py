"""Draws the kernels that lie between blurred and sharp photographs, block by block.

    python scripts/draw_kernels.py gopro/ -o kernels.png

For each pair the photograph is divided into blocks, and for each the kernel is solved for that
makes the blurred block of the sharp one: a cross marks where a point of the sharp photograph is. So
it tells how real blur looks, and where in it the sharp side lies.
"""

import click
import cv2
import numpy as np

from deblur_keras import datasets, images

_RIDGE = 2e-3  # of the block's mean power, so that frequencies without light are left out
_ENLARGED, _FRAME, _GREY = 3, 2, 128


def kernel_between(sharp, blurred, side):
    """Solves for the kernel that makes a blurred block of a sharp one, by ridge regression.

    Args:
        sharp: Array (N, N, 3).
        blurred: The same.
        side: Of the kernel in pixels, at most N.

    Returns:
        Array (side, side); a point that did not move is at (side // 2, side // 2).
    """
    window = np.outer(*[np.hanning(len(sharp))] * 2)[..., None]
    light, seen = (
        np.fft.fft2((block - block.mean((0, 1))) * window, axes=(0, 1))
        for block in (sharp, blurred)
    )
    power = (np.abs(light) ** 2).sum(2)
    solved = (np.conj(light) * seen).sum(2) / (power + _RIDGE * power.mean())
    kernel = np.fft.fftshift(np.fft.ifft2(solved).real)
    first = len(sharp) // 2 - side // 2
    return kernel[first : first + side, first : first + side]


def drawn(kernel):
    """Draws a kernel: uint8 (side, side), enlarged, with a cross in its middle, in a frame."""
    grey = np.clip(kernel / kernel.max(), 0, 1) ** 0.7 * 255
    large = cv2.resize(grey, None, fx=_ENLARGED, fy=_ENLARGED, interpolation=cv2.INTER_NEAREST)
    large = np.repeat(large.astype(np.uint8)[..., None], 3, axis=2)
    middle = (len(kernel) // 2 * _ENLARGED + _ENLARGED // 2,) * 2
    cv2.drawMarker(large, middle, (255, 96, 96), cv2.MARKER_CROSS, 4 * _ENLARGED)
    return np.pad(large, [(_FRAME, _FRAME)] * 2 + [(0, 0)], constant_values=_GREY)


@click.command(help=__doc__)
@click.argument("pairs", type=click.Path(exists=True, file_okay=False))
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False))
@click.option("--block", default=320, show_default=True, type=click.IntRange(min=32),
              help="Side of a block in pixels; larger is clearer if blur is uniform.")  # fmt: skip
@click.option("--side", default=72, show_default=True, type=click.IntRange(min=8),
              help="Side of a kernel in pixels.")  # fmt: skip
@click.option("--blocks", default=3, show_default=True, type=click.IntRange(min=1),
              help="Blocks along each side of a photograph.")  # fmt: skip
def main(pairs, output, block, side, blocks):
    """Draws a square of kernels for each pair, one beside the other."""
    squares = []
    for pair in datasets.pairs(pairs):
        blurred, sharp = (image.astype(np.float64) for image in pair.read())
        if min(sharp.shape[:2]) < block or side > block:
            raise click.UsageError(
                f"{pair.name}: expected at least {block}x{block} pixels, and kernels of at most "
                f"that; got {sharp.shape[1]}x{sharp.shape[0]} and {side}. Give a smaller --block."
            )
        tops, lefts = (
            np.linspace(0, length - block, blocks).astype(int) for length in sharp.shape[:2]
        )
        rows = []
        for top in tops:
            parts = [np.s_[top : top + block, left : left + block] for left in lefts]
            kernels = [kernel_between(sharp[part], blurred[part], side) for part in parts]
            rows.append(np.hstack([drawn(kernel) for kernel in kernels]))
        squares.append(np.vstack(rows))
        click.echo(pair.name)
    images.write(output, np.hstack(squares))
    click.echo(output)


if __name__ == "__main__":
    main()
