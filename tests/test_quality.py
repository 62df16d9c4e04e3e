"""--ensemble, --strength and --dropout-samples, from the Restorer to the commands."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

keras = pytest.importorskip("keras")

from deblur_keras import ensembles, images  # noqa: E402
from deblur_keras.cli import main  # noqa: E402
from deblur_keras.generators import compact_generator, resnet_generator  # noqa: E402
from deblur_keras.restorer import Restorer  # noqa: E402
from deblur_keras.uncertainty import read_uncertainty, uncertainty_facts  # noqa: E402


def photo(height=12, width=21, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def functional(*layers):
    blurred = keras.Input((None, None, 3))
    x = blurred
    for layer in layers:
        x = layer(x)
    return keras.Model(blurred, x)


def with_strong_weights(generator):
    """Random weights that change the image much, so that what is done differently shows."""
    random = np.random.default_rng(0)
    generator.set_weights([random.normal(0, 0.1, w.shape) for w in generator.get_weights()])
    return generator


@pytest.fixture(scope="module")
def compact():
    return with_strong_weights(compact_generator(widths=(4,), blocks=(1,)))


@pytest.fixture(scope="module")
def dropping():
    return with_strong_weights(resnet_generator(filters=4, blocks=2))


@pytest.fixture(scope="module")
def sampling(dropping):
    return Restorer(dropping, restore_with_dropout=True, seed=3)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (33, 20)])
@pytest.mark.parametrize("deep", [False, True])
def test_restorer_takes_ensemble_and_strength(compact, size, deep):
    image = photo(*size).astype(np.uint16) * 257 + 3 if deep else photo(*size)
    plain = Restorer(compact)
    result = Restorer(compact, ensemble=True, strength=0.6)(image)
    np.testing.assert_array_equal(result, ensembles.restored(plain, image, True, 0.6))
    assert result.dtype == image.dtype
    assert (result != plain(image)).any()
    np.testing.assert_array_equal(Restorer(compact, strength=0)(image), image)


def test_an_ensemble_of_tiles_is_that_of_whole_images(compact):
    image, told = photo(70, 50), []
    whole = Restorer(compact, ensemble=True, tile=None)(image)
    tiled = Restorer(compact, ensemble=True, tile=32)(image, progress=lambda *at: told.append(at))
    np.testing.assert_allclose(tiled.astype(int), whole, atol=1)
    assert told == [(done, 8 * 6) for done in range(1, 49)]


def test_an_ensemble_turns_with_the_image(compact):
    restorer, image = Restorer(compact, ensemble=True), photo(16, 24)
    turned = np.rot90(restorer(np.ascontiguousarray(np.rot90(image))), -1)
    np.testing.assert_allclose(turned.astype(int), restorer(image), atol=1)


@pytest.mark.parametrize(
    ("options", "message"), [({"strength": 2}, "strength must be"), ({"ensemble": 8}, "ensemble")]
)
def test_wrong_options_are_told_before_anything_is_loaded(options, message):
    with pytest.raises(ValueError, match=message):
        Restorer("missing.keras", **options)


def test_the_first_sample_is_what_a_call_gives(sampling):
    image = photo().astype(np.uint16) * 257
    np.testing.assert_array_equal(sampling._restore(image, sample=0), sampling(image))


def test_mean_and_spread_are_those_of_the_single_samples(sampling):
    image = photo().astype(np.uint16) * 257
    samples = np.float64([sampling._restore(image, sample=k) for k in range(5)])
    assert len(np.unique(samples.reshape(5, -1), axis=0)) == 5
    mean, spread = sampling.restore_samples(image, 5)
    np.testing.assert_allclose(mean, samples.mean(axis=0), atol=0.51)
    np.testing.assert_allclose(spread, samples.std(axis=0), rtol=1e-4, atol=0.05)
    assert spread.mean() > 100


def test_samples_are_repeatable_by_the_seed(dropping, sampling):
    image = photo()
    mean, spread = sampling.restore_samples(image, 4)
    sampling(photo(5, 5))
    again = Restorer(dropping, restore_with_dropout=True, seed=3).restore_samples(image, 4)
    for first, second in zip((mean, spread), again, strict=True):
        np.testing.assert_array_equal(first, second)
    for seed in (4, None):
        other = Restorer(dropping, restore_with_dropout=True, seed=seed)
        assert (other.restore_samples(image, 4)[1] != spread).any()


def test_a_value_that_is_kept_half_the_time():
    # Dropout gives 0 or 2x, so the spread of many samples is |x| and their mean x.
    generator = functional(keras.layers.Dropout(0.5))
    image = np.full((40, 40, 3), 40000, np.uint16)
    restorer = Restorer(generator, restore_with_dropout=True, seed=0)
    mean, spread = restorer.restore_samples(image, 64)
    assert mean.mean() == pytest.approx(40000, rel=0.005)
    assert np.sqrt(np.mean(np.square(spread))) == pytest.approx(40000 - 32767.5, rel=0.02)


def test_samples_need_active_dropout(dropping, compact):
    for restorer in (Restorer(dropping), Restorer(compact)):
        with pytest.raises(ValueError, match="restore_with_dropout=True"):
            restorer.restore_samples(photo(), 4)


@pytest.mark.parametrize("count", [1, 2.5, None])
def test_wrong_counts(sampling, count):
    with pytest.raises(ValueError, match="at least 2"):
        sampling.restore_samples(photo(), count)


def test_a_file_and_its_map(sampling, tmp_path):
    source = images.write(tmp_path / "in.png", photo())
    written = sampling.restore_file(source, tmp_path / "out.png", samples=4)
    mean, spread = sampling.restore_samples(photo(), 4)
    np.testing.assert_array_equal(images.read(written), mean)
    beside = tmp_path / "out-uncertainty.png"
    found, scale = read_uncertainty(beside)
    expected = np.minimum(np.sqrt(np.mean(np.square(spread), axis=-1)), scale)
    np.testing.assert_allclose(found, expected, atol=scale / 500)
    for name, other in ((written, beside), (beside, written)):
        other.unlink()
        with pytest.raises(FileExistsError, match=f"{name.name}: exists already"):
            sampling.restore_file(source, tmp_path / "out.png", samples=4)
        sampling.restore_file(source, tmp_path / "out.png", overwrite=True, samples=4)
        assert other.exists()


def test_a_map_never_replaces_the_input(sampling, tmp_path):
    source = images.write(tmp_path / "a-uncertainty.png", photo())
    with pytest.raises(images.ImageError, match="never overwritten"):
        sampling.restore_file(source, tmp_path / "a.png", overwrite=True, samples=4)
    np.testing.assert_array_equal(images.read(source), photo())


@pytest.fixture
def run(dropping, tmp_path, monkeypatch):
    """Runs a command on the ResNet in a folder with two photographs."""
    monkeypatch.chdir(tmp_path)
    dropping.save("resnet.keras")
    images.write("trip/a.png", photo(seed=0))
    images.write("trip/b.png", photo(seed=1) // 8 + 100)

    def run(*arguments, code=0):
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        assert result.exit_code == code, result.output
        return " ".join(result.output.split())

    return run


def test_deblur_passes_ensemble_and_strength_on(run, dropping):
    model = ("--model", "resnet.keras")
    run("deblur", "trip/a.png", "-o", "a.png", *model, "--ensemble", "--strength", "0.25")
    expected = Restorer(dropping, ensemble=True, strength=0.25)(photo())
    np.testing.assert_array_equal(images.read("a.png"), expected)


def test_deblur_writes_the_mean_and_a_map(run, sampling, tmp_path):
    options = ("--model", "resnet.keras", "--dropout-samples", "4", "--seed", "3")
    output = run("deblur", "trip/a.png", "-o", "a.png", *options)
    mean, _ = sampling.restore_samples(photo(), 4)
    np.testing.assert_array_equal(images.read("a.png"), mean)
    facts = uncertainty_facts("a-uncertainty.png")
    assert facts["samples"] == 4
    assert f"uncertainty: a-uncertainty.png; the samples differ by {facts['mean']:.2f}" in output
    assert f"the brightest colour stands for {facts['scale']:g}" in output


def test_deblur_tells_of_several_maps_and_leaves_them_out_later(run, tmp_path):
    options = ("--model", "resnet.keras", "--dropout-samples", "2")
    output = run("deblur", "trip", *options)
    results = sorted(path.name for path in (tmp_path / "trip").iterdir())
    assert results == [
        f"{name}{end}.png" for name in "ab" for end in ("-restored-uncertainty", "-restored", "")
    ]
    assert "uncertainty: 2 files NAME-uncertainty.png beside the results" in output
    for more in ((), options):
        output = run("deblur", "trip", "--model", "resnet.keras", "--overwrite", *more)
        assert "2 of 2 restored" in output
        assert "4 left out as results of an earlier run" in output
    (tmp_path / "trip" / "a-restored.png").unlink()
    output = run("deblur", "trip", *options, code=1)
    assert "exists: trip/a-restored-uncertainty.png: not replaced" in output


def test_two_photographs_cannot_share_a_map(run, tmp_path):
    images.write("trip/a.jpg", photo())
    options = ("-o", "new", "--model", "resnet.keras")
    output = run("deblur", "trip", *options, "--dropout-samples", "2", code=1)
    assert "a.png would be written to new/a-uncertainty.png too, so none is" in output
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "b-uncertainty.png",
        "b.png",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--strength", "1.1"), "--strength"),
        (("--strength", "nan"), "is no number"),
        (("--dropout-samples", "1"), "--dropout-samples"),
    ],
)
def test_wrong_usage(run, options, message):
    assert message in run("deblur", "trip", *options, code=2)


def test_samples_of_a_model_without_dropout(run):
    output = run("deblur", "trip", "--dropout-samples", "4", code=1)
    assert "has no dropout layers to keep active; leave" in output


def test_evaluate_scores_and_records_them(run, dropping, tmp_path):
    for name in ("blur", "sharp"):
        images.write(f"pairs/{name}/1.png", photo(seed=name == "blur"))
    base = ("evaluate", "resnet.keras", "--data", "pairs", "-o", "scores", "--save-images")
    run(*base, "--ensemble", "--strength", "0.5")
    facts = json.loads((tmp_path / "scores" / "summary.json").read_text())["protocol"]
    assert (facts["ensemble"], facts["strength"]) == (True, 0.5)
    expected = Restorer(dropping, ensemble=True, strength=0.5)(photo(seed=1))
    (restored,) = (tmp_path / "scores" / "restored").rglob("*.png")
    np.testing.assert_array_equal(images.read(restored), expected)
    assert "strength was 0.5 and is 1.0" in run(*base, "--ensemble", "--resume", code=1)
    run(*base, "--ensemble", "--strength", "0.5", "--resume")
    run(*base, "--dropout-samples", "2", "--seed", "5", "--overwrite")
    expected, _ = Restorer(dropping, True, seed=5).restore_samples(photo(seed=1), 2)
    np.testing.assert_array_equal(images.read(restored), expected)
    facts = json.loads((tmp_path / "scores" / "summary.json").read_text())["protocol"]
    assert (facts["dropout_samples"], facts["restore_with_dropout"]) == (2, True)
    compared = ("evaluate", "--compare", "default", "resnet.keras", "--data", "pairs")
    assert "--ensemble is of one model" in run(*compared, "--ensemble", code=2)
