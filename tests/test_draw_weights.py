"""The script that draws the picture of a model card."""

import cv2
import numpy as np
import skimage.data
from click.testing import CliRunner
from loading import load

from deblur_keras import blur, images
from deblur_keras.evaluation.examples import most_different


def test_the_picture_shows_the_part_that_blur_harmed_most(tmp_path):
    script = load("scripts/draw_weights.py")
    sharp = skimage.data.astronaut()[:240, :320]
    blurred = sharp.copy()
    blurred[100:140, 200:260] = blur.motion_blur(sharp, blur.random_psfs(1, seed=1)[0])[
        100:140, 200:260
    ]
    rows, columns = most_different(blurred, sharp, 50, 80)
    assert rows.start <= 100 and rows.stop >= 140 and rows.stop - rows.start == 50
    assert columns.start <= 200 and columns.stop >= 260 and columns.stop - columns.start == 80

    for side, image in (("blur", blurred), ("sharp", sharp)):
        images.write(tmp_path / "set" / side / "1.png", image)
    rows = ["--row", "one", tmp_path / "set", "best", "--row", "one", tmp_path / "set", "worst"]
    output = tmp_path / "picture.jpg"
    result = CliRunner().invoke(script.main, [*map(str, rows), "-o", str(output)])
    assert result.exit_code == 0, result.output
    drawn = cv2.imread(str(output))
    assert drawn.shape[1] > 3 * 300 and drawn.shape[0] > 2 * 200
    assert np.ptp(drawn) > 200
