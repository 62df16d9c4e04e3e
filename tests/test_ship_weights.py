"""The script that puts weights among those that ship: what it writes, and what it refuses."""

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from loading import load

from deblur_keras import generators, models, portable

pytest.importorskip("onnxruntime", reason="the engine onnxruntime is optional")


@pytest.fixture
def script(tmp_path, monkeypatch):
    """The script, writing into a folder of its own."""
    monkeypatch.setattr(models, "WEIGHTS", tmp_path / "weights")
    models.WEIGHTS.mkdir()
    return load("scripts/ship_weights.py")


def trained(path):
    """A network that sees tens of pixels, of layers that could see more."""
    keras.utils.set_random_seed(0)
    model = generators.quarter_generator((4, 8, 8), (1, 2, 3), scales=1)
    random = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(random.normal(0, 0.15, weight.shape))
    model.save(path)
    return str(path)


def test_what_trained_weights_see_is_noted_where_it_is_enough(script, tmp_path):
    file = trained(tmp_path / "a.keras")
    called = CliRunner().invoke(script.main, ["mine", file, "--sees", "150"])
    assert called.exit_code == 0, called.output
    assert "grey levels at most" in called.output
    network, _ = portable.describe(models.WEIGHTS / "mine.graph")
    layers_could = models.describe(models.load(file), "mine").halo
    assert network.halo == 160 < layers_could  # whole multiples of 16

    called = CliRunner().invoke(script.main, [], catch_exceptions=False)
    assert "With 160 pixels" in called.output  # written anew, it keeps what was noted
    assert portable.describe(models.WEIGHTS / "mine.graph")[0].halo == 160

    CliRunner().invoke(script.main, ["mine", file], catch_exceptions=False)
    assert portable.describe(models.WEIGHTS / "mine.graph")[0].halo == layers_could


def test_what_is_too_little_is_refused_and_nothing_written(script, tmp_path):
    file = trained(tmp_path / "a.keras")
    called = CliRunner().invoke(script.main, ["mine", file, "--sees", "16"])
    assert isinstance(called.exception, ValueError)
    assert "--sees 16 is too little" in str(called.exception)
    assert not list(models.WEIGHTS.iterdir())


def test_a_network_that_looks_at_the_whole_image_has_no_such_number(script, tmp_path):
    generators.resnet_generator(4, 1).save(tmp_path / "a.keras")
    called = CliRunner().invoke(script.main, ["mine", str(tmp_path / "a.keras"), "--sees", "64"])
    assert "looks at the whole image" in str(called.exception)
    assert not list(models.WEIGHTS.iterdir())
