"""`deblur-keras average`: the tree, the table, and what goes wrong with videos and folders."""

import csv

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from skimage import data

from deblur_keras import blur, datasets, images
from deblur_keras.cli.average import average as command


def run(*arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def moving(count, seed=0):
    """Blobs that move to the right, a pixel a frame."""
    noise = np.random.default_rng(seed).random((64, 96, 3))
    noise = cv2.GaussianBlur(noise, (0, 0), 4)
    still = cv2.normalize(noise, None, 0, 255, cv2.NORM_MINMAX).astype("uint8")
    return [np.roll(still, number, axis=1) for number in range(count)]


def film(path, pictures, codec="MJPG"):
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = pictures[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 240, (width, height))
    assert writer.isOpened()
    for picture in pictures:
        writer.write(picture[..., ::-1])
    writer.release()
    return path


def stills(folder, pictures, start=1):
    for number, picture in enumerate(pictures, start):
        images.write(folder / f"{number}.png", picture)
    return folder


def files(folder):
    """Every file below a folder with its bytes."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def table(folder, split="train"):
    with (folder / split / "average.csv").open(newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.fixture
def walk(tmp_path):
    return stills(tmp_path / "walk", moving(30))


def test_a_folder_becomes_a_scene_of_gopros_tree(walk, tmp_path):
    output = tmp_path / "pairs"
    result = run(walk, "-o", output, "--frames", 7)
    assert result.exit_code == 0, result.output
    assert "4 pairs made, of 1 of 1 scene" in result.output
    names = [f"{number:06d}.png" for number in range(1, 5)]
    trees = [f"train/walk/{side}/{name}" for side in ("blur", "sharp") for name in names]
    assert sorted(files(output)) == ["train/average.csv", *trees]
    found = datasets.pairs(output)
    assert [pair.name for pair in found] == [f"walk/{number:06d}" for number in range(1, 5)]
    rows = table(output)
    assert [row["pair"] for row in rows] == [pair.name for pair in found]
    assert [row["first"] for row in rows] == ["1.png", "8.png", "15.png", "22.png"]
    pictures = moving(30)
    for row, pair in zip(rows, found, strict=True):
        first, middle, last = (int(row[k].split(".")[0]) for k in ("first", "middle", "last"))
        assert (middle - first, last - middle, row["frames"]) == (3, 3, "7")
        assert (row["source"], row["gamma"], row["scale"]) == (str(walk), "2.2", "1.0")
        assert (row["width"], row["height"]) == ("96", "64")
        blurred, sharp = pair.read()
        np.testing.assert_array_equal(sharp, pictures[middle - 1])
        np.testing.assert_array_equal(blurred, blur.average_frames(pictures[first - 1 : last]))
        error = np.mean((blurred.astype(float) - sharp) ** 2)
        assert float(row["psnr"]) == pytest.approx(10 * np.log10(255**2 / error), abs=0.006)
        assert float(row["motion"]) == pytest.approx(6, abs=1)


def test_rules_are_told_with_their_limits(walk, tmp_path):
    options = ["--min-motion", 3, "--cut", 0.7, "--repeat", 0.5, "--gamma", 1.8, "--stride", 4]
    result = run(walk, "-o", tmp_path / "pairs", "--frames", "6-12", *options)
    assert "7 to 11 (of 6-12 only these have a frame in the middle)" in result.output
    assert "4 frames from start to start; gamma 1.8" in result.output
    assert "up to 0.5" in result.output
    assert "above 0.7" in result.output
    assert "less than 3 pixels" in result.output
    starts = [int(row["first"].split(".")[0]) for row in table(tmp_path / "pairs")]
    assert starts == list(range(1, 4 * len(starts), 4))
    assert {row["frames"] for row in table(tmp_path / "pairs")} <= {"7", "9", "11"}


@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "mp4v"), (".avi", "MJPG")])
def test_a_video_becomes_a_scene(tmp_path, suffix, codec):
    path = film(tmp_path / f"ride{suffix}", moving(22), codec)
    result = run(path, "-o", tmp_path / "pairs", "--frames", 11, "--repeat", -1)
    assert result.exit_code == 0, result.output
    rows = table(tmp_path / "pairs")
    assert [(r["pair"], r["first"], r["middle"], r["last"]) for r in rows] == [
        ("ride/000001", "0", "5", "10"),
        ("ride/000002", "11", "16", "21"),
    ]
    (pair, _) = datasets.pairs(tmp_path / "pairs")
    difference = pair.read()[1].astype(float) - moving(22)[5]
    assert np.abs(difference).mean() < 8  # lossy; red and blue are not exchanged


def test_seed_and_name_decide_alone(tmp_path):
    first, second = stills(tmp_path / "one", moving(40)), stills(tmp_path / "two", moving(40, 1))
    run(first, second, "-o", tmp_path / "both", "--frames", "3-9")
    run(second, "-o", tmp_path / "alone", "--frames", "3-9")
    run(first, second, "-o", tmp_path / "other", "--frames", "3-9", "--seed", 1)
    both = {n: data for n, data in files(tmp_path / "both").items() if n.startswith("train/two/")}
    alone = files(tmp_path / "alone")
    del alone["train/average.csv"]
    assert both == alone
    assert [row["frames"] for row in table(tmp_path / "both")] != [
        row["frames"] for row in table(tmp_path / "other")
    ]


def test_several_sources_are_several_scenes_and_splits_may_be_added(walk, tmp_path):
    output = tmp_path / "pairs"
    ride = film(tmp_path / "ride.avi", moving(15, seed=5))
    assert run(walk, ride, "-o", output, "--frames", 7).exit_code == 0
    assert {row["pair"].split("/")[0] for row in table(output)} == {"walk", "ride"}
    other = stills(tmp_path / "other", moving(9, seed=6))
    assert run(other, "-o", output, "--frames", 7, "--split", "test").exit_code == 0
    assert len(datasets.pairs(output, split="test")) == 1
    before = files(output)
    result = run(other, "-o", output, "--frames", 7, "--split", "test")
    assert result.exit_code == 1
    assert "choose an output folder that is new" in result.output
    assert files(output) == before


def test_what_was_made_before_is_no_source(walk):
    output = walk / "pairs"
    assert run(walk, "-o", output, "--frames", 7).exit_code == 0
    result = run(walk, "-o", output, "--frames", 7, "--split", "test")
    assert result.exit_code == 0, result.output
    assert "4 pairs made, of 1 of 1 scene" in result.output
    assert {row["source"] for row in table(output, "test")} == {str(walk)}
    made = output / "train" / "walk" / "sharp"
    for source in (made, made / "*.png", output / "train" / ".." / "train"):
        result = run(source, "-o", output, "--split", "val")
        assert result.exit_code == 2
        assert "lie in the output folder" in " ".join(result.output.split())
    assert not (output / "val").exists()


def test_an_output_with_something_in_it_is_refused(walk):
    before = files(walk)
    result = run(walk, "-o", walk)
    assert result.exit_code == 1
    assert "walk holds 1.png; choose an output folder that is new" in result.output
    assert files(walk) == before


def test_scale_reduces_both_sides(walk, tmp_path):
    assert run(walk, "-o", tmp_path / "pairs", "--frames", 9, "--scale", 0.5).exit_code == 0
    assert images.read(tmp_path / "pairs/train/walk/blur/000001.png").shape == (32, 48, 3)
    assert table(tmp_path / "pairs")[0]["scale"] == "0.5"


def test_what_is_left_out_is_told(tmp_path):
    pictures = moving(7) + moving(7, seed=1) + [moving(7, seed=1)[-1]] * 3
    stills(tmp_path / "walk", pictures)
    result = run(tmp_path / "walk", "-o", tmp_path / "pairs", "--frames", 7)
    assert result.exit_code == 0, result.output
    assert "repeated frames 3 (first: 15.png); cuts 1 (first: 8.png)" in result.output
    assert len(table(tmp_path / "pairs")) == 2


def test_a_broken_frame_does_not_stop_the_rest(walk, tmp_path):
    (walk / "8.png").write_bytes((walk / "8.png").read_bytes()[:900])
    result = run(walk, "-o", tmp_path / "pairs", "--frames", 7)
    assert result.exit_code == 1
    assert "failed: walk: 1 broken frame, the first: " in result.output
    assert "8.png: broken" in result.output
    spans = [(row["first"], row["last"]) for row in table(tmp_path / "pairs")]
    assert spans == [("1.png", "7.png"), ("9.png", "15.png"), ("16.png", "22.png"),
                     ("23.png", "29.png")]  # fmt: skip


def test_frames_of_two_sizes_are_not_mixed(walk, tmp_path):
    for number in range(15, 31):
        picture = images.read(walk / f"{number}.png")
        images.write(walk / f"{number}.png", images.resize(picture, 0.5))
    result = run(walk, "-o", tmp_path / "pairs", "--frames", 13)
    assert result.exit_code == 0, result.output
    assert "changes of size 1 (first: 15.png: 48x32 after 96x64)" in result.output
    assert [row["width"] for row in table(tmp_path / "pairs")] == ["96", "48"]
    assert len(datasets.pairs(tmp_path / "pairs")) == 2


def test_a_video_that_is_cut_off_gives_what_it_has(tmp_path):
    path = film(tmp_path / "ride.avi", moving(40))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    result = run(path, "-o", tmp_path / "pairs", "--frames", 7)
    assert result.exit_code == 1
    assert "failed: ride: cut off or broken: it ends after " in result.output
    assert "of the 40 frames that its header promises" in result.output
    assert len(datasets.pairs(tmp_path / "pairs")) == len(table(tmp_path / "pairs")) >= 2


def test_a_video_whose_length_is_not_known_is_used(tmp_path, monkeypatch):
    from deblur_keras import frames

    path = film(tmp_path / "ride.avi", moving(15))
    monkeypatch.setattr(frames, "_video_length", lambda path: 0)
    result = run(path, "-o", tmp_path / "pairs", "--frames", 7)
    assert result.exit_code == 0, result.output
    assert "2 pairs of 96x64 from 15 frames" in result.output


@pytest.mark.parametrize("promised", [3, 16, 15.2])
def test_a_header_may_be_a_little_wrong(tmp_path, monkeypatch, promised):
    from deblur_keras import frames

    path = film(tmp_path / "ride.avi", moving(15))
    monkeypatch.setattr(frames, "_video_length", lambda path: int(promised))
    result = run(path, "-o", tmp_path / "pairs", "--frames", 7)
    assert result.exit_code == (1 if promised == 16 else 0)
    assert "2 pairs made" in result.output


def test_one_bad_source_does_not_stop_the_others(walk, tmp_path):
    broken = images.write_bytes(tmp_path / "broken.mp4", b"no video")
    short = stills(tmp_path / "short", moving(5))
    frozen = stills(tmp_path / "frozen", [moving(1)[0]] * 12)
    result = run(broken, short, frozen, walk, "-o", tmp_path / "pairs", "--frames", "7-9")
    assert result.exit_code == 1
    assert "broken.mp4: cannot be opened as a video" in result.output
    assert "failed: short: too short: it has 5 frames, and a window takes 7" in result.output
    assert "frozen: left out: repeated frames 11 (first: 2.png)" in result.output
    assert "failed: frozen: no pairs" in result.output
    assert "of 1 of 4 scenes" in result.output
    assert {row["pair"].split("/")[0] for row in table(tmp_path / "pairs")} == {"walk"}


def test_nothing_is_left_when_nothing_is_made(tmp_path):
    result = run(stills(tmp_path / "short", moving(2)), "-o", tmp_path / "pairs")
    assert result.exit_code == 1
    assert "0 pairs made" in result.output
    assert not (tmp_path / "pairs").exists()


def test_slow_cameras_are_warned_of(tmp_path):
    photograph = data.astronaut()
    fast = [photograph[:, 10 * number : 400 + 10 * number] for number in range(7)]
    result = run(stills(tmp_path / "slow", fast), "-o", tmp_path / "pairs", "--frames", 7)
    assert "neighbouring frames lie about 10 pixels apart" in result.output


def test_half_a_pair_is_taken_back(walk, tmp_path, monkeypatch):
    write = images.write

    def full(path, image):
        if path.parts[-2:] == ("sharp", "000002.png"):
            raise images.ImageError(f"{path}: cannot be written: No space left on device")
        return write(path, image)

    monkeypatch.setattr(images, "write", full)
    result = run(walk, "-o", tmp_path / "pairs", "--frames", 7)
    assert result.exit_code == 1
    assert "No space left on device" in result.output
    assert [row["pair"] for row in table(tmp_path / "pairs")] == ["walk/000001"]
    assert len(datasets.pairs(tmp_path / "pairs")) == 1


def test_the_table_is_written_when_interrupted(walk, tmp_path, monkeypatch):
    write = images.write

    def interrupted(path, image):
        if path.parts[-2:] == ("blur", "000003.png"):
            raise KeyboardInterrupt
        return write(path, image)

    monkeypatch.setattr(images, "write", interrupted)
    result = run(walk, "-o", tmp_path / "pairs", "--frames", 7)
    assert result.exit_code == 1
    assert "failed: walk: interrupted" in result.output
    assert len(table(tmp_path / "pairs")) == len(datasets.pairs(tmp_path / "pairs")) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--frames", "8"], "no odd number from 3 on"),
        (["--frames", "1"], "no odd number from 3 on"),
        (["--frames", "0-2"], "no odd number from 3 on"),
        (["--frames", "21-7"], "write 7-21"),
        (["--frames", "many"], "no number of frames, such as 11 or 7-21"),
        (["--frames", "-7"], "no number of frames"),
        (["--gamma", "nan"], "gamma > 0"),
        (["--gamma", "0"], "gamma > 0"),
        (["--scale", "nan"], "0 < scale <= 1"),
        (["--scale", "2"], "0 < scale <= 1"),
        (["--cut", "nan"], "max_change must be a number"),
        (["--stride", "0"], "--stride"),
        (["--split", "holiday"], "--split"),
    ],
)
def test_wrong_usage(walk, tmp_path, options, message):
    result = run(walk, "-o", tmp_path / "pairs", *options)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
    assert not (tmp_path / "pairs").exists()


def test_nothing_to_average(tmp_path):
    (tmp_path / "empty").mkdir()
    result = run(tmp_path / "empty", "-o", tmp_path / "pairs")
    assert result.exit_code == 1
    assert "no frames found" in result.output
    assert ".mp4" in result.output
    result = run(tmp_path / "missing", "-o", tmp_path / "pairs")
    assert result.exit_code == 1
    assert "not found" in result.output
    assert not (tmp_path / "pairs").exists()


def test_help_shows_examples():
    result = run("--help")
    assert result.exit_code == 0
    assert "deblur-keras average clip.mp4 -o pairs/" in result.output
