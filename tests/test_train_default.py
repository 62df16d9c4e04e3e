"""The script that trains the weights that ship: what it feeds, and that it goes on."""

import shutil

import cv2
import keras
import numpy as np
import pytest
from click.testing import CliRunner
from loading import load

from deblur_keras import generators, images, models


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
    for _, make in kinds(script, data):
        blurred, sharp = next(iter(make(first_batch=0)))
        assert blurred.shape == sharp.shape == (1, 32, 32, 3)


@pytest.mark.parametrize("frames", ["frames", None])
@pytest.mark.parametrize("pairs", ["pairs", None])
def test_frames_and_pairs_may_be_missing(script, data, frames, pairs):
    frames, pairs = (name and data / name for name in (frames, pairs))
    streams = script.streams([data / "photographs"], frames, pairs, 32, 1, True)
    shares = [share for share, _ in streams]
    of_photographs = sum(share for share, make in streams if make.args == ([data / "photographs"],))
    if pairs:  # where one is missing the others have its part
        assert of_photographs == pytest.approx(0.66)
        assert sum(shares) == pytest.approx(1)
    assert next(iter(script.feed(streams, 2, 1, 0)))[0].shape == (2, 32, 32, 3)


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
    np.testing.assert_allclose(bias.numpy(), -0.001 * np.sign(gradients[1]), rtol=1e-3)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["--steps", "499"], "--steps must be a multiple of 500, at least 500; got 499"),
        (["--steps", "0"], "--steps must be"),
        (["--crop", "40"], "--crop must be a multiple of 64; got 40"),
        (["--learning-rate", "nan"], "--learning-rate must be a number above 0"),
        (["--start", "nowhere.keras"], "no such model"),
        (["--photographs", "{data}/empty"], "expected photographs, found none"),
        (["--pairs", "{data}/photographs"], "blur"),
    ],
)
def test_what_would_train_nothing_is_refused_before_anything_is_written(
    script, data, tmp_path, wrong, message
):
    (data / "empty").mkdir(exist_ok=True)
    wrong = [text.format(data=data) for text in wrong]
    options = ["--photographs", str(data / "photographs"), "-o", str(tmp_path / "run"), *wrong]
    with pytest.raises((ValueError, OSError), match=message):
        script.main(options, standalone_mode=False)
    assert not (tmp_path / "run").exists()


def test_of_pairs_in_splits_those_to_train_on_are_taken(script, data, tmp_path, monkeypatch):
    for split in ("train", "test"):
        shutil.copytree(data / "pairs", tmp_path / "gopro" / split / "1")
    seen = {}

    class Stop(Exception):
        pass

    def streams(photographs, frames, pairs, *rest):
        seen["training"] = pairs
        raise Stop

    monkeypatch.setattr(script, "streams", streams)
    options = ["--photographs", str(data / "photographs"), "-o", str(tmp_path / "run")]
    with pytest.raises(Stop):
        script.main([*options, "--pairs", str(tmp_path / "gopro")], standalone_mode=False)
    assert len(seen["training"]) == 3
    assert all("train" in pair.sharp.parts for pair in seen["training"])


def test_changed_options_and_a_loss_are_told(script, tmp_path, capsys):
    path = tmp_path / "options.json"
    script.remember(path, {"crop": 64, "photographs": ("a",)})
    script.remember(path, {"crop": 64, "photographs": ("a",)})
    assert capsys.readouterr().out == ""
    script.remember(path, {"crop": 96, "photographs": ("a",)})
    assert capsys.readouterr().out == "--crop was 64, and is 96 now.\n"
    script.tell({})
    script.tell({"psnr": [1, 25.0], "blurred_psnr": [9, 24.0]})
    assert "+1.00 dB" in capsys.readouterr().out
    script.tell({"psnr": [23.5], "blurred_psnr": [24.0]})
    told = capsys.readouterr()
    assert "-0.50 dB" in told.out
    assert "worse" in told.err


@pytest.mark.slow
def test_a_run_goes_on_and_ends_with_a_generator(script, data, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "EPOCH", 2)
    folders = ["photographs", "frames", "pairs"]
    options = [text for name in folders for text in (f"--{name}", str(data / name))]
    options += ["--crop", "64", "--batch", "2", "--decay", "2", "-o", str(tmp_path / "run")]
    for steps in ("2", "4"):
        result = CliRunner().invoke(script.main, [*options, "--steps", steps])
        assert result.exit_code == 0, result.output
    assert "Continuing" in result.output
    generator = keras.saving.load_model(tmp_path / "run" / "generator.keras")
    assert generator.name == "default"
    assert {layer.compute_dtype for layer in generator.layers} == {"float32"}
    rows = (tmp_path / "run" / "history.csv").read_text().splitlines()
    assert len(rows) == 3  # a header and an epoch of either run


def test_the_mean_of_generators_counts_missing_blocks_as_identity(tmp_path):
    small, deep = (generators.quarter_generator((8, 16), (1, count)) for count in (1, 2))
    for number, generator in enumerate((small, deep)):
        for weight in generator.weights:
            weight.assign(np.random.default_rng(number).normal(0, 0.3, weight.shape))
        generator.save(tmp_path / f"{number}.keras")
    files = [str(tmp_path / f"{number}.keras") for number in range(2)]
    command, result = load("scripts/average_generators.py").main, tmp_path / "mean.keras"
    called = CliRunner().invoke(command, [*files, "-o", str(result)])
    assert called.exit_code == 0, called.output
    mean = models.load(result)
    for layer in mean.layers:
        theirs = deep.get_layer(layer.name).get_weights()
        if layer.name in {each.name for each in small.layers}:
            others = small.get_layer(layer.name).get_weights()
        else:
            others = [0 * w for w in theirs] if layer.name.endswith("_scale") else theirs
        for weight, one, other in zip(layer.get_weights(), theirs, others, strict=True):
            np.testing.assert_allclose(weight, (one + other) / 2, atol=1e-7)
    assert any(layer.name == "encoder2_2_scale" for layer in mean.layers)


def test_only_generators_that_fit_are_averaged_into_a_new_file(tmp_path):
    generators.quarter_generator((8, 16), (1, 1)).save(tmp_path / "a.keras")
    generators.resnet_generator(4, 1).save(tmp_path / "other.keras")
    a, other = (str(tmp_path / name) for name in ("a.keras", "other.keras"))
    command = load("scripts/average_generators.py").main
    for files, output, message in (
        ([a], "mean.keras", "two or more files"),
        ([a, a], "a.keras", "must name a new file that ends in .keras"),
        ([a, a], "mean", "must name a new file that ends in .keras"),
        ([a, other], "mean.keras", "cannot be averaged with the others"),
    ):
        called = CliRunner().invoke(command, [*files, "-o", str(tmp_path / output)])
        assert isinstance(called.exception, ValueError)
        assert message in str(called.exception)
    assert {path.name for path in tmp_path.iterdir()} == {"a.keras", "other.keras"}
