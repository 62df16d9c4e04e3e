"""`deblur-keras data`: what it prints, writes and refuses, and its exit codes."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from deblur_keras import datasets, images, runs, sheets
from deblur_keras.cli import main
from deblur_keras.cli.data import data as command
from deblur_keras.datasets import archives, catalog


def run(*arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def photograph(seed, height=96, width=128):
    """Texture of all sizes, as photographs have it, different for each seed."""
    generator = np.random.default_rng(seed)
    image = np.zeros((height, width, 3))
    for size in (3, 6, 12, 24, 48):
        coarse = generator.normal(size=(size, size, 3))
        image += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) / size**0.5
    low, high = np.percentile(image, [1, 99])
    return np.clip((image - low) / (high - low) * 255, 0, 255).astype(np.uint8)


@pytest.fixture
def folder(tmp_path):
    for number in range(4):
        for split, seed in (("train", 0), ("test", 50)):
            sharp = photograph(seed + number)
            scene = tmp_path / "set" / split / f"{split}_scene"
            images.write(scene / "sharp" / f"{number}.png", sharp)
            images.write(scene / "blur" / f"{number}.png", cv2.blur(sharp, (9, 1)))
    return tmp_path / "set"


def test_a_good_set(folder):
    result = run("check", folder)
    assert result.exit_code == 0, result.output
    assert "train_scene" in result.output and "test_scene" in result.output
    assert "8 pairs checked" in result.output and "nothing wrong" in result.output
    (scene,) = [line for line in result.output.splitlines() if "test_scene" in line]
    assert "-0.0" in scene or "+0.0" in scene  # the mean shift
    one = run("check", folder, "--split", "test", "--workers", 1)
    assert "4 pairs checked" in one.output and "train_scene" not in one.output


def test_a_mistake_is_named_with_what_to_do(folder, tmp_path):
    scene = folder / "train" / "train_scene"
    for number in (1, 2):
        (scene / "sharp" / f"{number}.png").write_bytes(b"[no] image")
    images.write(scene / "blur" / "3.png", images.read(scene / "sharp" / "3.png"))
    output = tmp_path / "report"
    result = run("check", folder, "-o", output)
    assert result.exit_code == 1
    assert "error: 2 of 8 pairs that cannot be read" in result.output
    for number in (1, 2):
        assert f"{scene / 'sharp' / f'{number}.png'}: not an image" in result.output
    assert "error: 1 of 8 pairs with equal pixels" in result.output
    assert "-> Put the blurred images back" in result.output
    assert "8 pairs checked" in result.output and "2 errors" in result.output
    assert "training on this would be a mistake" in result.output
    with (output / "pairs.csv").open(newline="") as lines:
        assert [row["findings"] for row in csv.DictReader(lines)][:4] == [
            "",
            "unreadable",
            "unreadable",
            "identical",
        ]
    assert json.loads((output / "report.json").read_text())["ok"] is False
    assert images.read(output / "worst.png").shape[2] == 3


def test_warnings_alone_are_no_mistake(folder):
    (folder / "test" / "test_scene").rename(folder / "test" / "train_scene")
    result = run("check", folder)
    assert result.exit_code == 0
    assert "warning: 1 scene of a name" in result.output
    assert "-o FOLDER writes all of this down" in result.output


def test_long_lists_are_cut_but_not_that_of_broken_files(tmp_path):
    for number in range(12):
        images.write(tmp_path / "blur" / f"broken{number}.png", photograph(number))
        images.write_bytes(tmp_path / "sharp" / f"broken{number}.png", b"")
        images.write(tmp_path / "blur" / f"lone{number}.png", photograph(number))
    result = run("check", tmp_path)
    assert result.exit_code == 1
    assert sum("sharp/broken" in line for line in result.output.splitlines()) == 12
    assert sum("blur/lone" in line for line in result.output.splitlines()) == 10
    assert "and 2 more" in result.output


def test_a_dataset_by_name_is_checked(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    missing = run("check", "gopro/light")
    assert missing.exit_code == 1 and "gopro/light is not prepared" in missing.output
    monkeypatch.setenv(archives.PARTIAL, "1")
    dummies = Path(archives.__file__).parent / "gopro" / "dummy_data"
    catalog.prepare("gopro/light", tmp_path, dummies)
    result = run("check", "gopro/light", "-o", tmp_path / "report")
    assert result.exit_code == 0, result.output
    assert "GOPR0001_11_00" in result.output and "GOPR0003_11_00" in result.output
    assert "6 pairs checked" in result.output and "nothing wrong" in result.output
    with (tmp_path / "report" / "pairs.csv").open(newline="") as lines:
        first = next(csv.DictReader(lines))
    assert first["blurred"].startswith("GOPR0001_11_00/000001 blurred in ")
    assert json.loads((tmp_path / "report" / "report.json").read_text())["directory"]
    assert images.read(tmp_path / "report" / "worst.png").shape[2] == 3
    assert "2 pairs checked" in run("check", "gopro/light", "--split", "test").output
    assert "2 errors" not in run("check", "gopro/light", "--blur", "blur_gamma").output
    found = catalog.pairs("gopro/light", "train")
    path, offset = found[1].sharp.path, found[1].sharp.offset
    data = bytearray(path.read_bytes())
    data[offset + 200] ^= 255
    data[found[0].sharp.offset] ^= 255
    path.write_bytes(data)
    result = run("check", "gopro/light")
    assert result.exit_code == 1
    assert "error: 2 of 6 pairs that cannot be read" in result.output
    assert f"{found[1].name} sharp in {path}: broken" in result.output
    assert f"{found[0].name} sharp in {path}: not an image of a known format" in result.output


def test_the_limits_are_options(folder):
    path = folder / "train" / "train_scene" / "blur" / "1.png"
    images.write(path, np.roll(images.read(path), 5, axis=1))
    assert run("check", folder).exit_code == 1
    assert run("check", folder, "--shift", 6).exit_code == 0
    assert run("check", folder, "--tolerance", 0.2).exit_code == 0
    assert run("check", folder, "--tolerance", 2).exit_code == 2


def test_where_the_report_may_go(folder, tmp_path):
    result = run("check", folder, "-o", folder / "report")
    assert result.exit_code == 2
    assert "among the images" in result.output
    full = tmp_path / "full"
    images.write_bytes(full / "notes.txt", b"mine")
    result = run("check", folder, "-o", full)
    assert result.exit_code == 1
    assert "is not empty" in result.output
    result = run("check", folder, "-o", tmp_path / "new", "--worst", 0)
    assert result.exit_code == 0
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "pairs.csv",
        "report.json",
    ]


def test_wrong_folders(folder, tmp_path):
    assert run("check", tmp_path / "nowhere").exit_code == 2
    result = run("check", folder, "--split", "val")
    assert result.exit_code == 1
    assert "no split 'val'; present: train, test" in result.output
    (tmp_path / "empty").mkdir()
    result = run("check", tmp_path / "empty")
    assert result.exit_code == 1
    assert "found no image pairs" in result.output


@pytest.fixture
def drawn(monkeypatch):
    """What was given to `sheets.contact_sheet`: rows, titles, captions, cell."""
    calls = []
    draw = sheets.contact_sheet

    def record(*arguments):
        calls.append(arguments)
        return draw(*arguments)

    monkeypatch.setattr(sheets, "contact_sheet", record)
    return calls


def cells_and_captions(call):
    rows, _, captions, _ = call
    cells = [cell for row in rows for cell in row]
    texts = [text for row in captions for text in row]
    return list(zip(cells[::2], cells[1::2], strict=True)), texts[1::2]


def cut(image, text, crop):
    """The crop that a caption such as "name at 3, 4, mirrored" means."""
    left, top, *mirrored = text.rpartition(" at ")[2].split(", ")
    found = image[int(top) : int(top) + crop, int(left) : int(left) + crop]
    return found[:, ::-1] if mirrored else found


def test_the_sheet_shows_the_batches_of_training(folder, tmp_path, drawn):
    sheet = tmp_path / "sheet.png"
    options = ["--crop", 32, "--batch", 3, "--batches", 2, "--seed", 5, "--scale", 0.75]
    result = run("show", folder, "-o", sheet, *options)
    assert result.exit_code == 0, result.output
    assert "6 pairs of 32x32 crops in 2 batches" in result.output
    assert sheet.exists()
    pairs = datasets.pairs(folder, split="train")
    stream = datasets.paired(
        pairs, crop=32, batch=3, scale=0.75, seed=5, repeat=True, first_batch=0
    )
    stream = stream.take(2).unbatch()
    expected = [[images.to_uint8(side) for side in both] for both in stream.as_numpy_iterator()]
    examples, places = cells_and_captions(drawn[0])
    np.testing.assert_array_equal(examples, expected)
    by_name = {pair.name: pair for pair in pairs}
    for (blurred, sharp), place in zip(examples, places, strict=True):
        both = by_name[place.partition(" at ")[0]].read()
        both = [cut(images.resize(image, 0.75), place, 32) for image in both]
        np.testing.assert_array_equal([blurred, sharp], both)
    assert len({place.partition(" at ")[0] for place in places}) == 4


def test_photographs_that_are_blurred_at_random(folder, tmp_path, drawn):
    photographs = folder / "train" / "train_scene" / "sharp"
    result = run("show", "--photographs", photographs, "-o", tmp_path / "s.png", "--crop", 40)
    assert result.exit_code == 0, result.output
    examples, places = cells_and_captions(drawn[0])
    assert sorted(place.partition(" at ")[0] for place in places) == [f"{n}.png" for n in range(4)]
    for (blurred, sharp), place in zip(examples, places, strict=True):
        photo = images.read(photographs / place.partition(" at ")[0])
        np.testing.assert_array_equal(sharp, cut(photo, place, 40))
        assert (blurred != sharp).any()


def test_pairs_and_photographs_mixed(folder, tmp_path, drawn):
    photographs = folder / "test" / "test_scene" / "sharp"
    given = [folder, "--photographs", photographs, "--scale", 1, "--crop", 40, "--batch", 2]
    result = run("show", *given, "--batches", 12, "-o", tmp_path / "mixed.jpg")
    assert result.exit_code == 0, result.output
    _, places = cells_and_captions(drawn[0])
    assert len(places) == 24
    synthetic = sum(".png at" in place for place in places)
    assert 0 < synthetic < 24
    assert sum("train_scene/" in place for place in places) == 24 - synthetic


@pytest.mark.parametrize(
    ("recipe", "options", "batches"),
    [
        ("sharingan", ["--photographs", "{scene}/sharp", "--grid", 2, "--jpeg", "50-90"], 12),
        ("deblurgan-bce", ["--crops-per-image", 3, "--set", "batch=5", "--cache", "memory"], 2),
        ("cyclegan", ["--batch", 3, "--max-bad", 2], 2),
        ("cyclegan", ["--blurred", "{scene}/blur", "--config", "{config}"], 4),
    ],
)
def test_the_sheet_shows_what_train_is_fed_with(
    recipe, options, batches, folder, tmp_path, drawn, monkeypatch
):
    """The same options, given to both commands."""
    places = {"scene": folder / "test" / "test_scene", "config": tmp_path / "mine.toml"}
    places["config"].write_text("batch = 2")
    options = [str(option).format(**places) for option in options]
    options += ["--crop", "32", "--scale", "1", "--seed", "4"]
    result = run("show", folder, "-o", tmp_path / "s.png", "--recipe", recipe, *options)
    assert result.exit_code == 0, result.output
    examples, _ = cells_and_captions(drawn[0])
    fed = []

    def keep(configured, *_, **__):
        found = runs.feeds.find(configured.recipe, configured.sources)
        kept = {"cache": configured.cache, "max_bad": configured.max_bad}
        fed.append(runs.feeds.feed(configured.recipe, found, configured.seed, **kept))

    monkeypatch.setattr(runs, "train", keep)
    arguments = ["train", recipe, "--data", str(folder), "-o", str(tmp_path / "run"), *options]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    shown = fed[0].training.take(min(batches, fed[0].steps))
    stream = shown.unbatch().as_numpy_iterator()
    expected = [[images.to_uint8(side) for side in both] for both in stream]
    np.testing.assert_array_equal(examples, expected)


def test_strangers_have_a_place_each(folder, tmp_path, drawn):
    given = ["--recipe", "cyclegan", "--scale", 1, "--crop", 40, "--split", "test"]
    result = run("show", folder, "-o", tmp_path / "s.png", *given)
    assert result.exit_code == 0, result.output
    rows, _, captions, _ = drawn[0]
    cells = [cell for row in rows for cell in row]
    places = [text for row in captions for text in row]
    assert len(cells) == 2 * 4
    scene = folder / "test" / "test_scene"
    for number, (cell, place) in enumerate(zip(cells, places, strict=True)):
        side = ("blur", "sharp")[number % 2]
        name = place.rpartition(", no. 1, ")[2].partition(" at ")[0]
        np.testing.assert_array_equal(cell, cut(images.read(scene / side / name), place, 40))
        assert ("batch" in place) == (side == "blur")


def test_a_dataset_by_name(tmp_path, drawn, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    monkeypatch.setenv(archives.PARTIAL, "1")
    manual = Path(archives.__file__).parent / "gopro" / "dummy_data"
    catalog.prepare("gopro/light", tmp_path, manual)
    for recipe in ("deblurgan", "cyclegan"):
        given = ["--recipe", recipe, "--scale", 1, "--crop", 16, "-o", tmp_path / f"{recipe}.png"]
        result = run("show", "gopro/light", *given)
        assert result.exit_code == 0, result.output
        _, places = cells_and_captions(drawn.pop())
        assert len({place.partition(" at ")[0] for place in places}) == 4
        assert all(place.startswith("GOPR000") for place in places)
    result = run("show", "gopro/lite", "-o", tmp_path / "s.png")
    assert result.exit_code == 2 and "Did you mean gopro/light?" in result.output


def test_crops_that_are_no_part_of_a_file_have_no_place(folder, tmp_path, drawn):
    result = run("show", folder, "-o", tmp_path / "s.png", "--crop", 256)  # reflected beyond 64x48
    assert result.exit_code == 0, result.output
    _, places = cells_and_captions(drawn[0])
    assert places == [""] * 4


def test_what_show_refuses(folder, tmp_path):
    assert run("show", folder).exit_code == 2
    result = run("show", "-o", tmp_path / "s.png")
    assert result.exit_code == 2
    assert "nothing to show" in result.output
    assert run("show", folder, "-o", tmp_path / "s.gif").exit_code == 2
    for options, message in (
        (["--recipe", "cycelgan"], "Did you mean 'cyclegan'?"),
        (["--crop", 8], "at least 16"),
        (["--jpeg", 80], "no photographs that would be blurred"),
    ):
        result = run("show", folder, "-o", tmp_path / "s.png", *options)
        assert result.exit_code == 2
        assert message in result.output
    (tmp_path / "s.png").write_bytes(b"mine")
    result = run("show", folder, "-o", tmp_path / "s.png")
    assert result.exit_code == 1
    assert "exists already" in result.output
    assert (tmp_path / "s.png").read_bytes() == b"mine"
    (folder / "train" / "train_scene" / "sharp" / "0.png").unlink()
    result = run("show", folder, "-o", tmp_path / "s.png", "--overwrite")
    assert result.exit_code == 1
    assert "no partner" in result.output
    (tmp_path / "empty").mkdir()
    result = run("show", "--photographs", tmp_path / "empty", "-o", tmp_path / "t.png")
    assert result.exit_code == 1
    assert "no photographs" in result.output
