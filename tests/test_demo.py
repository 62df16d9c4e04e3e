"""The demonstration: what it shows, what it writes, and what it says when it cannot run."""

import importlib.util
import json
import types

import numpy as np
import pytest
from click.testing import CliRunner

from deblur_keras import blur, demo, images
from deblur_keras.cli.demo import demo as command
from deblur_keras.generators import compact_generator

NAMES = ["astronaut", "chelsea", "coffee", "motorcycle_left", "rocket"]


def test_pairs_are_colour_photographs_under_seeded_shakes_of_their_own():
    chosen, again, others = demo.pairs(), demo.pairs(seed=0), demo.pairs(seed=1)
    assert [pair.name for pair in chosen] == NAMES
    for pair, same, other in zip(chosen, again, others, strict=True):
        np.testing.assert_array_equal(pair.psf, same.psf)
        assert not np.array_equal(pair.psf, other.psf)
    blurred, sharp = chosen[1].read()
    assert blurred.shape == sharp.shape == (300, 451, 3)
    np.testing.assert_array_equal(blurred, blur.motion_blur(sharp, chosen[1].psf))
    assert np.abs(blurred.astype(int) - sharp).mean() > 1
    assert np.ptp(sharp.astype(int), axis=2).max() > 50  # in colour


def test_command_scores_shows_and_refreshes(tmp_path, monkeypatch):
    # two photographs keep the test quick; the real list is checked above
    monkeypatch.setattr(demo, "PHOTOGRAPHS", ("chelsea.png", "rocket.jpg"))
    model, output = tmp_path / "tiny.keras", tmp_path / "demo"
    compact_generator(widths=(2,), blocks=(1,)).save(model)
    output.mkdir()
    (output / "notes.txt").write_text("mine")
    for _ in range(2):
        arguments = ["-o", str(output), "--model", str(model), "--seed", "3"]
        result = CliRunner().invoke(command, arguments)
        assert result.exit_code == 0, result.output
    assert "SSIM (11x11 Gaussian" in result.output
    assert "chelsea" in result.output
    assert "of 2 images improved" in result.output

    assert {path.name for path in output.iterdir()} == {
        *("blurred", "restored", "notes.txt"),
        *("contact_sheet.png", "run.json", "scores.csv", "summary.json"),
    }
    names = ["chelsea.png", "clock_motion.png", "rocket.png"]
    for folder in ("blurred", "restored"):
        assert sorted(path.name for path in (output / folder).iterdir()) == names
    sheet = images.read(output / "contact_sheet.png")
    assert sheet.shape[1] >= 3 * 512
    assert sheet.shape[0] >= 300 + 427 + 300
    report = json.loads((output / "summary.json").read_text())
    assert report["protocol"]["seed"] == 3
    assert report["summary"]["count"] == 2


def test_without_scikit_image_the_message_is_the_line_to_type(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    result = CliRunner().invoke(command, ["-o", str(tmp_path / "demo")])
    assert result.exit_code == 1
    assert 'pip install "scikit-image>=0.25,<1"' in result.output
    assert not (tmp_path / "demo").exists()


def test_a_scikit_image_without_its_photographs_is_said(tmp_path, monkeypatch):
    empty = types.SimpleNamespace(origin=str(tmp_path / "skimage" / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: empty)
    with pytest.raises(demo.DemoError, match=r"no astronaut\.png"):
        demo.pairs()


def test_a_model_that_is_not_there_is_said(tmp_path):
    arguments = ["-o", str(tmp_path / "demo"), "--model", "nowhere.keras"]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 1
    assert "nowhere.keras" in result.output
    assert not (tmp_path / "demo").exists()
