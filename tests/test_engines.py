"""Engines: the pixels of TensorFlow, chosen by what is there, and TensorFlow not loaded."""

import dataclasses
import logging
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest

from deblur_keras import engines, export, images, kernels, models, portable
from deblur_keras.engines.engine import failure
from deblur_keras.generators import compact_generator, resnet_generator
from deblur_keras.models import ModelError
from deblur_keras.restorer import Restorer

PORTABLE = ("openvino", "onnxruntime")


def needs(engine):
    pytest.importorskip(engine, reason=f"the engine {engine} is optional")


def photo(height, width, seed=0, dtype=np.uint8):
    """Smooth and coloured, so that the result is no noise."""
    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (max(height // 8, 1), max(width // 8, 1), 3)).astype(np.uint8)
    big = small.repeat(9, axis=0).repeat(9, axis=1)[:height, :width].astype(np.uint32)
    big = np.pad(big, [(0, height - big.shape[0]), (0, width - big.shape[1]), (0, 0)], mode="edge")
    return (big * (257 if dtype == np.uint16 else 1)).astype(dtype)


def shaken(model, deviation=0.2):
    random = np.random.default_rng(0)
    model.set_weights([random.normal(0, deviation, v.shape) for v in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """{name: .keras file}, each with its .onnx beside it."""
    folder = tmp_path_factory.mktemp("models")
    made = {
        "compact": shaken(compact_generator(widths=(4, 6), blocks=(1, 1), kernel=3), 0.4),
        "resnet": shaken(resnet_generator(filters=4, blocks=1)),
    }
    for name, model in made.items():
        model.save(folder / f"{name}.keras")
        export.export_onnx(folder / f"{name}.keras", folder / f"{name}.onnx")
    return {name: folder / f"{name}.keras" for name in made}


def assert_close(restored, expected):
    difference = np.abs(restored.astype(int) - expected)
    assert difference.max() <= (1 if expected.dtype == np.uint8 else 33)  # 1e-3 of [-1, 1]


@pytest.mark.parametrize("engine", PORTABLE)
@pytest.mark.parametrize("name", ["compact", "resnet"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pixels_are_those_of_tensorflow_at_any_size(engine, name, dtype, saved):
    needs(engine)
    restore, reference = (Restorer(saved[name], engine=one) for one in (engine, "tensorflow"))
    assert (restore.engine, restore.precision, reference.engine) == (
        engine,
        "float32",
        "tensorflow",
    )
    assert restore.multiple == reference.multiple
    for size in ((1, 1), (1, 40), (17, 33), (64, 48), (33, 17)):
        image = photo(*size, dtype=dtype)
        restored, expected = restore(image), reference(image)
        assert restored.dtype == dtype
        assert_close(restored, expected)
    assert np.abs(expected.astype(int) - image).mean() > 5  # not the identity


@pytest.mark.parametrize("engine", PORTABLE)
def test_tiles_give_the_whole_image(engine, saved):
    needs(engine)
    image = photo(150, 211)
    whole = Restorer(saved["compact"], engine=engine, tile=None)(image)
    done = []
    tiled = Restorer(saved["compact"], engine=engine, tile=40)
    assert_close(tiled(image, progress=lambda *count: done.append(count)), whole)
    assert done[-1] == (24, 24)
    assert len(done) == 24
    naive = Restorer(saved["compact"], engine=engine, tile=40, overlap=0)(image)
    assert np.abs(naive.astype(int) - whole).max() > 1  # the overlap is what did it


def test_all_windows_of_a_side_have_one_length():
    from deblur_keras.windows import _one_length

    for side, core, overlap in ((100, 30, 8), (64, 64, 16), (65, 64, 4), (8, 64, 16)):
        spans = _one_length(side, core, overlap)
        assert len({span.length for span in spans}) == 1
        assert spans[0].core_start == 0
        assert spans[-1].core_stop == side
        for span in spans:
            assert 0 <= span.start <= max(span.core_start - overlap, 0)
            assert side >= span.stop >= min(span.core_stop + overlap, side)


@pytest.mark.parametrize("engine", PORTABLE)
def test_tiles_of_a_network_with_instance_norms_are_tensorflows(engine, saved):
    needs(engine)
    image = photo(90, 130)
    expected = Restorer(saved["resnet"], engine="tensorflow")(image)
    restore = Restorer(saved["resnet"], engine=engine, tile=32)
    assert_close(restore(image), expected)


@pytest.mark.parametrize("engine", [*PORTABLE, "tensorflow"])
@pytest.mark.parametrize("size", [(40, 50), (200, 300)])
def test_a_frame_of_one_colour_is_left_as_it_is_by_instance_norms(engine, size, saved):
    # Each instance norm would multiply what an engine rounds by up to 316.
    needs(engine)
    image = np.full((*size, 3), (0, 77, 200), np.uint8)
    np.testing.assert_array_equal(Restorer(saved["resnet"], engine=engine)(image), image)


def test_windows_larger_than_plenty_are_taken_where_no_smaller_ones_do(saved, monkeypatch):
    from deblur_keras import windows

    needs("openvino")
    image = photo(200, 300)
    whole = Restorer(saved["compact"], engine="openvino", tile=None)(image)
    monkeypatch.setattr(windows, "_PLENTY", 1000)
    assert_close(Restorer(saved["compact"], engine="openvino")(image), whole)


def test_a_budget_that_is_too_small_is_told(saved):
    needs("openvino")
    with pytest.raises(MemoryError, match=r"budget of 0.00 GB.*give at least"):
        Restorer(saved["compact"], engine="openvino", memory=10_000)(photo(64, 64))


def test_bf16_is_close(saved):
    needs("openvino")
    image = photo(64, 96)
    expected = Restorer(saved["compact"], engine="openvino")(image).astype(int)
    try:
        restore = Restorer(saved["compact"], precision="bf16")
    except ValueError as error:
        assert "no instructions for bf16" in str(error)
        pytest.skip("this processor cannot do bf16")
    assert (restore.engine, restore.precision) == ("openvino", "bf16")
    difference = np.abs(restore(image) - expected)
    assert 0 < difference.max() < 30
    assert difference.mean() < 2


def test_a_processor_without_bf16_is_told(saved, monkeypatch):
    needs("openvino")
    import openvino

    monkeypatch.setattr(openvino.Core, "get_property", lambda *asked: ["FP32", "INT8"])
    with pytest.raises(ValueError, match="no instructions for bf16"):
        Restorer(saved["compact"], precision="bf16")


@pytest.mark.parametrize("engine", PORTABLE)
def test_a_missing_engine_is_told_when_asked_for(engine, saved, monkeypatch):
    monkeypatch.setitem(sys.modules, engine, None)
    with pytest.raises(ImportError, match=rf'engine {engine} needs .*pip install "{engine}>='):
        Restorer(saved["compact"], engine=engine)


def test_bf16_without_openvino_is_told(saved, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ImportError, match="pip install"):
        Restorer(saved["compact"], precision="bf16")


def test_the_quickest_that_is_installed_is_taken(saved, monkeypatch, caplog):
    for engine in PORTABLE:
        needs(engine)
    order = [Restorer(saved["compact"])]
    monkeypatch.setitem(sys.modules, "openvino", None)
    order.append(Restorer(saved["compact"]))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    order.append(Restorer(saved["compact"]))
    assert [one.engine for one in order] == ["openvino", "onnxruntime", "tensorflow"]
    assert order[0].engine_reason == ""
    assert 'pip install "openvino' in order[1].engine_reason
    assert 'pip install "onnxruntime' in order[2].engine_reason
    assert not caplog.records  # nothing is wrong
    image = photo(20, 30)
    for one in order[:2]:
        assert_close(one(image), order[2](image))


def test_a_file_made_from_other_weights_is_told_and_not_used(saved, tmp_path, caplog):
    for suffix in (".keras", ".onnx"):
        shutil.copy(saved["compact"].with_suffix(suffix), tmp_path / f"a{suffix}")
    shaken(compact_generator(widths=(4, 6), blocks=(1, 1), kernel=3), 0.1).save(
        tmp_path / "a.keras"
    )
    with caplog.at_level(logging.WARNING):
        restore = Restorer(tmp_path / "a.keras")
    assert restore.engine == "tensorflow"
    assert "made from another a.keras" in restore.engine_reason
    assert "made from another a.keras" in caplog.text
    (tmp_path / "a.onnx").write_bytes(b"cut off")
    assert "not an ONNX file" in Restorer(tmp_path / "a.keras").engine_reason


def test_a_model_without_its_file_is_restored_by_tensorflow_and_that_is_all_right(
    saved, tmp_path, caplog
):
    path = shutil.copy(saved["compact"], tmp_path / "a.keras")
    restore = Restorer(path)
    assert restore.engine == "tensorflow"
    assert "--format onnx" in restore.engine_reason
    assert not caplog.records


@pytest.mark.parametrize("engine", PORTABLE)
def test_any_model_is_converted_when_an_engine_is_asked_for(engine):
    needs(engine)
    model = shaken(compact_generator(widths=(4,), blocks=(1,)))
    restore, reference = (Restorer(model, engine=one) for one in (engine, "auto"))
    assert (restore.engine, reference.engine) == (engine, "tensorflow")
    assert "may change" in reference.engine_reason
    assert_close(restore(photo(20, 30)), reference(photo(20, 30)))


def test_what_is_only_in_onnx_restores_and_knows_its_model_where_it_lies_beside_it(saved, tmp_path):
    needs("onnxruntime")
    path = shutil.copy(saved["compact"].with_suffix(".onnx"), tmp_path / "moved.onnx")
    restore = Restorer(path, engine="onnxruntime")
    assert restore.name == "moved"
    assert_close(restore(photo(9, 9)), Restorer(saved["compact"])(photo(9, 9)))
    with pytest.raises(
        ModelError, match=r"needs the \.keras file that it was made from, as .*moved\.k"
    ):
        _ = restore.model
    beside = Restorer(saved["compact"].with_suffix(".onnx"), engine="onnxruntime")
    assert isinstance(beside.model, keras.Model)


def test_other_onnx_files_are_refused(tmp_path):
    (tmp_path / "detector.onnx").write_bytes(b"")
    with pytest.raises(ModelError, match="not a generator that deblur_keras exported"):
        Restorer(tmp_path / "detector.onnx")


def test_wrong_names_and_what_does_not_go_together(saved):
    with pytest.raises(ValueError, match=r"engine must be one of 'auto'.*got 'torch'"):
        Restorer(saved["compact"], engine="torch")
    with pytest.raises(ValueError, match=r"precision must be one of 'float32', 'bf16'; got 'half'"):
        Restorer(saved["compact"], precision="half")
    for engine in ("tensorflow", "onnxruntime"):
        with pytest.raises(ValueError, match=f"engine {engine} has no bf16"):
            Restorer(saved["compact"], engine=engine, precision="bf16")
    with pytest.raises(ValueError, match="dropout is kept active by the engine tensorflow"):
        Restorer(saved["resnet"], restore_with_dropout=True, engine="openvino")
    assert Restorer(saved["resnet"], restore_with_dropout=True, seed=1).engine == "tensorflow"


def test_an_engine_that_fails_at_an_image_is_replaced_if_nobody_asked_for_it(
    saved, monkeypatch, caplog
):
    needs("openvino")
    from deblur_keras.engines.openvino import OpenVinoEngine

    def fail(self, blurred):
        raise engines.EngineError("no such instruction")

    monkeypatch.setattr(OpenVinoEngine, "values", fail)
    image = photo(9, 9)
    with pytest.raises(engines.EngineError, match="no such instruction"):
        Restorer(saved["compact"], engine="openvino")(image)
    restore = Restorer(saved["compact"])
    assert restore.engine == "openvino"
    assert_close(restore(image), Restorer(saved["compact"], engine="tensorflow")(image))
    assert restore.engine == "tensorflow"
    assert "openvino failed: no such instruction" in restore.engine_reason
    assert "no such instruction" in caplog.text


def test_failures_of_native_libraries_are_told_apart():
    for text in ("std::bad_alloc", "Failed to allocate memory for requested buffer"):
        assert isinstance(failure("openvino", RuntimeError(text)), engines.OutOfMemoryError)
    assert isinstance(failure("openvino", RuntimeError("bad layout")), engines.EngineError)


def test_too_little_memory_is_told_with_the_size_of_the_image(saved, monkeypatch):
    needs("openvino")
    from deblur_keras.engines.openvino import OpenVinoEngine

    def fail(self, blurred):
        raise engines.OutOfMemoryError("bad_alloc")

    monkeypatch.setattr(OpenVinoEngine, "values", fail)
    with pytest.raises(MemoryError, match=r"restore 30x20 pixels with model 'compact'; free some"):
        Restorer(saved["compact"], engine="openvino")(photo(20, 30))


@pytest.mark.parametrize("engine", PORTABLE)
def test_values_that_are_not_finite_are_an_error(engine, tmp_path):
    needs(engine)
    blurred = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(3e38)(keras.layers.Rescaling(3e38)(blurred))
    with pytest.raises(ArithmeticError, match="not finite"):
        Restorer(keras.Model(blurred, x), engine=engine)(photo(16, 16))


@pytest.mark.parametrize("name", models.pretrained_names())
def test_the_file_that_ships_is_that_of_the_weights_that_ship(name):
    onnxruntime = pytest.importorskip("onnxruntime")
    path = models.pretrained_path(name)
    graph = path.with_suffix(".graph")
    assert portable.beside(path) == graph, "run scripts/ship_weights.py"
    assert path.stat().st_size + graph.stat().st_size < 4e6
    network, _ = portable.describe(graph)
    model = models.load(path)
    described = models.describe(model, name)
    assert network == dataclasses.replace(described, halo=network.halo)
    assert network.halo <= described.halo  # trained weights may see less far than the layers could
    values = images.to_float(photo(128, 192))[None]
    session = onnxruntime.InferenceSession(kernels.content(graph))
    restored = session.run(None, {"blurred": values})[0]
    expected = np.asarray(model(values, training=False))
    np.testing.assert_allclose(restored, expected, atol=1e-5)
    assert np.abs(expected - values).max() > 0.02


@pytest.mark.parametrize("engine", PORTABLE)
def test_tiles_of_the_weights_that_ship_are_those_of_the_whole(engine):
    needs(engine)
    image = np.tile(photo(128, 480), (1, 4, 1))  # longer than what a tile is given on both sides
    whole = Restorer("default", engine=engine, tile=None)(image)
    assert_close(Restorer("default", engine=engine, tile=256)(image), whole)


@pytest.mark.parametrize("engine", [pytest.param("auto", marks=pytest.mark.slow), *PORTABLE])
def test_the_weights_that_ship_restore_without_tensorflow(engine):
    for one in PORTABLE if engine == "auto" else [engine]:
        needs(one)
    script = (
        "import sys, numpy\n"
        "from deblur_keras import Restorer\n"
        "restore = Restorer('default', engine=sys.argv[1], tile=512)\n"
        "restored = restore(numpy.full((20, 600, 3), 128, 'uint8'))\n"
        "assert restored.shape == (20, 600, 3)\n"
        "assert abs(restored.astype(int) - 128).max() < 5\n"
        "found = {'tensorflow', 'keras', 'onnx'} & set(sys.modules)\n"
        "assert not found, found\n"
        "restore.model\n"
        "assert 'tensorflow' in sys.modules\n"
    )
    command = [sys.executable, "-c", script, engine]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_command_does_not_load_tensorflow_either(tmp_path):
    needs("openvino")
    source = images.write(tmp_path / "a.png", photo(40, 50))
    script = (
        "import sys\n"
        "from deblur_keras.cli import main\n"
        "try:\n"
        "    main(sys.argv[1:])\n"
        "except SystemExit as end:\n"
        "    assert not end.code, end.code\n"
        "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules\n"
    )
    command = [sys.executable, "-c", script, "deblur", source, "--engine", "openvino"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "(openvino, float32)" in done.stdout
    assert images.read(tmp_path / "a-restored.png").shape == (40, 50, 3)


@pytest.mark.parametrize("engine", PORTABLE)
def test_signals_arrive_after_restorers_have_gone(engine):
    needs(engine)
    script = (
        "import gc, signal, sys, numpy\n"
        "from deblur_keras import Restorer\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "first, second = (Restorer('default', engine=sys.argv[1]) for _ in range(2))\n"
        "first(numpy.zeros((9, 9, 3), 'uint8'))\n"
        "second(numpy.zeros((9, 9, 3), 'uint8'))\n"
        "del first\n"
        "gc.collect()\n"
        "del second\n"
        "gc.collect()\n"
        "try:\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "except KeyboardInterrupt:\n"
        "    sys.exit(42)\n"
    )
    command = [sys.executable, "-c", script, engine]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 42, (done.returncode, done.stderr)


@pytest.mark.parametrize("engine", [*PORTABLE, "tensorflow"])
def test_threads_may_share_a_restorer(engine, saved):
    needs(engine)
    restore = Restorer(saved["compact"], engine=engine)
    pictures = [photo(40 + 8 * (n % 4), 60, seed=n) for n in range(12)]
    expected = [restore(picture) for picture in pictures]
    with ThreadPoolExecutor(6) as pool:
        for found, one in zip(pool.map(restore, pictures), expected, strict=True):
            assert np.abs(found.astype(int) - one).max() <= 1


@pytest.mark.parametrize("engine", [*PORTABLE, "tensorflow"])
@pytest.mark.parametrize(
    "options", [{"tile": 0}, {"tile": 256.0}, {"tile": "x"}, {"tile": 64, "overlap": -1}]
)
def test_what_is_no_tile_or_overlap_is_refused_at_once(engine, options, saved):
    needs(engine)
    with pytest.raises(ValueError, match=r"must be (a whole number|'auto')"):
        Restorer(saved["compact"], engine=engine, **options)


def test_pixels_of_the_other_byte_order_are_taken(saved):
    restore = Restorer(saved["compact"], engine="tensorflow")
    image = photo(20, 30).astype(np.uint16) * 257
    np.testing.assert_array_equal(restore(image.astype(">u2")), restore(image))
