"""The script that draws the kernels between pairs: it finds the one that was there."""

import numpy as np
import pytest
from click.testing import CliRunner
from loading import load

from deblur_keras import blur, images


@pytest.fixture(scope="module")
def script():
    return load("scripts/draw_kernels.py")


def pair(late):
    """A sharp picture full of detail, and the same under a line whose middle is elsewhere."""
    sharp = np.random.default_rng(0).integers(0, 256, (160, 200, 3)).astype(np.uint8)
    line = np.linspace(-10, 10, 4001) * (1 + 0.5j)
    kernel = blur.psfs(line, size=40, late=late, frames=4, duty=0.1)
    return sharp, blur.motion_blur(sharp, kernel, gamma=1.0), kernel


@pytest.mark.parametrize("late", [0.0, 0.25])
def test_the_kernel_that_blurred_is_found(script, late):
    sharp, blurred, kernel = pair(late)
    found = script.kernel_between(
        *(side[:160, :160].astype(float) for side in (sharp, blurred)), 40
    )
    assert np.corrcoef(found.ravel(), kernel.ravel())[0, 1] > 0.97
    assert np.unravel_index(found.argmax(), found.shape) in list(
        zip(*np.nonzero(kernel > 0.05), strict=True)
    )


def test_a_square_of_kernels_for_each_pair(script, tmp_path):
    sharp, blurred, _ = pair(0.0)
    for name in ("1", "2"):
        images.write(tmp_path / "sharp" / f"{name}.png", sharp)
        images.write(tmp_path / "blur" / f"{name}.png", blurred)
    options = ["-o", str(tmp_path / "k.png"), "--block", "100", "--side", "40", "--blocks", "2"]
    called = CliRunner().invoke(script.main, [str(tmp_path), *options])
    assert called.exit_code == 0, called.output
    assert images.read(tmp_path / "k.png").shape == (2 * (120 + 4), 2 * 2 * (120 + 4), 3)

    called = CliRunner().invoke(script.main, [str(tmp_path), "-o", str(tmp_path / "l.png")])
    assert called.exit_code == 2
    assert "expected at least 320x320 pixels" in called.output and "got 200x160" in called.output
