"""The report: what the page holds, that it is one safe file, and the pictures behind it."""

import base64
import dataclasses
import io
import json
import math
import re
import types
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from deblur_keras import images
from deblur_keras.cli.compare import compare
from deblur_keras.cli.evaluate import evaluate
from deblur_keras.evaluation import Evaluation, Score, compare_pairs, evaluate_pairs, protocols
from deblur_keras.evaluation.detection.run import DetectionEvaluation, Judged
from deblur_keras.evaluation.examples import most_different, pick, restore
from deblur_keras.evaluation.report import (
    write_comparison_report,
    write_detection_report,
    write_report,
)
from deblur_keras.evaluation.report.page import element, picture, table
from deblur_keras.evaluation.report.plots import bins
from deblur_keras.generators import compact_generator

GOPRO = protocols.find("gopro")
VOID = {"br", "img", "meta"}


class InMemory:
    """A pair that needs no files: something smooth, and darker where it is blurred."""

    def __init__(self, name, offset=20, height=40, width=60):
        self.name, self.offset, self.size = name, offset, (width, height)

    def read(self):
        coarse = np.random.default_rng(3).integers(60, 200, (5, 7, 3)).astype("uint8")
        sharp = cv2.resize(coarse, self.size, interpolation=cv2.INTER_CUBIC)
        return np.clip(sharp.astype(int) - self.offset, 0, 255).astype("uint8"), sharp


class Alone(InMemory):
    def read(self):
        return super().read()[0], None


class Broken(InMemory):
    def read(self):
        raise images.ImageError("broken.png: <script>alert(1)</script> & no such file")


def brighter(image):
    return image + np.uint8(5)


class Page(HTMLParser):
    """Reads a page, and fails at a tag that is not closed where it should be."""

    def __init__(self, path):
        super().__init__()
        self.open, self.tags, self.rows, self.pictures = [], [], [], []
        self.words, self.title = [], ""
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()
        assert not self.open
        for tag, attributes in self.tags:
            for name, value in attributes.items():
                assert name not in ("srcset", "action", "onload", "onerror", "onclick")
                if name == "src":
                    assert tag == "img"
                    assert value.startswith("data:image/")
                elif name == "href":
                    assert tag == "a"
                    assert not re.match(r"\w+:|//", value)
        assert not {tag for tag, _ in self.tags} & {"script", "link", "iframe", "object", "base"}
        assert "url(" not in self.source
        assert "@import" not in self.source

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append((tag, attributes))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag == "img":
            kind, data = attributes["src"].split(";base64,")
            image = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
            assert kind == f"data:image/{image.format.lower()}"
            shown = int(attributes["width"]), int(attributes["height"])
            self.pictures.append((attributes["alt"], np.asarray(image.convert("RGB")), shown))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] == ["title"]:
            self.title += data
        if self.open and self.open[-1] != "style":
            self.words.append(data)
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data

    @property
    def text(self):
        return "".join(self.words)

    def row(self, first):
        return next(row for row in self.rows if row[:1] == [first])

    def whole(self):
        """Alternative texts of the whole images and of the parts, in the page's order."""
        return [words for words, _, _ in self.pictures if ": " in words]


def row(name, before=24.0, after=25.0):
    sides = [{"psnr": v, "ssim": v / 50, "mse": 255**2 / 10 ** (v / 10)} for v in (before, after)]
    return Score(name, 60, 40, *sides, seconds=0.25)


def built(gains, failures=(), **facts):
    """An evaluation by hand, and its pairs."""
    rows = [row(f"scene{n % 3}/{n}", after=24.0 + gain) for n, gain in enumerate(gains)]
    facts = {"model": "mine", "data": "photos", "date": "2025-01-02T03:04:05+00:00", **facts}
    result = Evaluation(GOPRO, rows, dict(failures), facts)
    return result, [InMemory(row.name) for row in rows]


def written(result, pairs, folder, restorer=brighter, **options):
    path = write_report(result, restorer, pairs, folder, **options)
    assert path == folder / "report.html"
    page = Page(path)
    for tag, attributes in page.tags:
        if tag == "a" and not attributes["href"].startswith("#"):
            assert (folder / attributes["href"]).exists()
        elif tag == "a":
            assert any(other.get("id") == attributes["href"][1:] for _, other in page.tags)
    return page


def test_the_page_is_one_file_whose_numbers_are_those_of_the_summary(tmp_path):
    pairs = [InMemory(f"s{n % 2}/{n}", offset=10 + 3 * n) for n in range(12)]
    result = evaluate_pairs(brighter, pairs, tmp_path, facts={"data": "/some/photos"})
    page = written(result, pairs, tmp_path)
    summary = result.summary()
    for place, figure in enumerate(GOPRO.figures, 1):
        mean = summary[figure.name]
        assert page.row("blurred input")[place] == figure.text(mean["blurred"])
        assert page.row("restored")[place] == figure.text(mean["restored"])
        assert page.row("gain")[place] == figure.text(mean["gain"], signed=True)
    assert page.row("restored")[4] == f"{summary['seconds']['median']:.2f}"
    for scene, rows in result.scenes().items():
        means = dataclasses.replace(result, rows=rows).summary()
        found = page.row(scene)
        assert found[1] == str(len(rows))
        assert found[2:5] == [
            f"{means['psnr'][side]:{sign}.2f}"
            for side, sign in (("blurred", ""), ("restored", ""), ("gain", "+"))
        ]
        assert found[-1] == str(len(rows))  # all improved
    for score in result.rows:
        assert page.row(score.name)[2] == f"{score.blurred['psnr']:.2f}"
        assert page.row(score.name)[-2] == f"{score.restored['mse']:.1f}"
    # Two plots; blurred, restored and sharp of ten images, whole or in part.
    assert len(page.pictures) >= 2 + 30
    assert len(set(page.whole())) == len(page.whole())
    assert page.title == "brighter on photos: deblurring report".replace("brighter", "function")
    files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png")}
    kinds = [f"examples/{kind}-{place}.png" for kind in ("best", "worst") for place in range(1, 6)]
    assert files == {"gains.png", "scatter.png", *kinds}
    for name in files:
        assert images.read(tmp_path / name).std() > 5
    assert images.read(tmp_path / "gains.png").shape == (672, 840, 3)
    assert not list(tmp_path.rglob(".deblur-*"))


def test_published_figures_stand_beside_with_what_they_were_measured_on(tmp_path):
    page = written(*built([1.0, 2.0], sizes=["60x40"]), tmp_path)
    found = page.row("DeblurGAN's weights, at 640x360")
    assert found[1:4] == ["28.125", "0.856", ""]
    assert "issue 111" in found[-1]
    assert "pyssim, whose CW-SSIM of the same images is 0.956" in found[-1]
    assert (
        "measured by others, on GoPro's test set, 1111 pairs; this run scored 2 pairs of photos at "
        "60x40. Unless these are the same images, at the same size and by the same variant of the "
        "figure, the two do not compare."
    ) in page.text
    for line in (*GOPRO.rules, *(figure.variant for figure in GOPRO.figures)):
        assert line in page.text

    result, pairs = built([1.0, 2.0])
    extremes = dataclasses.replace(result, protocol=protocols.find("paper-004"))
    page = written(extremes, pairs, tmp_path)
    assert page.row("the same, highest")[1:4] == ["30.7574", "0.7995", "5.51"]
    assert page.row("restored, highest")[1:4] == ["26.00", "0.5200", "0.25"]
    assert page.row("restored, lowest")[1] == "25.00"


def test_environment_command_and_seed(tmp_path):
    facts = {
        "command": "deblur-keras evaluate 'my model' --data <x>",
        "seed": 7,
        "restore_with_dropout": True,
        "device": "a processor",
        "versions": {"keras": "3.15", "other": None},
        "model_sha256": "f00d",
        "scale": 0.5,
        "warm_up_seconds": 1.25,
        "confidence_threshold": 0.3,
    }
    page = written(*built([1.0], **facts), tmp_path)
    for words in (
        "deblur-keras evaluate 'my model' --data <x>",
        "keras 3.15",
        "a processor",
        "f00d",
        "2025-01-02 03:04 UTC",
        "1.2 s for the first image",
        "confidence threshold",
        "0.25 s per image: the median of 1 image",
        "Restored anew with other random numbers",
    ):
        assert words in page.text
    assert "other None" not in page.text
    assert (
        "none: restoring draws no random numbers"
        in written(*built([1.0], seed=None), tmp_path).text
    )


def test_names_and_errors_are_anybodys_text(tmp_path):
    evil = "<script>alert('x')</script>\"&$\\frac{\udcff"
    result = Evaluation(GOPRO, [row(evil)], {evil + "2": evil}, {"model": evil, "data": evil})
    write_report(result, brighter, [InMemory(evil)], tmp_path)
    page = Page(tmp_path / "report.html")  # which fails at a script
    shown = evil.replace("\udcff", "\\udcff")
    assert page.row(shown)[0] == shown
    assert page.row(shown + "2")[1] == shown
    assert f"{shown}: blurred, part" in page.whole()
    assert shown in page.title


def test_failures_are_listed_and_an_empty_report_says_so(tmp_path):
    pairs = [InMemory("good"), Broken("bad")]
    page = written(evaluate_pairs(brighter, pairs, tmp_path), pairs, tmp_path)
    assert "1 of 2 pairs could not be scored" in page.text
    assert page.row("bad")[1] == "broken.png: <script>alert(1)</script> & no such file"

    nothing = evaluate_pairs(brighter, pairs[1:], tmp_path)
    page = written(nothing, pairs[1:], tmp_path)
    assert "There are no figures" in page.text
    assert not page.pictures
    assert not list(tmp_path.rglob("*.png"))  # those of the earlier report are gone


def test_the_same_evaluation_gives_the_same_bytes(tmp_path):
    result, pairs = built(np.random.default_rng(0).normal(1, 1, 15))
    for name in ("a", "b"):
        written(result, pairs, tmp_path / name)
    first, second = (
        {path.name: path.read_bytes() for path in sorted((tmp_path / name).rglob("*.*"))}
        for name in ("a", "b")
    )
    assert first == second
    assert len(first) == 13


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from([-1.0, 0.0, 0.5, 2.0, math.inf, math.nan]), max_size=14))
def test_no_image_is_shown_twice_and_the_best_are_better_than_the_worst(gains):
    result, _ = built(gains)
    best, worst = pick(result)
    names = [row.name for row in best + worst]
    assert len(set(names)) == len(names)
    if any(math.isfinite(gain) for gain in gains):
        known = sorted(gain for gain in gains if not math.isnan(gain))
        assert len(names) == min(len(known), 10)
        assert [row.gain("psnr") for row in best] == known[::-1][: len(best)]
        assert [row.gain("psnr") for row in worst] == known[: len(worst)]
        assert len(best) - len(worst) in (0, 1)


@pytest.mark.parametrize(("count", "best", "worst"), [(1, 1, 0), (2, 1, 1), (9, 5, 4), (11, 5, 5)])
def test_few_images_are_shown_once(tmp_path, count, best, worst):
    result, pairs = built(np.arange(count) / 10)
    page = written(result, pairs, tmp_path)
    kinds = {kind: len(list(tmp_path.glob(f"examples/{kind}-*.png"))) for kind in ("best", "worst")}
    assert kinds == {"best": best, "worst": worst}
    assert sum(words.endswith(": restored") for words in page.whole()) <= best + worst
    assert page.text.count("The best by gain in PSNR") == (best == 1)


def test_a_figure_that_falls_for_the_better_is_ranked_the_other_way():
    protocol = dataclasses.replace(GOPRO, figures=GOPRO.figures[2:])
    rows = [row(str(n), after=after) for n, after in enumerate((24.0, 20.0, 30.0))]
    best, worst = pick(Evaluation(protocol, rows, {}, {}), most=1)
    assert ([r.name for r in best], [r.name for r in worst]) == (["2"], ["1"])


def test_infinite_and_missing_figures(tmp_path):
    pairs = [InMemory("solved", offset=0), InMemory("plain"), InMemory("tiny", 9, 8, 12)]
    result = evaluate_pairs(lambda image: image, pairs, tmp_path)
    page = written(result, pairs, tmp_path)
    assert page.row("solved")[2:5] == ["inf", "inf", "+0.00"]
    assert page.row("tiny")[5:8] == ["-", "-", "-"]
    assert "left out of the mean PSNR: 1 blurred, 1 restored" in page.text
    assert "Left out, without a finite PSNR: 1 image." in page.text

    solved = evaluate_pairs(lambda image: image, pairs[:1], tmp_path)
    assert "Gains in SSIM" in written(solved, pairs[:1], tmp_path).text
    nowhere = Evaluation(protocols.find("gopro").with_figures([]), [row("a", math.nan, 1)], {}, {})
    assert "Gains in" not in written(nowhere, pairs[1:2], tmp_path).text


def test_a_thousand_images_have_no_line_each(tmp_path):
    result, pairs = built(np.random.default_rng(1).normal(1, 1, 1000))
    page = written(result, pairs, tmp_path)
    assert page.row("scene0")[1] == "334"
    assert "All 1000 images are in scores.csv" in page.text
    assert len(page.rows) < 30


def test_large_photographs_are_shown_small_and_their_parts_whole(tmp_path):
    class Large(InMemory):
        def read(self):
            blurred, sharp = super().read()
            blurred = blurred.copy()
            blurred[1500:1510, 2000:2010] = 0
            return blurred, sharp

    pair = Large("large", height=3000, width=4000)

    def fill(image):
        image = image.copy()
        image[1500:1510, 2000:2010] = (255, 0, 0)
        return image

    result = Evaluation(GOPRO, [row("large")], {}, {})
    page = written(result, [pair], tmp_path, restorer=fill)
    shown = {words: (image, size) for words, image, size in page.pictures}
    for side in ("blurred", "restored", "sharp"):
        assert shown[f"large: {side}"][0].shape == (360, 480, 3)
        part, size = shown[f"large: {side}, part"]
        assert (part.shape, size) == ((256, 384, 3), (384, 256))
    red = (shown["large: restored, part"][0] == (255, 0, 0)).all(axis=-1)
    assert red.sum() == 100  # lossless, in full pixels, where the two differ
    assert (tmp_path / "report.html").stat().st_size < 1_000_000


@pytest.mark.parametrize(
    ("width", "part", "factor"), [(2000, 192, 2), (400, 128, 3), (128, 128, 3), (20, 20, 19)]
)
def test_parts_are_enlarged_by_a_whole_factor(width, part, factor):
    pair = InMemory("a", height=width // 2, width=width)
    example = restore(row("a"), pair, brighter)
    assert example.factor == factor
    assert example.crops["sharp"].shape[1] == part
    assert example.is_whole == (width == part)
    for side, crop in example.crops.items():
        assert np.array_equal(crop, example.sides[side][example.part])
    assert part * factor <= 384


def test_the_part_is_where_most_differs():
    rng = np.random.default_rng(5)
    left, right = rng.integers(0, 256, (2, 13, 17, 3)).astype("uint8")
    rows, columns = most_different(left, right, 4, 5)
    difference = np.abs(left.astype(float) - right)
    sums = {(y, x): difference[y : y + 4, x : x + 5].sum() for y in range(10) for x in range(13)}
    assert max(sums, key=sums.get) == (rows.start, columns.start)
    assert (rows.stop - rows.start, columns.stop - columns.start) == (4, 5)
    assert most_different(left, left, 90, 90) == (slice(0, 13), slice(0, 17))
    # Nothing was changed: the part is where the blur is.
    pair = InMemory("a", height=300, width=1000)
    blurred, sharp = pair.read()
    blurred[:] = sharp
    blurred[250:260, 900:910] = 0
    pair.read = lambda: (blurred, sharp)
    part = restore(row("a"), pair, lambda image: image).part
    assert part[0].start <= 250 < part[0].stop
    assert part[1].start <= 900 < part[1].stop


def test_saved_images_are_shown_and_what_is_gone_costs_only_itself(tmp_path):
    pairs = [InMemory("a/1"), InMemory("a/2")]
    result = evaluate_pairs(brighter, pairs, tmp_path, save_images=True)
    saved = images.read(tmp_path / "restored" / "a" / "1.png")

    def forbidden(image):
        raise AssertionError("there is no need to restore it again")

    page = written(result, pairs, tmp_path, restorer=forbidden, saved=tmp_path / "restored")
    (shown,) = [image for words, image, _ in page.pictures if words == "a/1: restored, part"]
    assert np.array_equal(shown, saved)
    page = written(result, [pairs[0], Broken("a/2")], tmp_path)
    assert "could not be shown: broken.png: <script>" in page.text
    assert len(list(tmp_path.glob("examples/*.png"))) == 1


def test_photographs_without_a_sharp_partner_and_halved_ones(tmp_path):
    result, _ = built([1.0], scale=0.5)
    page = written(result, [Alone("scene0/0", height=500, width=900)], tmp_path)
    assert not any("sharp" in words for words in page.whole())
    shapes = {words: image.shape for words, image, _ in page.pictures}
    assert shapes["scene0/0: blurred, part"] == (85, 128, 3)  # of 450 px


def test_progress_is_told(tmp_path):
    class Told:
        names, count = (), 0

        def start(self, name):
            self.names += (name,)

        def advance(self):
            self.count += 1

    told = Told()
    written(*built([1.0, 2.0, 3.0]), tmp_path, progress=told)
    assert told.names == ("scene2/2", "scene1/1", "scene0/0")
    assert told.count == 3


@settings(deadline=None)
@given(st.lists(st.floats(-1e3, 1e3, allow_subnormal=False), min_size=1, max_size=50))
def test_bins_hold_all_values_and_have_an_edge_at_zero(values):
    values = np.round(np.array(values), 6)
    edges = bins(values)
    assert 0 in edges
    assert np.histogram(values, edges)[0].sum() == len(values)
    assert 1 <= len(edges) - 1 <= 33
    assert np.allclose(np.diff(edges), edges[1] - edges[0])


def test_plots_survive_a_black_and_white_printer(tmp_path):
    gains = np.array([-1.0, -0.8, 0.9, 1.2])
    for name, sign in (("better", 1), ("worse", -1)):
        written(*built(sign * gains), tmp_path / name)
    for plot in ("gains.png", "scatter.png"):
        grey = [images.read(tmp_path / name / plot).mean(axis=-1) for name in ("better", "worse")]
        assert (np.abs(grey[0] - grey[1]) > 40).sum() > 500


def test_elements_escape_all_but_elements():
    assert element("p", "<b>", element("b", "&"), None, ["x", 1], title='"') == (
        '<p title="&quot;">&lt;b&gt;<b>&amp;</b>x1</p>'
    )
    assert "<i>" not in table(["<i>"], [["<i>", "<i>"], "<i>"], "<i>")
    assert "<i>" not in picture(np.zeros((2, 2, 3), "uint8"), '"><i>')


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A tiny generator, and four pairs of two scenes, of which one file is cut off."""
    folder = tmp_path_factory.mktemp("report")
    compact_generator(widths=(4,), blocks=(1,)).save(folder / "mine.keras")
    for n in range(4):
        for side, image in zip(("blur", "sharp"), InMemory("x", 10 + n).read(), strict=True):
            images.write(folder / "data" / f"s{n % 2}" / side / f"{n}.png", image)
    cut = folder / "data" / "s1" / "blur" / "3.png"
    cut.write_bytes(cut.read_bytes()[:200])
    return folder


def test_evaluate_writes_the_report(workplace, tmp_path):
    arguments = [workplace / "mine.keras", "--data", workplace / "data", "--report", tmp_path]
    result = CliRunner().invoke(evaluate, list(map(str, arguments)))
    assert result.exit_code == 1  # one pair could not be scored
    assert f"report: {tmp_path / 'report.html'}" in result.output
    page = Page(tmp_path / "report.html")
    assert "mine on data" in page.text
    assert "1 of 4 pairs could not be scored" in page.text
    assert "could not be shown" not in page.text
    means = json.loads((tmp_path / "summary.json").read_text())["summary"]
    assert page.row("restored")[1] == f"{means['psnr']['restored']:.2f}"
    assert {"scores.csv", "gains.png", "examples"} <= {path.name for path in tmp_path.iterdir()}


def test_compare_writes_the_report(workplace, tmp_path):
    model = workplace / "mine.keras"
    arguments = [model, model, "--data", workplace / "data", "--report", tmp_path]
    result = CliRunner().invoke(compare, list(map(str, arguments)))
    assert result.exit_code == 1
    assert f"report: {tmp_path / 'report.html'}" in result.output
    assert "mine against mine on data" in Page(tmp_path / "report.html").text


def test_a_comparison_has_means_wins_plots_and_the_sheet(tmp_path):
    pairs = [InMemory(f"s{n % 2}/{n}", offset=10 + n) for n in range(6)] + [Broken("bad")]
    evil = "<b>b</b>"
    result = compare_pairs(brighter, lambda image: image, pairs, ("a", evil), tmp_path)
    page = Page(write_comparison_report(result, tmp_path))
    psnr, ssim, _ = (result.outcome(figure) for figure in GOPRO.figures)
    assert page.row("A: a")[1:3] == [f"{psnr.mean_a:.2f}", f"{ssim.mean_a:.4f}"]
    assert page.row(f"B: {evil}")[1] == f"{psnr.mean_b:.2f}"
    assert page.row("A better")[1] == "6 (100 %)"
    assert page.row("p")[1] == "0.031"
    assert page.row("DeblurGAN")[1] == "28.7"
    assert page.row("s1")[1] == "3"
    assert page.row("s1")[-3:] == ["3", "0", "0"]
    assert page.row("bad")[1].startswith("broken.png: <script>")
    assert len(page.pictures) == 4
    for line in result.lines():
        assert line in page.text
    for figure in GOPRO.figures:
        assert f'href="{figure.name}.png"' in page.source


def test_what_a_detector_saw_has_its_rates_boxes_and_rules(tmp_path):
    box, other = [0, 0.9, 5, 5, 30, 30], [1, 0.8, 40, 5, 60, 30]
    record = {"blurred": [other], "restored": [box, other], "sharp": [box], "truth": None}
    judge = types.SimpleNamespace(confidence=0.25, overlap=0.5, lines=lambda: ["IoU <0.5>"])
    facts = {"pairs": 2, "model": "mine", "data": "photos", "confidence": 0.25}
    rows = [Judged("a/1", 60, 40, record)]
    result = DetectionEvaluation(judge, rows, {"a/2": "gone"}, facts)
    images.write(tmp_path / "detections.png", np.zeros((9, 30, 3), "uint8"))
    page = Page(write_detection_report(result, tmp_path))
    assert page.row("restored")[1:] == ["0.500", "1.000", "0.667", "1.000", "1", "1", "0"]
    assert page.row("blurred")[1:3] == ["0.000", "0.000"]
    assert page.row("a/1")[1:] == ["60x40", "1", "0", "1", "1", "1", "1", "0"]
    assert page.row("a/2") == ["a/2", "gone"]
    assert "IoU <0.5>" in page.text
    assert [size for _, _, size in page.pictures] == [(30, 9)]

    nothing = DetectionEvaluation(judge, [], {"a/2": "gone"}, facts)
    page = Page(write_detection_report(nothing, tmp_path))
    assert "There are no figures" in page.text
    assert not page.pictures
