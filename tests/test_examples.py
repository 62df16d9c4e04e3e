import csv

import keras
import pytest
import skimage.data
from loading import load

from deblur_keras import Restorer, blur, datasets, evaluation, images


def four_small_pairs(folder):
    photograph = skimage.data.astronaut()
    kernels = blur.random_psfs(4, seed=3, exposure=1.0, max_length=40.0)
    for index, (top, left) in enumerate([(60, 180), (120, 220), (300, 60), (180, 360)]):
        sharp = photograph[top : top + 64, left : left + 64]
        images.write(folder / "sharp" / f"{index}.png", sharp)
        images.write(folder / "blur" / f"{index}.png", blur.motion_blur(sharp, kernels[index]))


@pytest.mark.slow
def test_fit_deblurgan_learns_its_training_pairs(tmp_path):
    keras.utils.set_random_seed(0)
    four_small_pairs(tmp_path)
    model = tmp_path / "generator.keras"
    before, after = load("examples/fit_deblurgan.py").main(tmp_path, 50, model)
    assert after["psnr"] > before["psnr"] + 3
    # The untrained generator is worse than its input, so the input is the bar that counts.
    scores = evaluation.evaluate_pairs(Restorer(model), datasets.pairs(tmp_path)).summary()
    assert scores["psnr"]["gain"] > 3


@pytest.mark.slow
def test_continue_training_goes_on_where_it_was(tmp_path, capsys):
    four_small_pairs(tmp_path / "pairs")
    example = load("examples/continue_training.py")
    for epochs in (1, 3):
        example.main(tmp_path / "pairs", epochs, tmp_path / "run")
    assert "Continuing: 1 epoch done." in capsys.readouterr().out
    with (tmp_path / "run" / "history.csv").open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["0", "1", "2"]
    Restorer(tmp_path / "run" / "generator.keras")
