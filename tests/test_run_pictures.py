import math
import re
import shlex

import numpy as np
import pytest
from PIL import Image

from deblur_keras import curves, feeds, films, images, recipes, run_config, run_notes
from deblur_keras.cli import epochs, main
from deblur_keras.trainers import AfterEpochs

PAIRED = """\
epoch,critic_loss,generator_loss,gradient_penalty,learning_rate,psnr,blurred_psnr,val_psnr
0,-1.5,900.0,0.5,0.0001,20.5,21.0,
1,-2.5,30.0,0.4,0.0001,nan,21.5,22.25
2,-2.0,3.0,0.4,0.00005,22.5,21.2,22.0
"""


@pytest.mark.parametrize(
    ("rows", "best"),
    [
        (PAIRED, (2, 22.25, math.nan)),
        (PAIRED.replace("val_psnr", "other"), (3, 22.5, 21.2)),
        ("epoch,cycle_loss,generator_loss\n0,3.5,7.0\n", None),
        ("epoch,psnr\n", None),
    ],
    ids=["pairs", "training crops", "no pairs", "nothing"],
)
def test_curves_are_drawn_of_whatever_was_logged(rows, best, tmp_path):
    history = tmp_path / "history.csv"
    history.write_text(rows)
    assert images.read(curves.draw(history, tmp_path / "curves.png")).shape == (800, 1200, 3)
    assert curves.best(curves.read(history)) == pytest.approx(best, nan_ok=True)


def test_a_film_shows_the_first_and_the_last_sheet_and_stays_small(tmp_path):
    for step in range(1, 31):
        sheet = np.full((300, 200, 3), 8 * step, np.uint8)
        images.write(tmp_path / f"step-{step:07d}.png", sheet)
    images.write(tmp_path / "step-0000000.png", np.zeros((40, 40, 3), np.uint8))  # other crops
    path = films.sheets_film(tmp_path, tmp_path / "samples.gif", frames=7, pixels=15_000)
    with Image.open(path) as film:
        assert film.n_frames == 6 and film.size == (100, 150 + 22)
        shown = []
        for number in range(film.n_frames):
            film.seek(number)
            shown.append(film.convert("RGB").getpixel((50, 100))[0] / 8)
        assert film.info["duration"] == 2000
    assert shown == sorted(shown) and shown[-1] == pytest.approx(30, abs=0.5)
    small = films.sheets_film(tmp_path, tmp_path / "large.gif", pixels=400_000)
    assert Image.open(small).size == (400, 600 + 22)
    assert films.sheets_film(tmp_path / "none", path) is None


def test_notes_say_what_was_run_and_their_commands_parse(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run, data = tmp_path / "my run", tmp_path / "it's data"
    data.mkdir()
    (tmp_path / "photo.jpg").touch()
    recipe = recipes.get("deblurgan").override({"generator": "compact", "epochs": 3})
    config = run_config.RunConfig(recipe, feeds.Sources(str(data)), seed=7)
    first = run_notes.write(config, run, {"pairs": 12}).read_text()
    assert "0 of 3 epochs are done.\n" in first
    (run / "history.csv").write_text(PAIRED.replace("blurred_psnr", "val_blurred_psnr"))
    (run / "generator.keras").touch()
    (run / "tensorboard").mkdir()
    notes = run_notes.write(config, run, {"pairs": 12, "sharp": 0}).read_text()
    assert (
        "is **22.25 dB** on the validation pairs, in epoch 2; the blurred input's own is 21.50"
        in (notes)
    )
    for said in (
        "`generator=compact`",
        f"`{data}`",
        "12 pairs\n",
        "seed: 7",
        "`generator.keras`: the best generator so far, by its PSNR on the validation pairs",
    ):
        assert said in notes, said
    assert "samples.gif" not in notes  # there is none
    block = re.search(r"```bash\n(.*?)```", notes, re.DOTALL)[1]
    commands = [shlex.split(line, comments=True) for line in block.splitlines()]
    assert "--epochs" in commands[0] and "--epochs" not in first
    for program, name, *arguments in commands:
        if program == "deblur-keras":
            with main.get_command(None, name).make_context(name, arguments):
                pass
    assert [program for program, *_ in commands] == ["deblur-keras"] * 3 + ["tensorboard"]


def test_notes_of_a_stopped_run_say_what_its_checkpoint_has(tmp_path):
    recipe = recipes.get("deblurgan").override({"generator": "compact", "epochs": 3})
    config = run_config.RunConfig(recipe, feeds.Sources(str(tmp_path)))
    (tmp_path / "history.csv").write_text(PAIRED.replace("val_psnr", "other"))
    saved = 1, "epoch 2, 14 of its 40 updates done"
    ended = "The training diverged at epoch 2, update 20."
    notes = run_notes.write(config, tmp_path, {}, saved, ended).read_text()
    assert (
        "\nStopped. The last checkpoint has: epoch 2, 14 of its 40 updates done, of 3 epo" in notes
    )
    assert f"error:\n\n> {ended}\n" in notes
    assert "so far" not in notes and "deblur photo.jpg" not in notes  # there is no generator
    (tmp_path / "generator-last.keras").touch()
    (tmp_path / "generator.keras").touch()
    notes = run_notes.write(config, tmp_path, {}, (3, "3 epochs done")).read_text()
    assert "3 of 3 epochs are done. Epoch 3 did best on its crops so far: **+1.30 dB** ov" in notes
    assert "input, 22.50 dB against 21.20 dB." in notes


def test_what_is_made_after_epochs_never_stops_the_training(caplog):
    made = []

    def fail():
        raise RuntimeError("no font\nat all")

    callback = AfterEpochs({"curves.png": fail, "README.md": lambda: made.append(1)})
    for epoch in range(2):
        callback.on_epoch_end(epoch)
    assert made == [1, 1]
    assert [record.getMessage() for record in caplog.records] == [
        "curves.png could not be made: no font. The training goes on."
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(12.345, "12.3"), (-0.0456, "-0.0456"), (20345.6, "20346"), (0, "0"), (1e-7, "1e-07")],
)
def test_numbers_have_three_digits_that_matter(value, shown):
    assert epochs.summary({"critic_loss": value}) == f"critic {shown}"
