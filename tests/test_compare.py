"""Comparing two models: wins and p-values by hand, the pictures, the files, the command."""

import csv
import dataclasses
import itertools
import json
import math
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from scipy import stats

from deblur_keras import images
from deblur_keras.cli.compare import _names, compare
from deblur_keras.evaluation import (
    Comparison,
    Evaluation,
    Score,
    compare_pairs,
    comparison_sheet,
    plot_scores,
    signed_rank_test,
)
from deblur_keras.evaluation.pipeline import TIMED_ALONE
from deblur_keras.evaluation.plots import telling_images
from deblur_keras.evaluation.protocols import PROTOCOLS
from deblur_keras.generators import compact_generator

GOPRO = PROTOCOLS["gopro"]
PSNR, SSIM, MSE = GOPRO.figures
FILES = (
    "comparison.csv",
    "comparison.json",
    "contact_sheet.png",
    "mse.png",
    "psnr.png",
    "ssim.png",
)


class InMemory:
    """A pair that needs no files: grey noise, off by a constant."""

    def __init__(self, name, offset=20, height=16, width=20):
        self.name = name
        rng = np.random.default_rng(7)
        self.sharp = rng.integers(60, 180, (height, width, 3)).astype("uint8")
        self.blurred = self.sharp + np.uint8(offset)

    def read(self):
        return self.blurred, self.sharp


class Broken:
    name = "broken"

    def read(self):
        raise images.ImageError("broken.png: no such file")


def darker(amount):
    return lambda image: image - np.uint8(amount)


def scored(a, b, blurred=None):
    """A comparison whose MSE of A and B are given, PSNR to match, SSIM likewise ordered."""

    def evaluation(errors):
        rows = []
        pairs = zip(blurred or [900.0] * len(a), errors, strict=True)
        for index, (before, error) in enumerate(pairs):
            sides = [
                {
                    "psnr": 10 * math.log10(255**2 / e) if e else math.inf,
                    "ssim": 1 - e / 1000,
                    "mse": e,
                }
                for e in (before, error)
            ]
            rows.append(Score(f"scene/{index}", 20, 16, *sides, seconds=0.25))
        return Evaluation(GOPRO, rows, {}, {})

    models = {"a": {}, "b": {}}
    return Comparison(GOPRO, ("one", "two"), evaluation(a), evaluation(b), {}, models)


def rendered(table):
    console = Console(width=120)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def picture(path):
    image = images.read(path)
    assert image.std() > 5  # something is drawn
    return image


def by_counting(differences):
    """The two-sided p-value from its definition: all signs, equally likely."""
    differences = np.array([d for d in differences if d])
    ranks = stats.rankdata(np.abs(differences))
    middle = ranks.sum() / 2
    seen = abs(ranks[differences > 0].sum() - middle)
    sums = [np.dot(ranks, signs) for signs in itertools.product((0, 1), repeat=len(ranks))]
    return np.mean([abs(total - middle) >= seen - 1e-9 for total in sums])


def test_p_by_hand():
    # Of three differences, all of one sign: 2 of 8 cases are as extreme.
    assert signed_rank_test([0.1, 0.2, 0.4]) == (0.25, "exact")
    assert signed_rank_test([-0.1, -0.2, -0.4, 0.0]) == (0.25, "exact")
    # Ranks 1 (-), 2, 3, 4: W = 1. Sums of ranks at most 1 are {} and {1}: 2 of 16, twice.
    assert signed_rank_test([-1.0, 2.0, 3.0, 4.0]) == (0.25, "exact")
    assert signed_rank_test([5.0]) == (1.0, "exact")
    assert signed_rank_test([0.0, 0.0]) == (None, "not defined")
    assert signed_rank_test([]) == (None, "not defined")
    # Infinite differences are the largest, whatever the others.
    assert signed_rank_test([-1.0, 2.0, math.inf])[0] == signed_rank_test([-1.0, 2.0, 3.0])[0]
    with pytest.raises(ValueError, match="without NaN"):
        signed_rank_test([math.nan, 1.0])


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(-4, 4), min_size=1, max_size=9))
def test_p_with_ties_and_zeros_is_that_of_counting_all_cases(differences):
    p, method = signed_rank_test(differences)
    if any(differences):
        assert method == "exact"
        assert p == pytest.approx(by_counting(differences))
    else:
        assert p is None


def test_p_of_many_is_the_normal_one_with_the_correction_for_ties():
    rng = np.random.default_rng(3)
    differences = rng.integers(-20, 26, 80).astype(float)
    nonzero = differences[differences != 0]
    ranks = stats.rankdata(np.abs(nonzero))
    n, positive = len(nonzero), ranks[nonzero > 0].sum()
    _, repeats = np.unique(ranks, return_counts=True)
    variance = n * (n + 1) * (2 * n + 1) / 24 - (repeats**3 - repeats).sum() / 48
    z = (positive - n * (n + 1) / 4) / math.sqrt(variance)
    p, method = signed_rank_test(differences)
    assert method == "normal approximation"
    assert p == pytest.approx(math.erfc(abs(z) / math.sqrt(2)))
    few = rng.normal(0.5, 1, 30)
    assert signed_rank_test(few) == (stats.wilcoxon(few, method="exact").pvalue, "exact")


def test_without_scipy_it_says_what_to_install_before_any_image_is_read(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(ImportError, match='pip install "scipy>='):
        compare_pairs(darker(1), darker(2), [Broken()])


def test_wins_means_and_p_of_each_figure():
    comparison = scored(a=[100.0, 200.0, 300.0, 400.0], b=[90.0, 180.0, 310.0, 400.0])
    for figure in GOPRO.figures:
        outcome = comparison.outcome(figure)
        assert (outcome.wins_a, outcome.wins_b, outcome.ties) == (1, 2, 1)
        assert (outcome.count, outcome.averaged) == (4, 4)
        assert outcome.facts()["share_b"] == 0.5
    mse = comparison.outcome(MSE)
    assert (mse.mean_blurred, mse.mean_a, mse.mean_b) == (900.0, 250.0, 245.0)
    # In B's favour 10, 20, -10, 0, so the ranks are 1.5, 3, -1.5 and W is 4.5. Of the eight sums
    # 0, 1.5, 1.5, 3, 3, 4.5, 4.5, 6 all but the two in the middle are as far from it.
    assert mse.p == pytest.approx(6 / 8)
    assert comparison.advantages(MSE) == pytest.approx([10, 20, -10, 0])
    assert comparison.advantages(SSIM) == pytest.approx([0.01, 0.02, -0.01, 0])
    table = rendered(comparison.table())
    assert "1 (25 %)  2 (50 %)  1 (25 %)" in table
    notes = "\n".join(comparison.lines())
    assert "4 images cannot show much: p is at least 0.12" in notes
    assert "4 come from 1 scene whose frames are alike" in notes


def test_exact_images_keep_the_means_finite_and_count_as_wins(tmp_path):
    comparison = scored(a=[0.0, 0.0, 100.0], b=[50.0, 0.0, 80.0])
    psnr = comparison.outcome(PSNR)
    assert (psnr.wins_a, psnr.wins_b, psnr.ties) == (1, 1, 1)
    assert psnr.averaged == 1
    assert psnr.mean_a == pytest.approx(10 * math.log10(255**2 / 100))
    assert comparison.outcome(MSE).mean_a == pytest.approx(100 / 3)
    assert "PSNR: the means leave out 2 of 3 images" in "\n".join(comparison.lines())
    table, report, *_ = comparison.write(tmp_path)
    rows = list(csv.DictReader(table.open()))
    assert [row["psnr_a"] for row in rows][:2] == ["inf", "inf"]
    assert [row["psnr_winner"] for row in rows] == ["A", "tie", "B"]
    json.loads(report.read_text(), parse_constant=pytest.fail)  # neither Infinity nor NaN

    nothing = scored(a=[0.0], b=[0.0], blurred=[0.0])
    assert nothing.outcome(PSNR).mean_blurred is None
    assert "-" in rendered(nothing.table())
    nothing.write(tmp_path / "nothing")  # a logarithmic axis could not show an MSE of 0


def test_a_model_against_itself_is_all_ties(tmp_path):
    pairs = [InMemory(str(index), offset=10 + index) for index in range(3)]
    restorer = darker(5)
    comparison = compare_pairs(restorer, restorer, pairs, names=("same", "same"), output=tmp_path)
    for figure in GOPRO.figures:
        outcome = comparison.outcome(figure)
        assert (outcome.ties, outcome.p, outcome.method) == (3, None, "not defined")
    assert "PSNR, SSIM, MSE: A and B score the same on every image; p is not defined" in (
        comparison.lines()
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FILES)
    report = json.loads((tmp_path / "comparison.json").read_text())
    assert report["metrics"]["ssim"]["p"] is None
    assert report["metrics"]["ssim"]["share_ties"] == 1.0


def test_files_hold_the_scores_of_both_models(tmp_path):
    pairs = [InMemory(f"s/{index}", offset=10 + 2 * index) for index in range(7)]
    comparison = compare_pairs(
        darker(4),
        darker(9),
        pairs,
        names=("four", "nine"),
        output=tmp_path,
        facts={"data": "noise", "b": {"model_sha256": "f00d"}},
    )
    rows = list(csv.DictReader((tmp_path / "comparison.csv").open()))
    for index, row in enumerate(rows):
        offset = 10 + 2 * index  # what is left of it, squared, is the MSE
        assert row["name"] == f"s/{index}"
        assert float(row["mse_blurred"]) == offset**2
        assert float(row["mse_a"]) == (offset - 4) ** 2
        assert float(row["mse_b"]) == (offset - 9) ** 2
        assert row["mse_winner"] == row["psnr_winner"] == row["ssim_winner"] == "B"
        assert bool(row["seconds_a"]) == bool(row["seconds_b"]) == (index < TIMED_ALONE)
    report = json.loads((tmp_path / "comparison.json").read_text())
    assert report["models"] == {"a": {"name": "four"}, "b": {"name": "nine"}}
    assert report["images"] == 7
    assert report["metrics"]["mse"]["wins_b"] == 7
    assert report["metrics"]["mse"]["p"] == pytest.approx(2 / 2**7)
    assert report["protocol"]["data"] == "noise"
    assert report["protocol"]["sizes"] == ["20x16"]
    assert report["protocol"]["b"]["model_sha256"] == "f00d"
    assert report["protocol"]["versions"]["scipy"]
    assert report["failures"] == []
    assert "B: nine, sha256 f00d" in comparison.protocol_lines()
    for name in ("psnr.png", "ssim.png", "mse.png"):
        assert picture(tmp_path / name).shape == (520, 1000, 3)
    picture(tmp_path / "contact_sheet.png")
    assert not list(tmp_path.glob(".*"))


def test_a_pair_that_one_model_cannot_score_is_left_out_for_both(tmp_path):
    def picky(image):
        if image.shape[0] == 18:
            raise MemoryError("too large")
        return image

    pairs = [Broken(), InMemory("large", height=18), InMemory("good")]
    comparison = compare_pairs(picky, darker(3), pairs, names=("picky", "any"), output=tmp_path)
    assert [row.name for row in comparison.first.rows] == ["good"]
    assert [row.name for row in comparison.second.rows] == ["good"]
    assert comparison.failures == {
        "broken": "broken.png: no such file",
        "large": "A: too large",
    }
    report = json.loads((tmp_path / "comparison.json").read_text())
    assert {"name": "large", "error": "A: too large"} in report["failures"]
    assert report["protocol"]["sizes"] == ["20x16"]

    nothing = compare_pairs(picky, darker(3), [Broken()], output=tmp_path / "none")
    assert nothing.lines() == ["no image could be scored with both models"]
    assert not (tmp_path / "none").exists()
    with pytest.raises(ValueError, match="nothing to write"):
        nothing.write(tmp_path)


def test_images_without_ssim_have_the_other_figures(tmp_path):
    (tmp_path / "ssim.png").write_bytes(b"of an earlier run")
    pairs = [InMemory("a", height=9), InMemory("b", height=9, offset=30)]
    comparison = compare_pairs(darker(3), darker(5), pairs, output=tmp_path)
    assert comparison.outcome(SSIM).count == 0
    assert comparison.outcome(SSIM).facts()["share_a"] is None
    assert "SSIM: left out for 2 of 2 images, below 11x11 pixels" in comparison.lines()
    assert comparison.outcome(MSE).wins_b == 2
    assert not (tmp_path / "ssim.png").exists()
    picture(tmp_path / "contact_sheet.png")
    with pytest.raises(ValueError, match="no image with a finite SSIM"):
        plot_scores(comparison, SSIM, tmp_path / "ssim.png")


def test_pairs_of_one_name_are_refused():
    with pytest.raises(ValueError, match="must be unique"):
        compare_pairs(darker(1), darker(2), [InMemory("a"), InMemory("a")])


def test_images_to_show():
    advantages = [0.0, -3.0, 2.0, math.nan, -1.0, 5.0, 1.0]
    assert telling_images(advantages, most=1) == [
        (1, "A wins most"),
        (0, "in the middle"),
        (5, "B wins most"),
    ]
    assert [index for index, _ in telling_images(advantages, most=2)] == [1, 4, 0, 2, 5]
    assert telling_images(advantages, most=0) == [(0, "in the middle")]
    assert telling_images([0.0, 0.0, 0.0]) == [(1, "in the middle")]
    assert telling_images([2.0]) == [(0, "B wins most")]
    assert telling_images([-2.0, -1.0])[0] == (0, "A wins most")


def test_plots_differ_with_the_scores_and_draw_many_images(tmp_path):
    rng = np.random.default_rng(0)
    blurred = rng.uniform(100, 9000, 200)
    errors = [list(blurred * factor) for factor in (0.5, 0.8)]
    many = scored(*errors, blurred=list(blurred))
    path = plot_scores(many, MSE, tmp_path / "many.png")
    swapped = scored(*errors[::-1], blurred=list(blurred))
    other = plot_scores(swapped, MSE, tmp_path / "swapped.png")
    # Both models in one place give other pixels: they differ by more than colour, in grey too.
    grey = [picture(file).mean(axis=-1) for file in (path, other)]
    assert (np.abs(grey[0] - grey[1]) > 40).sum() > 1000


def test_names_with_dollar_signs_are_drawn_as_they_are(tmp_path):
    comparison = scored([10.0, 20.0], [12.0, 18.0])
    strange = dataclasses.replace(comparison, names=(r"a$\broken$", "_b"))
    picture(plot_scores(strange, SSIM, tmp_path / "strange.png"))


def test_the_sheet_shows_the_part_where_the_models_differ():
    pair = InMemory("wide", height=300, width=1000)

    def spot(image):
        image = image.copy()
        image[150:250, 700:900] = (255, 0, 0)
        return image

    comparison = compare_pairs(darker(0), spot, [pair], names=("none", "spot"))
    sheet = comparison_sheet(comparison, darker(0), spot, [pair])
    assert sheet.shape[1] == 4 * 480 + 5 * 8
    red = (sheet == (255, 0, 0)).all(axis=-1)
    # Reduced by 1000 / 480 in the overview and whole in the part below it, in column B alone.
    assert 100 * 200 <= red.sum() < 100 * 200 * 1.3
    assert not red[:, : 2 * 488].any()
    assert not red[:, 3 * 488 + 8 :].any()


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """Two tiny generators of one file name, and four pairs of two scenes."""
    import keras

    folder = tmp_path_factory.mktemp("compare")
    for seed, run in enumerate(("first", "second")):
        keras.utils.set_random_seed(seed)
        model = compact_generator(widths=(4,), blocks=(1,))
        weights = model.get_weights()
        rng = np.random.default_rng(seed)
        model.set_weights([w + rng.normal(0, 0.02, w.shape) for w in weights])
        (folder / run).mkdir()
        model.save(folder / run / "generator.keras")
    for index in range(4):
        pair = InMemory("x", offset=5 + 3 * index)
        scene = folder / "data" / "test" / f"scene{index % 2}"
        images.write(scene / "blur" / f"{index}.png", pair.blurred)
        images.write(scene / "sharp" / f"{index}.png", pair.sharp)
    return folder


def run(*arguments):
    return CliRunner().invoke(compare, [str(argument) for argument in arguments])


def test_command_prints_the_table_and_writes_the_files(workplace, tmp_path):
    models = [workplace / run / "generator.keras" for run in ("first", "second")]
    data, output = workplace / "data", tmp_path / "out"
    result = run(*models, "--data", data, "-o", output)
    assert result.exit_code == 0, result.output
    assert "A: first/generator, sha256 " in result.output
    assert "B: second/generator, sha256 " in result.output
    assert "4 of 4 pairs, 20x16" in result.output
    assert "B better" in result.output
    assert f"written to {output}" in result.output
    assert "two-sided Wilcoxon signed-rank test" in result.output
    assert "4 come from 2 scenes" in result.output
    for name in FILES:
        assert (output / name).stat().st_size
    report = json.loads((output / "comparison.json").read_text())
    assert report["protocol"]["split"] == "test"
    assert report["protocol"]["a"]["model_file"] == str(models[0].resolve())
    for metric in report["metrics"].values():
        assert metric["wins_a"] + metric["wins_b"] + metric["ties"] == 4

    again = run(*models, "--data", data, "-o", output)
    assert again.exit_code == 1
    assert "exists already" in again.output
    less = run(*models, "--data", data, "-o", output, "--overwrite", "--limit", 2, "--scale", 0.8)
    assert less.exit_code == 0, less.output
    rows = list(csv.DictReader((output / "comparison.csv").open()))
    assert [row["name"] for row in rows] == ["scene0/0", "scene1/1"]
    assert rows[0]["width"] == "16"

    same = run(models[0], models[0], "--data", data, "--limit", 1)
    assert same.exit_code == 0, same.output
    assert "A and B are the same file, byte for byte" in same.output
    assert "p is not defined" in same.output


def test_command_ends_with_one_when_a_pair_or_a_model_fails(workplace, tmp_path):
    model = workplace / "first" / "generator.keras"
    for index in range(2):
        pair = InMemory("x")
        images.write(tmp_path / "blur" / f"{index}.png", pair.blurred)
        images.write(tmp_path / "sharp" / f"{index}.png", pair.sharp)
    whole = (tmp_path / "blur" / "1.png").read_bytes()
    (tmp_path / "blur" / "1.png").write_bytes(whole[: len(whole) // 2])
    result = run(model, model, "--data", tmp_path, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "not scored: 1: " in result.output
    assert "1 of 2 pairs could not be scored" in result.output
    assert (tmp_path / "out" / "comparison.csv").exists()

    missing = run(model, "nowhere.keras", "--data", tmp_path)
    assert missing.exit_code == 1
    assert "nowhere.keras" in missing.output
    assert run(model, model).exit_code == 2


def test_command_without_scipy(workplace, monkeypatch):
    model = workplace / "first" / "generator.keras"
    monkeypatch.setitem(sys.modules, "scipy", None)
    result = run(model, model, "--data", workplace / "data")
    assert result.exit_code == 1
    assert 'pip install "scipy>=1.14,<2"' in result.output


def test_models_of_one_file_name_are_told_apart_by_their_folders(tmp_path):
    first, second = tmp_path / "a" / "generator.keras", tmp_path / "b" / "generator.keras"
    assert _names(first, second) == ["a/generator", "b/generator"]
    assert _names("plain.keras", second) == ["plain", "generator"]
    assert _names(first, first) == ["generator", "generator"]


@pytest.mark.parametrize("protocol", ["gopro", "paper-000", "paper-004", "realblur"])
def test_every_protocol_against_a_sharp_image_can_be_compared(protocol, workplace, tmp_path):
    models = [workplace / run / "generator.keras" for run in ("first", "second")]
    result = run(
        *models, "--data", workplace / "data", "--protocol", protocol, "--report", tmp_path
    )
    assert result.exit_code == 0, result.output
    assert (tmp_path / "report.html").exists()
