"""--engine, --precision and --verify."""

import sys

import numpy as np
import pytest
from click.testing import CliRunner

from deblur_keras import images
from deblur_keras.cli import engines, main
from deblur_keras.generators import compact_generator


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "small.keras"
    network = compact_generator(widths=(4,), blocks=(1,))
    random = np.random.default_rng(0)
    network.set_weights([random.normal(0, 0.2, v.shape) for v in network.get_weights()])
    network.save(path)
    return path


@pytest.fixture
def source(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype("uint8")
    return images.write(tmp_path / "a.png", pixels)


def deblur(*arguments, code=0):
    result = CliRunner().invoke(main, ["deblur", *map(str, arguments), "--overwrite"])
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def test_the_summary_names_engine_and_precision(model, source):
    pytest.importorskip("openvino")
    assert "(tensorflow, float32)" in deblur(source, "--model", model)
    named = deblur(source, "--model", model, "--engine", "openvino")
    assert "(openvino, float32)" in named


def test_verify_prints_the_largest_difference(model, source, tmp_path):
    pytest.importorskip("openvino")
    output = deblur(source, "--model", model, "--engine", "openvino", "--verify")
    assert "verify: " in output
    assert "openvino, float32 differs from tensorflow by at most" in output
    assert "1 of 1 restored" in output
    output = deblur(source, "--model", model, "--verify", "--engine", "tensorflow")
    assert "nothing to compare" in output


def test_verify_compares_like_with_like(model, source):
    pytest.importorskip("openvino")
    blended = ("--ensemble", "--strength", "0.5", "--verify")
    output = deblur(source, "--model", model, "--engine", "openvino", *blended)
    assert "differs from tensorflow by at most" in output


def test_verify_stops_where_the_difference_is_too_large(model, source, monkeypatch):
    pytest.importorskip("openvino")
    monkeypatch.setitem(engines._LIMITS, "float32", -1.0)
    arguments = (source, "--model", model, "--engine", "openvino", "--verify")
    output = deblur(*arguments, code=1)
    assert "expected -1 at most. Use --engine tensorflow" in output
    assert not source.with_name("a-restored.png").exists()


def test_differences_are_told_finer_than_in_grey_levels():
    image = np.full((4, 4, 3), 100, np.uint8)
    moved, _ = engines.largest_difference(
        lambda wide: wide, lambda wide: wide + np.uint16(5), image
    )
    assert moved == pytest.approx(5 / 32767.5)


def test_a_missing_engine_is_an_error_with_the_cure(model, source, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    output = deblur(source, "--model", model, "--engine", "openvino", code=1)
    assert 'pip install "openvino' in output


def test_bf16_and_tensorflow_do_not_go_together(model, source):
    output = deblur(
        source, "--model", model, "--engine", "tensorflow", "--precision", "bf16", code=1
    )
    assert "has no bf16" in output


def test_export_to_onnx_and_its_use(model, source, tmp_path):
    path = tmp_path / "small.onnx"
    result = CliRunner().invoke(main, ["export", str(model), "-o", str(path)])
    assert result.exit_code == 0, result.output
    assert "largest difference to Keras" in result.output
    assert f"deblur-keras deblur photo.jpg --model {path}" in result.output
    pytest.importorskip("onnxruntime")
    assert "onnx" in deblur(source, "--model", path) or "openvino" in deblur(source)
    again = CliRunner().invoke(main, ["export", str(model), "-o", str(path), "--format", "onnx"])
    assert again.exit_code == 1
    assert "exists already" in again.output
    for arguments in (["--format", "savedmodel", "-o", str(path)], ["--format", "onnx", "-o", "x"]):
        wrong = CliRunner().invoke(main, ["export", str(model), *arguments])
        assert wrong.exit_code == 2
        assert "must end in .onnx" in wrong.output


def test_evaluate_takes_them_too(model, tmp_path):
    pytest.importorskip("openvino")
    sharp = np.random.default_rng(1).integers(0, 256, (32, 32, 3)).astype("uint8")
    blurred = (sharp // 2 + np.roll(sharp, 1, axis=1) // 2).astype("uint8")
    for side, pixels in (("blur", blurred), ("sharp", sharp)):
        images.write(tmp_path / "pairs" / side / "1.png", pixels)
    arguments = ["evaluate", str(model), "--data", str(tmp_path / "pairs")]
    arguments += ["-o", str(tmp_path / "scores"), "--engine", "openvino"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert '"engine": "openvino"' in (tmp_path / "scores" / "summary.json").read_text()


def test_the_options_know_what_the_library_knows():
    from deblur_keras.engines import ENGINES, PRECISIONS

    assert (engines._ENGINES, engines._PRECISIONS) == (ENGINES, PRECISIONS)
    assert set(engines._LIMITS) == set(PRECISIONS)
