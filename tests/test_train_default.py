"""The script that trains the weights that ship: what it feeds, and that it goes on."""

import cv2
import keras
import numpy as np
import pytest
from click.testing import CliRunner
from loading import load

from deblur_keras import images


@pytest.fixture(scope="module")
def script():
    return load("scripts/train_default.py")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Folders of photographs, frames and pairs."""
    folder = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    picture = np.repeat(np.repeat(random.integers(0, 256, (30, 40, 3)), 4, axis=0), 4, axis=1)
    picture = picture.astype(np.uint8)
    for number in range(3):
        images.write(folder / "photographs" / f"{number}.png", np.roll(picture, number, axis=1))
        images.write(folder / "pairs" / "sharp" / f"{number}.png", picture[::-1])
        images.write(folder / "pairs" / "blur" / f"{number}.png", cv2.blur(picture[::-1], (9, 1)))
    for number in range(25):
        images.write(folder / "frames" / f"{number:03}.png", np.roll(picture, 2 * number, axis=1))
    return folder


def kinds(script, data, crop=32):
    places = [data / "photographs"], data / "frames", data / "pairs"
    return script.streams(*places, crop, seed=1, cache=True)


def test_every_kind_gives_aligned_crops(script, data):
    shares = 0
    for share, make in kinds(script, data):
        blurred, sharp = next(iter(make(first_batch=0)))
        assert blurred.shape == sharp.shape == (1, 32, 32, 3)
        shares += share
    assert shares == pytest.approx(1)


def test_frames_and_pairs_may_be_missing(script, data):
    for frames, pairs in ((None, data / "pairs"), (None, None), (data / "frames", None)):
        feed = script.feed(
            script.streams([data / "photographs"], frames, pairs, 32, 1, True), 2, 1, 0
        )
        assert next(iter(feed))[0].shape == (2, 32, 32, 3)


def test_batches_go_on_where_they_were_left(script, data):
    feeds = [script.feed(kinds(script, data), 3, 1, done) for done in (0, 2)]
    whole, rest = (list(feed.take(4 - done)) for feed, done in zip(feeds, (0, 2), strict=True))
    for one, other in zip(whole[2:], rest, strict=True):
        for left, right in zip(one, other, strict=True):
            assert left.shape == (3, 32, 32, 3)
            np.testing.assert_array_equal(left, right)
    assert len({np.asarray(blurred).tobytes() for blurred, _ in whole}) == 4


def test_kernels_move_by_as_much_in_every_direction(script):
    random = np.random.default_rng(0)
    kernel = keras.Variable(np.zeros((3, 3, 8, 16), "float32"), name="kernel")
    bias = keras.Variable(np.zeros(16, "float32"), name="bias")
    optimizer = script.optimizer(0.01)
    gradients = [random.normal(size=v.shape).astype("float32") for v in (kernel, bias)]
    optimizer.apply([keras.ops.convert_to_tensor(one) for one in gradients], [kernel, bias])
    matrix = kernel.numpy().reshape(72, 16)
    strengths = np.linalg.svd(matrix, compute_uv=False) / (0.01 * 0.2 * 72**0.5)
    assert strengths.min() > 0.6 and strengths.max() < 1.3  # of the iteration of Muon's authors
    assert np.vdot(matrix, gradients[0].reshape(72, 16)) < 0  # downhill
    np.testing.assert_allclose(bias.numpy(), -0.01 / 3 * np.sign(gradients[1]), rtol=1e-3)


@pytest.mark.slow
def test_a_run_goes_on_and_ends_with_a_generator(script, data, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "EPOCH", 2)
    folders = ["photographs", "frames", "pairs"]
    options = [text for name in folders for text in (f"--{name}", str(data / name))]
    options += ["--crop", "32", "--batch", "2", "--decay", "2", "-o", str(tmp_path / "run")]
    for steps in ("2", "4"):
        result = CliRunner().invoke(script.main, [*options, "--steps", steps])
        assert result.exit_code == 0, result.output
    assert "Continuing" in result.output
    generator = keras.saving.load_model(tmp_path / "run" / "generator.keras")
    assert generator.name == "default"
    assert {layer.compute_dtype for layer in generator.layers} == {"float32"}
    rows = (tmp_path / "run" / "history.csv").read_text().splitlines()
    assert len(rows) == 3  # a header and an epoch of either run
