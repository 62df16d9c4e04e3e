"""`deblur-keras blur`: pairs, the table that makes them again, and what goes wrong."""

import csv

import numpy as np
import pytest
from click.testing import CliRunner

from deblur_keras import blur, images
from deblur_keras.cli import blur_table
from deblur_keras.cli.blur import blur as command


def run(*arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def photograph(seed, height=40, width=56):
    blocks = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    return blocks.repeat(8, axis=0).repeat(8, axis=1)


def files(folder):
    """Every file below a folder with its bytes."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def table(folder):
    with (folder / "blur.csv").open(newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    images.write(folder / "one.png", photograph(1))
    images.write(folder / "trip" / "two.jpg", photograph(2))
    images.write(folder / "trip" / "three.png", photograph(3, 24, 32)[..., 0])
    (folder / "notes.txt").write_text("not a photograph")
    return folder


def test_pairs_kernels_and_table(photos, tmp_path):
    output = tmp_path / "pairs"
    result = run(photos, "-o", output)
    assert result.exit_code == 0, result.output
    assert "3 of 3 pairs made" in result.output
    names = ["one.png", "trip/three.png", "trip/two.png"]
    trees = [f"{tree}/{name}" for tree in ("blur", "kernels", "sharp") for name in names]
    assert sorted(files(output)) == sorted(["blur.csv", *trees])
    rows = table(output)
    assert [row["file"] for row in rows] == ["one.png", "trip/three.png", "trip/two.jpg"]
    for row in rows:
        sharp = images.read(photos / row["file"])
        np.testing.assert_array_equal(images.read(output / "sharp" / row["pair"]), sharp)
        assert float(row["exposure"]) in blur.SCRIPT_EXPOSURES
        assert float(row["intensity"]) in blur.SCRIPT_INTENSITIES
        assert images.read(output / "blur" / row["pair"]).shape == sharp.shape
        kernel = images.read(output / "kernels" / row["pair"])
        assert kernel.shape == (64, 64, 3)
        assert kernel.max() == 255


def test_a_row_is_enough_to_make_its_pair_with_the_library(photos, tmp_path):
    run(photos, "-o", tmp_path / "pairs", "--noise", 3, "--gamma", 1.8)
    row = table(tmp_path / "pairs")[0]
    seed = int(row["seed"])
    path = blur.random_trajectories(
        1,
        int(row["iterations"]),
        float(row["max_length"]),
        float(row["intensity"]),
        seed=[seed, 1],
    )
    kernel = blur.psfs(path, float(row["exposure"]), int(row["size"]))[0]
    expected = blur.motion_blur(
        images.read(photos / row["file"]), kernel, gamma=1.8, noise=3.0, seed=[seed, 2]
    )
    blurred = images.read(tmp_path / "pairs" / "blur" / row["pair"])
    np.testing.assert_array_equal(blurred, expected)


def test_effects_are_in_the_table_and_made_by_the_library(photos, tmp_path):
    output = tmp_path / "pairs"
    effects = ["--highlights", 3, "--shot-noise", 0.02, "--read-noise", 0.01, "--jpeg", 70]
    result = run(photos, "-o", output, "--rotation", 3, "--exposure", 1, *effects)
    assert result.exit_code == 0, result.output
    for row in table(output):
        seed, sharp = int(row["seed"]), images.read(photos / row["file"])
        shake = blur.random_shakes(
            1, [seed, 1], float(row["rotation"]), 60.0, 2000, float(row["intensity"]), 1.0
        )[0]
        expected = blur.motion_blur(
            sharp,
            shake,
            seed=[seed, 2],
            highlights=float(row["highlights"]),
            shot_noise=float(row["shot_noise"]),
            read_noise=float(row["read_noise"]),
            jpeg=int(row["jpeg"]),
        )
        np.testing.assert_array_equal(images.read(output / "blur" / row["pair"]), expected)
        np.testing.assert_array_equal(images.read(output / "sharp" / row["pair"]), sharp)
        kernels = images.read(output / "kernels" / row["pair"])  # at 3x3 places
        assert kernels.shape[0] == kernels.shape[1] == 3 * (kernels.shape[0] // 3)
        assert kernels.max() == 255


@pytest.mark.parametrize("sides", [1, 2])
def test_blur_of_a_video_is_in_the_table_and_made_by_the_library(photos, tmp_path, sides):
    output = tmp_path / "pairs"
    video = ["--paths", "smooth", "--frames", "7-13", "--duty", "0.05-0.5", "--max-length", 40]
    result = run(photos, "-o", output, *video, "--grid", sides)
    assert result.exit_code == 0, result.output
    for row in table(output):
        assert 7 <= int(row["frames"]) <= 13
        assert 0.05 <= float(row["duty"]) <= 0.5
        seed = int(row["seed"])
        options = {
            "size": int(row["size"]),
            "max_length": 40.0,
            "frames": int(row["frames"]),
            "duty": float(row["duty"]),
            "paths": "smooth",
        }
        if sides == 1:
            kernel = blur.random_psfs(1, [seed, 1], **options)[0]
        else:
            kernel = blur.random_psf_grids(1, [seed, 1], sides, **options)[0]
        expected = blur.motion_blur(images.read(photos / row["file"]), kernel, seed=[seed, 2])
        np.testing.assert_array_equal(images.read(output / "blur" / row["pair"]), expected)


def test_smooth_paths_of_any_length_fit_their_kernels(photos, tmp_path):
    options = ["--paths", "smooth", "--max-length", 150, "--count", 8]
    result = run(photos, "-o", tmp_path / "pairs", *options)
    assert result.exit_code == 0, result.output
    assert len(table(tmp_path / "pairs")) == 24


def test_all_kinds_of_paths_are_offered():
    (paths,) = [option for option in command.params if option.name == "paths"]
    assert tuple(paths.type.choices) == tuple(blur.PATHS)


def test_a_grid_of_kernels_is_shown_as_one(photos, tmp_path):
    assert run(photos, "-o", tmp_path / "pairs", "--grid", 2).exit_code == 0
    kernels = images.read(tmp_path / "pairs" / "kernels" / "one.png")
    assert kernels.shape == (128, 128, 3)
    parts = [kernels[:64, :64], kernels[:64, 64:], kernels[64:, :64], kernels[64:, 64:]]
    assert all(part.max() == 255 for part in parts)
    assert len({part.tobytes() for part in parts}) == 4


def test_ranges_are_drawn_from(photos, tmp_path):
    options = ["--jpeg", "40-90", "--highlights", "1-4", "--read-noise", "1e-3-.01"]
    run(photos, "-o", tmp_path / "pairs", "--count", 8, *options)
    rows = table(tmp_path / "pairs")
    for name, low, high in (("jpeg", 40, 90), ("highlights", 1, 4), ("read_noise", 0.001, 0.01)):
        values = [float(row[name]) for row in rows]
        assert len(set(values)) > len(values) / 2
        assert low <= min(values) < (low + high) / 2 < max(values) <= high
    assert {row["shot_noise"] for row in rows} == {"0.0"}


def test_neither_the_order_of_options_nor_a_further_range_changes_what_is_drawn(photos, tmp_path):
    frames, duty, light = ["--frames", "7-13"], ["--duty", "0.05-1"], ["--highlights", "1-4"]
    for name, options in (
        ("one", [*frames, *duty]),
        ("other", [*duty, *frames]),
        ("more", [*light, *duty, *frames]),
    ):
        assert run(photos, "-o", tmp_path / name, *options, "--count", 3).exit_code == 0
    assert files(tmp_path / "one") == files(tmp_path / "other")
    drawn = [
        [(row["frames"], row["duty"]) for row in table(tmp_path / name)] for name in ("one", "more")
    ]
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) > 5


def test_what_made_earlier_pairs_is_kept_where_they_are_not_made_again(photos, tmp_path):
    run(photos, "-o", tmp_path / "pairs")
    before = {row["pair"]: row for row in table(tmp_path / "pairs")}
    (photos / "one.png").write_bytes(b"broken")
    result = run(photos, "-o", tmp_path / "pairs", "--seed", 5, "--overwrite")
    assert result.exit_code == 1
    after = {row["pair"]: row for row in table(tmp_path / "pairs")}
    assert after.keys() == before.keys()
    assert after["one.png"] == before["one.png"]
    assert after["trip/two.png"] != before["trip/two.png"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"paths": "wild"}, "line 2: paths must be one of shake, smooth; got 'wild'"),
        ({"frames": "0"}, "line 2: expected frames and grid of at least 1"),
        ({"grid": "-1"}, "line 2: expected frames and grid of at least 1"),
        ({"duty": "nan"}, "a duty in (0, 1], got 1, 1 and nan"),
        ({"rotation": "2", "frames": "8"}, "beside rotation or faithful, got shake, 8, 1.0 and 1"),
        ({"faithful": "1", "paths": "smooth"}, "beside rotation or faithful, got smooth"),
        ({"wobbles": "7"}, "the columns wobbles are not known"),
        ({"version": None}, "line 2: expected a value for each of the 22 columns"),
    ],
)
def test_a_table_that_cannot_be_followed_is_refused_at_once(photos, tmp_path, changes, message):
    run(photos, "-o", tmp_path / "pairs")
    rows = [{**row, **changes} for row in table(tmp_path / "pairs")]
    with (tmp_path / "wrong.csv").open("w", newline="") as lines:
        csv.writer(lines).writerows(
            [rows[0], *([cell for cell in row.values() if cell is not None] for row in rows)]
        )
    result = run(photos, "-o", tmp_path / "again", "--from-csv", tmp_path / "wrong.csv")
    assert result.exit_code == 1
    assert message in result.output
    assert not (tmp_path / "again").exists()


def test_effects_do_not_change_the_shake(photos, tmp_path):
    run(photos, "-o", tmp_path / "plain", "--exposure", 1)
    run(photos, "-o", tmp_path / "noisy", "--exposure", 1, "--shot-noise", 0.1, "--jpeg", 50)
    plain, noisy = files(tmp_path / "plain"), files(tmp_path / "noisy")
    assert plain["kernels/one.png"] == noisy["kernels/one.png"]
    assert plain["sharp/one.png"] == noisy["sharp/one.png"]
    assert plain["blur/one.png"] != noisy["blur/one.png"]


def test_table_from_before_the_effects_makes_the_same_pairs(photos, tmp_path):
    run(photos, "-o", tmp_path / "new", "--noise", 2)
    rows = [
        {name: value for name, value in row.items() if name not in blur_table.LATER}
        for row in table(tmp_path / "new")
    ]
    with (tmp_path / "old.csv").open("w", newline="") as lines:
        writer = csv.DictWriter(lines, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    result = run(photos, "-o", tmp_path / "again", "--from-csv", tmp_path / "old.csv")
    assert result.exit_code == 0, result.output
    assert files(tmp_path / "again") == files(tmp_path / "new")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--faithful", "--rotation", 1], "leave out --rotation"),
        (["--faithful", "--jpeg", 90, "--shot-noise", 0], "leave out --shot-noise, --jpeg"),
        (["--grid", 2, "--rotation", 1], "--rotation or --grid, not both"),
        (["--faithful", "--paths", "shake"], "leave out --paths"),
        (["--rotation", 1, "--paths", "smooth"], "--rotation or --paths smooth, not both"),
        (["--rotation", 1, "--frames", "1-4"], "--rotation or --frames, not both"),
        (["--rotation", 1, "--duty", 0.5], "--rotation or --duty, not both"),
        (["--paths", "smooth", "--intensity", 0.1], "--intensity is of --paths shake"),
    ],
)
def test_effects_that_do_not_go_together(photos, tmp_path, options, message):
    result = run(photos, "-o", tmp_path / "pairs", *options)
    assert result.exit_code == 2
    assert message in result.output
    assert not (tmp_path / "pairs").exists()


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--count", 2, "--seed", 9, "--noise", 2.5, "--max-length", 33.3, "--gamma", 1.9],
        ["--faithful", "--exposure", 0.37, "--exposure", 1, "--intensity", 0.05],
        ["--paths", "smooth", "--frames", "2-9", "--duty", 0.1, "--exposure", 0.7],
        ["--rotation", 2.5, "--shot-noise", 0.03, "--read-noise", 0.004, "--read-noise", 0.01],
        ["--grid", 3, "--highlights", 2, "--highlights", 5.5, "--jpeg", 80, "--jpeg", 35],
    ],
)
def test_table_makes_the_same_pairs_again(photos, tmp_path, options):
    first, again = tmp_path / "first", tmp_path / "again"
    assert run(photos, "-o", first, *options).exit_code == 0
    result = run(photos, "-o", again, "--from-csv", first / "blur.csv")
    assert result.exit_code == 0, result.output
    assert "may differ" not in result.output
    assert files(first) == files(again)


def test_seed_and_name_decide_alone(photos, tmp_path):
    run(photos, "-o", tmp_path / "all", "--seed", 5)
    run(photos, "-o", tmp_path / "same", "--seed", 5)
    run(photos, "-o", tmp_path / "other", "--seed", 6)
    assert files(tmp_path / "all") == files(tmp_path / "same")
    (photos / "trip" / "three.png").unlink()
    run(photos, "-o", tmp_path / "fewer", "--seed", 5)
    everything, fewer = files(tmp_path / "all"), files(tmp_path / "fewer")
    other = files(tmp_path / "other")
    for name in ("blur/one.png", "blur/trip/two.png"):
        assert everything[name] == fewer[name]
        assert everything[name] != other[name]


def test_count_draws_different_blurs(photos, tmp_path):
    result = run(photos, "-o", tmp_path / "pairs", "--count", 3, "--exposure", 1)
    assert "9 of 9 pairs made" in result.output
    kernels = {(tmp_path / f"pairs/kernels/one-{n}.png").read_bytes() for n in (1, 2, 3)}
    assert len(kernels) == 3


def test_same_stem_does_not_clash(tmp_path):
    photos = tmp_path / "photos"
    for seed, name in enumerate(["a.jpg", "a.png", "A.bmp", "a.png.jpg", "b.png"]):
        images.write(photos / name, photograph(seed))
    assert run(photos, "-o", tmp_path / "pairs").exit_code == 0
    rows = table(tmp_path / "pairs")
    assert {row["pair"].casefold() for row in rows} == {
        "a.jpg.png",
        "a.png.png",
        "a.bmp.png",
        "a.png_2.png",
        "b.png",
    }
    for row in rows:
        sharp = images.read(tmp_path / "pairs" / "sharp" / row["pair"])
        np.testing.assert_array_equal(sharp, images.read(photos / row["file"]))


def test_long_path_gets_a_kernel_that_holds_it(photos, tmp_path):
    options = ["--max-length", 151.5, "--exposure", 1, "--intensity", 0]
    for number, more in enumerate(([], ["--faithful"])):
        result = run(photos, "-o", tmp_path / str(number), *options, *more)
        assert result.exit_code == 0, result.output
        assert {row["size"] for row in table(tmp_path / str(number))} == {"156"}


def test_broken_photograph_does_not_stop_the_rest(photos, tmp_path):
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff but no photograph")
    result = run(photos, "-o", tmp_path / "pairs")
    assert result.exit_code == 1
    assert "failed: broken.jpg: " in result.output
    assert "3 of 4 pairs made, 1 failed" in result.output
    assert len(table(tmp_path / "pairs")) == 3
    assert not any("broken" in name for name in files(tmp_path / "pairs"))


def test_half_a_pair_is_taken_back(photos, tmp_path):
    # A folder lies where the sharp picture of one pair should be written.
    (tmp_path / "pairs" / "sharp" / "one.png" / "in the way").mkdir(parents=True)
    result = run(photos, "-o", tmp_path / "pairs", "--overwrite")
    assert result.exit_code == 1
    assert "2 of 3 pairs made, 1 failed" in result.output
    assert not (tmp_path / "pairs" / "blur" / "one.png").exists()


def test_existing_results_are_kept_unless_asked(photos, tmp_path):
    output = tmp_path / "pairs"
    run(photos, "-o", output)
    before = files(output)
    result = run(photos, "-o", output, "--seed", 1)
    assert result.exit_code == 1
    assert "--overwrite" in result.output
    assert files(output) == before
    assert run(photos, "-o", output, "--seed", 1, "--overwrite").exit_code == 0
    assert files(output).keys() == before.keys()
    assert files(output) != before


def test_output_inside_the_input_is_no_input(photos):
    output = photos / "pairs"
    assert run(photos, "-o", output).exit_code == 0
    result = run(photos, "-o", output, "--overwrite")
    assert "3 of 3 pairs made" in result.output


@pytest.mark.parametrize("output", [".", "..", "../photos"])
def test_input_inside_the_output_is_refused(photos, output):
    before = files(photos)
    result = run(photos, "-o", photos / output, "--overwrite")
    assert result.exit_code == 2
    assert "choose another output folder" in result.output
    assert files(photos) == before


def test_nothing_to_do(tmp_path):
    (tmp_path / "empty").mkdir()
    result = run(tmp_path / "empty", "-o", tmp_path / "pairs")
    assert result.exit_code == 1
    assert "no photographs found" in result.output
    assert not (tmp_path / "pairs").exists()
    assert run(tmp_path / "missing", "-o", tmp_path / "pairs").exit_code == 2


@pytest.mark.parametrize(
    "options",
    [
        ["--max-length", "nan"],
        ["--noise", "nan"],
        ["--exposure", 0],
        ["--gamma", "inf"],
        ["--rotation", -1],
        ["--highlights", 0.5],
        ["--shot-noise", "nan"],
        ["--jpeg", 0],
        ["--jpeg", 80.5],
        ["--jpeg", "90-75"],
        ["--highlights", "1-many"],
    ],
)
def test_numbers_out_of_range_are_wrong_usage(photos, tmp_path, options):
    result = run(photos, "-o", tmp_path / "pairs", *options)
    assert result.exit_code == 2
    assert options[0] in result.output
    assert not (tmp_path / "pairs").exists()


def test_table_beside_options_is_refused(photos, tmp_path):
    run(photos, "-o", tmp_path / "pairs")
    where = ["-o", tmp_path / "again", "--from-csv", tmp_path / "pairs" / "blur.csv"]
    options = ["--seed", 0, "--exposure", 1, "--intensity", 0.01, "--jpeg", 90]
    result = run(photos, *where, *options)
    assert result.exit_code == 2
    assert "leave out --exposure, --intensity, --jpeg, --seed" in result.output


def test_changed_and_missing_photographs_are_told(photos, tmp_path):
    run(photos, "-o", tmp_path / "pairs")
    images.write(photos / "one.png", photograph(99))
    (photos / "trip" / "two.jpg").unlink()
    result = run(photos, "-o", tmp_path / "again", "--from-csv", tmp_path / "pairs" / "blur.csv")
    assert result.exit_code == 1
    assert "may differ from the table's pair (other pixels): one.png" in result.output
    assert "failed: trip/two.jpg: " in result.output


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: row.pop("seed"), "columns seed are missing"),
        (lambda row: row.update(seed="many"), "line 2: expected int for seed, got 'many'"),
        (lambda row: row.update(pair="../../one.png"), "below the folder"),
        (lambda row: row.update(file="/etc/passwd"), "below the folder"),
        (lambda row: row.update(pair="one.jpg"), "ending in .png"),
    ],
)
def test_bad_table(photos, tmp_path, change, message):
    run(photos, "-o", tmp_path / "pairs")
    row = table(tmp_path / "pairs")[0]
    change(row)
    bad = tmp_path / "bad.csv"
    with bad.open("w", newline="") as lines:
        writer = csv.DictWriter(lines, list(row))
        writer.writeheader()
        writer.writerow(row)
    result = run(photos, "-o", tmp_path / "again", "--from-csv", bad)
    assert result.exit_code == 1
    assert message in result.output
    assert not (tmp_path / "again").exists()


def test_table_that_says_the_same_pair_twice(photos, tmp_path):
    run(photos, "-o", tmp_path / "pairs")
    lines = (tmp_path / "pairs" / "blur.csv").read_text().splitlines()
    twice = tmp_path / "twice.csv"
    twice.write_text("\n".join([*lines, lines[1]]))
    result = run(photos, "-o", tmp_path / "again", "--from-csv", twice)
    assert result.exit_code == 1
    assert "same pair, one.png" in result.output


def test_help_shows_examples():
    result = run("--help")
    assert result.exit_code == 0
    assert "deblur-keras blur photos/ -o pairs/" in result.output
