import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

keras = pytest.importorskip("keras")

from deblur_keras import images  # noqa: E402
from deblur_keras.cli import main  # noqa: E402
from deblur_keras.cli.deblur import deblur  # noqa: E402
from deblur_keras.photographs import Outcome  # noqa: E402
from deblur_keras.restorer import Restorer  # noqa: E402

ROOT = Path(__file__).parents[1]


def photo(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (6, 9, 3), np.uint8)


def assert_restored(path, seed=0):
    np.testing.assert_array_equal(images.read(path), 255 - photo(seed))


def files(folder):
    return sorted(
        path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file()
    )


@pytest.fixture
def trip(tmp_path):
    folder = tmp_path / "trip"
    for seed, name in enumerate(("a.png", "b.bmp", "day1/a.png")):
        images.write(folder / name, photo(seed))
    return folder


def test_one_file_beside_it(run_deblur, trip):
    output = run_deblur("trip/a.png")
    assert_restored("trip/a-restored.png")
    np.testing.assert_array_equal(images.read("trip/a.png"), photo())
    assert "1 of 1 restored; written beside the inputs" in output
    assert "an image" in output


def test_one_file_to_a_file_name(run_deblur, trip):
    run_deblur("trip/a.png", "-o", "new/sharp.tif")
    assert_restored("new/sharp.tif")


def test_one_file_to_a_folder(run_deblur, trip):
    run_deblur("trip/a.png", "-o", "new")
    assert_restored("new/a.png")


def test_a_folder_keeps_its_tree(run_deblur, trip):
    output = run_deblur("trip", "-o", "new")
    assert files("new") == ["a.png", "b.bmp", "day1/a.png"]
    assert_restored("new/day1/a.png", seed=2)
    assert "3 of 3 restored; written to new" in output


def test_patterns_are_expanded(run_deblur, trip):
    run_deblur("trip/**/a.*", "-o", "new")
    assert files("new") == ["a.png", "day1/a.png"]


def test_suffix_and_format(run_deblur, trip):
    run_deblur("trip", "-o", "new", "--suffix", "_sharp", "--format", "tif")
    assert files("new") == ["a_sharp.tif", "b_sharp.tif", "day1/a_sharp.tif"]


@pytest.mark.parametrize(
    ("kind", "read_as"),
    [
        *(("PNG", "PNG"), ("jpg", "JPEG"), ("jpeg", "JPEG"), ("tiff", "TIFF"), ("bmp", "BMP")),
        *(("webp", "WEBP"), ("avif", "AVIF"), ("jp2", "JPEG2000")),
    ],
)
def test_every_format(run_deblur, trip, kind, read_as):
    run_deblur("trip/a.png", "-o", "new", "--format", kind)
    assert files("new") == [f"a.{kind.lower()}"]
    assert images.open_photograph(f"new/a.{kind.lower()}").format == read_as


def test_the_choices_are_those_that_can_be_written():
    options = {option.name: option for option in deblur.params}
    kinds = {f".{kind}" for kind in options["kind"].type.choices}
    assert kinds <= images.RESULT_SUFFIXES
    every = {images.check_saving(f"a{kind}") for kind in kinds - {".heic"}}
    assert every == {images.check_saving(f"a{suffix}") for suffix in images.SUFFIXES}
    assert options["max_pixels"].default == images.MAX_PIXELS


def test_suffixes_in_capitals_and_suffixes_that_lie(run_deblur, trip):
    (trip / "a.png").rename(trip / "A.PNG")
    images.write(trip / "day1/a.png", photo(2)).rename(trip / "day1/b.JPG")
    run_deblur("trip/A.PNG", "trip/day1/b.JPG", "-o", "new")
    assert files("new") == ["A.PNG", "b.JPG"]
    assert_restored("new/A.PNG")
    assert images.open_photograph("new/b.JPG").format == "JPEG"


def test_max_pixels(run_deblur, trip):
    output = run_deblur("trip/a.png", "--max-pixels", 53, code=1)
    assert "failed: trip/a.png: refused: 9x6 are 54 pixels" in output
    assert "(--max-pixels)" in output
    run_deblur("trip/a.png", "--max-pixels", 54)


def test_photographs_that_need_an_extra(run_deblur, trip, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setitem(sys.modules, "rawpy", None)
    (trip / "phone.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    (trip / "camera.NEF").write_bytes(b"II*\0" + bytes(40))
    output = run_deblur("trip", "-o", "new", code=1)
    assert 'failed: trip/phone.HEIC: HEIC needs pillow-heif: pip install "pillow-heif' in output
    assert 'failed: trip/camera.NEF: Camera raw needs rawpy: pip install "rawpy' in output
    assert "3 of 5 restored, 2 failed" in output


def test_camera_raw_becomes_tiff(run_deblur, trip, monkeypatch):
    done = []

    def restore_files(self, jobs, started, **_):
        for source, destination in jobs:
            done.append(destination)
            yield Outcome(source, destination, None)

    monkeypatch.setattr(Restorer, "restore_files", restore_files)
    (trip / "camera.NEF").write_bytes(b"II*\0")
    run_deblur("trip/camera.NEF")
    run_deblur("trip/camera.NEF", "-o", "new", "--format", "jpg")
    assert done == [Path("trip/camera-restored.tif"), Path("new/camera.jpg")]


def test_quality_counts(run_deblur, tmp_path):
    images.write(
        tmp_path / "big.png", np.random.default_rng(0).integers(0, 256, (64, 64, 3), "uint8")
    )
    sizes = []
    for quality in (20, 90):
        run_deblur("big.png", "-o", f"{quality}.jpg", "--quality", quality)
        sizes.append((tmp_path / f"{quality}.jpg").stat().st_size)
    assert sizes[0] < sizes[1]


def test_other_files_are_skipped_and_broken_ones_do_not_stop_the_rest(run_deblur, trip):
    (trip / "notes.txt").write_text("hello")
    (trip / "aa [red]broken.png").write_bytes(b"broken")
    (trip / "two\nlines.png").write_bytes(b"")
    output = run_deblur("trip", "-o", "new", code=1)
    assert files("new") == ["a.png", "b.bmp", "day1/a.png"]
    assert "failed: trip/aa [red]broken.png: not an image of a known format" in output
    assert r"failed: trip/two\nlines.png: " in output
    assert "3 of 5 restored, 2 failed, 1 skipped that are no images" in output


def test_links_that_lead_back_to_themselves(run_deblur, trip):
    (trip / "loop.png").symlink_to(trip / "loop.png")
    (trip / "day1" / "up").symlink_to(trip, target_is_directory=True)
    output = run_deblur("trip", "-o", "new", code=1)
    assert "failed: trip/loop.png: cannot be read: Too many levels of symbolic links; a" in output
    assert files("new") == ["a.png", "b.bmp", "day1/a.png"]


def test_what_the_file_system_refuses_is_told_with_what_to_do(run_deblur, trip):
    output = run_deblur("trip/a.png", "--suffix", "x" * 300, code=1)
    assert "failed: trip/a.png: File name too long; choose a shorter name" in output
    output = run_deblur("trip/a.png", "-o", "trip/b.bmp/new.png", code=1)
    assert "a file stands where a folder is needed; choose another name" in output


def test_a_name_that_is_not_utf_8(run_deblur, trip):
    os.rename(trip / "a.png", os.fsencode(trip) + b"/\xff.png")  # noqa: PTH104
    (trip / "b.bmp").write_bytes(b"")
    run_deblur("trip", "-o", "new", code=1)
    assert b"\xff.png" in os.listdir(b"new")  # noqa: PTH208


def test_an_unforeseen_error_is_one_files_failure(run_deblur, trip, monkeypatch):
    save = images.save_photograph

    def fail_once(path, *arguments):
        if path.name == "b.bmp":
            raise RuntimeError("surprise\nwith details")
        return save(path, *arguments)

    monkeypatch.setattr(images, "save_photograph", fail_once)
    output = run_deblur("trip", "-o", "new", code=1)
    assert "failed: trip/b.bmp: RuntimeError: surprise 2 of 3 restored, 1 failed" in output


def test_results_are_replaced_only_when_asked(run_deblur, trip):
    run_deblur("trip", "-o", "new")
    images.write("new/a.png", photo(7))
    output = run_deblur("trip", "-o", "new", code=1)
    assert "exists: new/a.png: not replaced; --overwrite does" in output
    assert "0 of 3 restored, 3 existed" in output
    np.testing.assert_array_equal(images.read("new/a.png"), photo(7))
    run_deblur("trip", "-o", "new", "--overwrite")
    assert_restored("new/a.png")


def test_an_output_folder_inside_the_input_is_not_read_again(run_deblur, trip):
    run_deblur("trip", "-o", "trip/out")
    output = run_deblur("trip", "-o", "trip/out", "--overwrite")
    assert files("trip/out") == ["a.png", "b.bmp", "day1/a.png"]
    assert "3 left out as results of an earlier run" in output
    run_deblur("trip/out/a.png", "-o", "trip/out", "--suffix", "2")  # asked for by name, it is
    np.testing.assert_array_equal(images.read("trip/out/a2.png"), photo())


def test_results_beside_the_inputs_are_not_restored_again(run_deblur, trip):
    run_deblur("trip")
    before = files("trip")
    assert before == [
        "a-restored.png",
        "a.png",
        "b-restored.bmp",
        "b.bmp",
        "day1/a-restored.png",
        "day1/a.png",
    ]
    output = run_deblur("trip", "--overwrite")
    assert files("trip") == before
    assert "3 left out as results of an earlier run" in output


@pytest.mark.parametrize(
    "arguments",
    [
        ["trip/a.png", "-o", "trip"],
        ["trip/a.png", "-o", "trip/a.png"],
        ["trip", "-o", "link"],
        ["trip", "--suffix", ""],
    ],
)
def test_inputs_are_never_overwritten(run_deblur, trip, arguments):
    Path("link").symlink_to("trip", target_is_directory=True)
    output = run_deblur(*arguments, "--overwrite", code=2)
    assert "would overwrite it" in output
    np.testing.assert_array_equal(images.read(trip / "a.png"), photo())
    assert len(files(trip)) == 3


def test_an_input_that_is_another_ones_result(run_deblur, trip):
    run_deblur("trip/a.png")
    output = run_deblur("trip/a.png", "trip/a-restored.png", "--overwrite", code=2)
    assert "trip/a-restored.png is an input and also the result of trip/a.png" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trip/a.png", "trip/day1/a.png", "-o", "new"], "trip/day1/a.png would be written to new"),
        (["trip/a.png", "--resume", "--overwrite"], "give one of them"),
        (["trip", "-o", "new.png"], "is not a single file"),
        (["trip/a.png", "trip/b.bmp", "-o", "new.png"], "is not a single file"),
        (["trip/a.png", "-o", "new.png", "--format", "jpg"], "which names the result in full"),
        (["trip", "-o", "notes"], "exists and is not a folder"),
        (["trip", "--suffix", "../x"], "path separator"),
        (["trip", "nowhere", "*.tif"], "not found: nowhere, *.tif"),
        (["notes"], "no images found in notes; looked for files ending in ."),
        (["empty", "-o", "new"], "no images found in empty"),
        ([], "Missing argument"),
        (["trip", "--quality", "0"], "--quality"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_written(
    run_deblur, trip, tmp_path, arguments, message
):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes").write_text("hello")
    images.write(tmp_path / "copy.png", photo())
    before = files(tmp_path)
    output = run_deblur(*arguments, code=2)
    assert message in output
    assert files(tmp_path) == before


def test_a_model_that_is_not_there(trip):
    result = CliRunner().invoke(deblur, [str(trip), "--model", "missing.keras"])
    assert result.exit_code == 1
    assert "missing.keras: no such model" in result.output


def test_restore_with_dropout_is_passed_on(run_deblur, trip):
    assert "no dropout layers" in run_deblur("trip", "--restore-with-dropout", code=1)


def test_help_shows_examples_and_needs_nothing_heavy():
    script = (
        "import sys; from click.testing import CliRunner; from deblur_keras.cli import main\n"
        "for arguments in (['--help'], ['deblur', '--help']):\n"
        "    result = CliRunner().invoke(main, arguments)\n"
        "    assert result.exit_code == 0 and 'Examples:' in result.output, result.output\n"
        "heavy = {'numpy', 'PIL', 'cv2', 'rich', 'keras', 'tensorflow'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)


def test_help_lists_every_command():
    result = CliRunner().invoke(main, ["--help"])
    for command in ("train", "deblur", "evaluate", "blur", "demo", "export"):
        assert f"\n  {command} " in result.output
    assert CliRunner().invoke(main, ["--version"]).output.startswith("deblur-keras, version")
    assert CliRunner().invoke(main, ["sharpen"]).exit_code == 2


def test_help_answers_at_once():
    def spent():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime  # not the wall clock, which other work stretches

    before = spent()
    command = [sys.executable, "-m", "deblur_keras.cli", "deblur", "--help"]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    assert spent() - before < 0.3


def test_the_script_is_the_command(trip, negative_model):
    result = subprocess.run(
        [sys.executable, ROOT / "deblur.py", "trip", "-o", "new", "--model", negative_model],
        capture_output=True,
        text=True,
        cwd=trip.parent,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("3 of 3 restored")
    if not Path("/dev/nvidiactl").exists():  # where a driver is, its errors are shown
        assert result.stderr == ""


@pytest.fixture
def cycle_run(negative_model, tmp_path):
    """A run folder whose deblurring turns p into 255 - p, and whose blurring makes all grey."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "generator.keras").write_bytes(negative_model.read_bytes())
    image = keras.Input((None, None, 3))
    keras.Model(image, keras.layers.Rescaling(0.0)(image)).save(folder / "blur_generator.keras")
    return folder


def invoke(*arguments):
    result = CliRunner().invoke(deblur, [str(argument) for argument in arguments])
    return result.exit_code, " ".join(result.output.split())


def test_direction_blur_uses_the_blur_generator_beside_the_model(trip, cycle_run):
    models = (cycle_run, cycle_run / "generator.keras", cycle_run / "blur_generator.keras")
    for number, model in enumerate(models):
        target = trip.parent / f"{number}.png"
        code, output = invoke(trip / "a.png", "-o", target, "--model", model, "--direction", "blur")
        assert code == 0, output
        assert "1 of 1 blurred; written to" in output
        assert set(np.unique(images.read(target))) <= {127, 128}
    code, output = invoke(trip / "a.png", "--model", cycle_run, "--direction", "blur")
    assert code == 0 and (trip / "a-blurred.png").exists()


def test_a_run_folder_is_a_model(trip, cycle_run):
    code, output = invoke(trip / "a.png", "--model", cycle_run)
    assert code == 0, output
    assert_restored(trip / "a-restored.png")


def test_direction_blur_without_a_blur_generator(trip, negative_model):
    code, output = invoke(trip / "a.png", "--model", negative_model, "--direction", "blur")
    assert code == 1
    assert "blur_negative.keras: no such model. --direction blur needs" in output
    assert invoke(trip, "--direction", "blur")[0] == 1
    assert files(trip) == ["a.png", "b.bmp", "day1/a.png"]


def test_an_empty_name_is_no_folder(run_deblur, trip):
    assert "an input has an empty name" in run_deblur("", code=2)


@pytest.mark.parametrize("name", ["new.gif", "new.dng", "-"])
def test_a_name_that_cannot_be_written_becomes_no_folder(run_deblur, trip, name):
    output = run_deblur("trip/a.png", "-o", name, code=2)
    assert f"-o {name}: " in output
    assert not Path(name).exists()
