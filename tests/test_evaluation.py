"""Scoring pairs: the figures by hand, the reports, the faults, the command."""

import csv
import hashlib
import json
import math

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from deblur_keras import datasets, images
from deblur_keras.cli import console
from deblur_keras.cli import pairs as options
from deblur_keras.cli.evaluate import evaluate
from deblur_keras.datasets import kohler_folder
from deblur_keras.evaluation import (
    Evaluation,
    JournalError,
    Score,
    evaluate_pairs,
    figures,
    kohler,
    protocols,
    scores,
    unpaired,
)
from deblur_keras.evaluation.journal import plain
from deblur_keras.generators import compact_generator


class InMemory:
    """A pair that needs no files."""

    def __init__(self, name, blurred, sharp):
        self.name, self.pair = name, (blurred, sharp)

    def read(self):
        return self.pair


class Broken:
    name = "broken"

    def read(self):
        raise images.ImageError("broken.png: no such file")


def noisy_pair(name="noisy", height=24, width=31, seed=0):
    rng = np.random.default_rng(seed)
    sharp = rng.integers(40, 210, (height, width, 3)).astype("uint8")
    return InMemory(name, (sharp + rng.integers(-20, 21, sharp.shape)).astype("uint8"), sharp)


def halfway(pair):
    """A restorer that knows the answer, and takes half the error away."""
    blurred, sharp = (image.astype(float) for image in pair.read())
    return lambda image: np.round((blurred + sharp) / 2).astype("uint8")


def score(name, blurred, restored, ssim=(0.5, 0.5), mse=(0.5, 0.5), seconds=1.0):
    """A row by its PSNR, SSIM and MSE, blurred and restored."""
    figures = {"psnr": (blurred, restored), "ssim": ssim, "mse": mse}
    first, second = ({name: values[i] for name, values in figures.items()} for i in (0, 1))
    return Score(name, 20, 20, first, second, seconds)


def evaluation_of(rows, failures=(), facts=()):
    return Evaluation(protocols.find("gopro"), rows, dict(failures), dict(facts))


def rendered(table):
    console = Console(width=120)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def test_scores_are_those_of_scikit_image_for_both_sides():
    pair = noisy_pair()
    restorer = halfway(pair)
    (row,) = evaluate_pairs(restorer, [pair]).rows
    blurred, sharp = pair.read()
    for image, psnr, ssim, mse in (
        (blurred, *row.blurred.values()),
        (restorer(blurred), *row.restored.values()),
    ):
        assert psnr == pytest.approx(peak_signal_noise_ratio(sharp, image), abs=1e-4)
        assert mse == pytest.approx(np.mean((sharp.astype(float) - image) ** 2), rel=1e-5)
        expected = structural_similarity(
            sharp,
            image,
            channel_axis=-1,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        assert ssim == pytest.approx(expected, abs=1e-4)
    assert (row.width, row.height) == (31, 24)
    assert row.gain("psnr") == pytest.approx(6.0, abs=0.2)
    assert row.gain("ssim") > 0
    assert row.seconds > 0


def test_the_warm_up_is_apart_and_only_the_first_image_has_one():
    calls = []
    evaluation = evaluate_pairs(
        lambda image: calls.append(image.shape) or image, [noisy_pair("a"), noisy_pair("b")]
    )
    assert len(calls) == 3
    assert evaluation.facts["warm_up_seconds"] > 0
    assert "warm-up" in evaluation.lines()[-1]


def test_means_gains_and_the_worst_image():
    evaluation = evaluation_of(
        [
            score("a/1", 20.0, 24.0, ssim=(0.5, 0.9), seconds=1.0),
            score("a/2", 30.0, 29.0, ssim=(0.7, 0.7), seconds=9.0),
            score("b/1", 25.0, 28.0, mse=(200.5, 100.5), seconds=2.0),
            score("b/2", 25.0, 27.0, seconds=None),
        ],
        {"c": "missing"},
    )
    summary = evaluation.summary()
    assert summary["psnr"] == {
        "count": 4,
        "blurred": 25.0,
        "restored": 27.0,
        "gain": 2.0,
        "lowest": {"blurred": 20.0, "restored": 24.0},
        "highest": {"blurred": 30.0, "restored": 29.0},
    }
    assert summary["ssim"]["gain"] == pytest.approx(0.4 / 4)
    assert summary["mse"]["gain"] == pytest.approx(-100 / 4)
    assert summary["improved"] == 3 / 4
    assert (summary["worst_gain"], summary["worst_image"]) == (-1.0, "a/2")
    assert (summary["count"], summary["failed"]) == (4, 1)
    seconds = {"median": 2.0, "mean": 4.0, "lowest": 1.0, "highest": 9.0, "images": 3}
    assert summary["seconds"] == seconds
    text = "\n".join(evaluation.lines())
    assert "PSNR 25.00 -> 27.00 dB (+2.00 dB)" in text
    assert "3 of 4 images improved by PSNR; worst gain -1.00 dB (a/2)" in text


def test_exact_images_are_counted_and_do_not_poison_the_means(tmp_path):
    evaluation = evaluation_of(
        [
            score("plain", 20.0, 22.0),
            score("solved", 20.0, math.inf),
            score("spoilt", math.inf, 30.0),
            score("both", math.inf, math.inf),
        ]
    )
    summary = evaluation.summary()
    assert (summary["psnr"]["blurred"], summary["psnr"]["restored"]) == (20.0, 22.0)
    assert (summary["exact_blurred"], summary["exact_restored"]) == (2, 2)
    assert summary["improved"] == 0.5
    assert evaluation.rows[3].gain("psnr") == 0.0
    assert "left out of the mean PSNR: 2 blurred, 2 restored" in "\n".join(evaluation.lines())
    assert "20.00 -> inf" in rendered(evaluation.table())
    rows = [scores.to_row(row) for row in evaluation.rows]
    assert plain(rows[1]["psnr_restored"]) == "inf"
    report = evaluation.write_summary(tmp_path)
    json.loads(report.read_text(), parse_constant=pytest.fail)  # neither Infinity nor NaN


def test_images_below_the_window_have_no_ssim(tmp_path):
    pair = noisy_pair(height=10, width=40)
    evaluation = evaluate_pairs(lambda image: image, [pair], output=tmp_path)
    assert math.isnan(evaluation.rows[0].blurred["ssim"])
    assert evaluation.summary()["ssim"]["gain"] is None
    assert "SSIM: left out for 1 of 1 images, where it is not defined" in evaluation.lines()
    assert "- -> -" in rendered(evaluation.table())
    assert next(csv.DictReader((tmp_path / "scores.csv").open()))["ssim_gain"] == "nan"


def test_a_broken_pair_or_a_restorer_that_fails_costs_only_itself(tmp_path):
    def restorer(image):
        if image.shape[0] == 30:
            raise MemoryError("not enough memory to restore 31x30")
        return image[:-1] if image.shape[0] == 40 else image

    pairs = [Broken(), noisy_pair("good"), noisy_pair("big", 30), noisy_pair("short", 40)]
    evaluation = evaluate_pairs(restorer, pairs, output=tmp_path)
    assert [row.name for row in evaluation.rows] == ["good"]
    assert evaluation.failures["broken"] == "broken.png: no such file"
    assert "not enough memory" in evaluation.failures["big"]
    assert "expected the restored image to be uint8 (40, 31, 3)" in evaluation.failures["short"]
    report = json.loads((tmp_path / "summary.json").read_text())
    assert [failure["name"] for failure in report["failures"]] == ["broken", "big", "short"]
    assert report["summary"]["failed"] == 3

    nothing = evaluate_pairs(restorer, [Broken()], output=tmp_path)
    assert nothing.lines() == ["no image could be scored"]
    assert nothing.facts["warm_up_seconds"] is None
    assert json.loads((tmp_path / "summary.json").read_text())["summary"]["psnr"]["gain"] is None


def test_scale_averages_areas_of_both_sides():
    sharp = np.arange(24 * 32 * 3, dtype="uint8").reshape(24, 32, 3)
    blurred = sharp[::-1].copy()
    seen = []
    evaluation = evaluate_pairs(
        lambda image: seen.append(image) or image, [InMemory("x", blurred, sharp)], scale=0.5
    )
    blocks = blurred.reshape(12, 2, 16, 2, 3).mean(axis=(1, 3))
    assert np.abs(seen[0] - blocks).max() <= 0.5
    assert (evaluation.rows[0].width, evaluation.rows[0].height) == (16, 12)
    small = cv2.resize(sharp, (16, 12), interpolation=cv2.INTER_AREA)
    expected = peak_signal_noise_ratio(small, seen[0])
    assert evaluation.rows[0].blurred["psnr"] == pytest.approx(expected, abs=1e-4)
    assert evaluation.facts["resampling"].startswith("area averaging")


def test_wrong_arguments():
    with pytest.raises(ValueError, match="no pairs to score"):
        evaluate_pairs(lambda image: image, [])
    with pytest.raises(ValueError, match=r"scale must lie in \(0, 1\]"):
        evaluate_pairs(lambda image: image, [noisy_pair()], scale=2)
    with pytest.raises(ValueError, match="save_images needs an output folder"):
        evaluate_pairs(lambda image: image, [noisy_pair()], save_images=True)
    with pytest.raises(ValueError, match="names must be unique"):
        evaluate_pairs(lambda image: image, [noisy_pair(), noisy_pair()])
    with pytest.raises(ValueError, match=r"expected a protocol among gopro, .*got 'gopr'"):
        evaluate_pairs(lambda image: image, [noisy_pair()], protocol="gopr")


def test_table_has_a_line_per_image_up_to_forty_and_then_per_scene():
    rows = [score(f"scene[{index % 2}]/{index}", 20.0, 21.0 + index % 2) for index in range(41)]
    few = rendered(evaluation_of(rows[:40]).table())
    assert "scene[1]/39" in few  # as it is, not taken for markup
    many = rendered(evaluation_of(rows).table())
    assert "scene[0] (21)" in many
    assert "scene[1] (20)" in many
    assert "20.00 -> 22.00" in many
    assert "scene[1]/39" not in many


def test_an_interrupted_run_continues_to_the_same_report(tmp_path):
    pairs = [noisy_pair(f"s/{index}", seed=index) for index in range(9)]
    facts = {"data": "noise", "command": "first"}

    def half(image):
        return (image // 2 + 60).astype("uint8")

    whole = evaluate_pairs(half, pairs, tmp_path / "whole", facts=facts)
    for stop in (2, 7):  # while images are timed, and later
        calls = []

        def interrupted(image, calls=calls, stop=stop):
            calls.append(1)
            if len(calls) > stop:
                raise KeyboardInterrupt
            return half(image)

        output = tmp_path / str(stop)
        with pytest.raises(KeyboardInterrupt):
            evaluate_pairs(interrupted, pairs, output, facts=facts | {"model": "function"})
        kept = (output / "scores.csv").read_text().splitlines()[1:]
        assert 0 < len(kept) < 9
        assert not (output / "summary.json").exists()
        count = []
        again = evaluate_pairs(
            lambda image, count=count: count.append(1) or half(image),
            pairs,
            output,
            facts=facts | {"model": "function", "command": "second"},
            resume=True,
        )
        assert len(count) == 9 - len(kept) + 1  # and the warm-up
        for row, expected in zip(again.rows, whole.rows, strict=True):
            assert (row.name, row.blurred, row.restored) == (
                *(expected.name, expected.blurred, expected.restored),
            )
        assert again.summary()["seconds"]["images"] == 5
        assert [row.timed for row in again.rows] == [row.timed for row in whole.rows]
        assert again.summary()["psnr"] == whole.summary()["psnr"]
        complete = evaluate_pairs(
            lambda image: 1 / 0,
            pairs,
            output,
            facts=facts | {"model": "function"},
            resume=True,
        )
        assert complete.rows == again.rows
    with pytest.raises(JournalError, match="data was 'noise' and is 'other'"):
        evaluate_pairs(half, pairs, tmp_path / "whole", facts={"data": "other"}, resume=True)


def test_a_pair_that_failed_is_tried_again_when_the_run_is_continued(tmp_path):
    class Late(InMemory):
        broken = True

        def read(self):
            if self.broken:
                raise OSError("not there yet")
            return super().read()

    pairs = [noisy_pair("a"), Late("b", *noisy_pair().read()), noisy_pair("c")]
    first = evaluate_pairs(np.copy, pairs, tmp_path)
    assert list(first.failures) == ["b"]
    pairs[1].broken = False
    second = evaluate_pairs(np.copy, pairs, tmp_path, resume=True)
    assert [row.name for row in second.rows] == ["a", "b", "c"]
    assert not second.failures


def test_protocols_measure_what_they_say():
    pair = noisy_pair()
    found = evaluate_pairs(halfway(pair), [pair], protocol="paper-000")
    assert list(found.rows[0].blurred) == ["ssim", "mse"]
    assert "improved by SSIM" in "\n".join(found.lines())
    assert any("0.784" in line for line in found.published_lines())

    pairs = [noisy_pair(str(index), seed=index) for index in range(8)]
    found = evaluate_pairs(np.copy, pairs, protocol="paper-004")
    assert all(row.timed for row in found.rows)
    text = "\n".join(found.lines())
    assert "highest" in text
    assert "seconds: highest" in text
    values = [row.restored["psnr"] for row in found.rows]
    assert found.summary()["psnr"]["highest"]["restored"] == max(values)
    assert found.summary()["psnr"]["lowest"]["restored"] == min(values)


def test_long_lines_are_wrapped_on_terminals_alone(monkeypatch, capsys):
    line = "a paper: PSNR 28.7 (its authors; size unstated)"
    console.show_scores([line], None, ["end"])
    assert capsys.readouterr().out == f"{line}\nend\n"
    narrow = Console(force_terminal=True, width=30)
    monkeypatch.setattr(console, "console", lambda stderr: narrow)
    console.show_scores([line], None, ["end"])
    first, *others, last = capsys.readouterr().out.splitlines()
    assert len(first) <= 30 and last == "end"
    assert all(other.startswith("    ") and len(other) <= 30 for other in others)
    assert " ".join([first, *map(str.strip, others)]) == line


def test_further_figures_stand_beside_those_of_the_protocol():
    protocol = protocols.find("paper-000").with_figures(["psnr", "ssim"])
    assert [figure.name for figure in protocol.figures] == ["ssim", "mse", "psnr"]
    pair = noisy_pair()
    (row,) = evaluate_pairs(halfway(pair), [pair], protocol=protocol).rows
    assert row.gain("psnr") == pytest.approx(6.0, abs=0.2)
    assert protocols.find("gopro").with_figures(["ssim"]) is protocols.find("gopro")
    with pytest.raises(ValueError, match=r"expected figures among psnr, .*got psnrr"):
        protocol.with_figures(["psnrr"])


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A tiny generator saved to a file, and four pairs in GoPro's tree."""
    folder = tmp_path_factory.mktemp("evaluate")
    compact_generator(widths=(4,), blocks=(1,), name="tiny").save(folder / "tiny.keras")
    for index in range(4):
        blurred, sharp = noisy_pair(seed=index).read()
        scene = folder / "data" / "test" / f"scene{index % 2}"
        images.write(scene / "blur" / f"{index}.png", blurred)
        images.write(scene / "sharp" / f"{index}.png", sharp)
    return folder


def run(*arguments):
    return CliRunner().invoke(evaluate, [str(argument) for argument in arguments])


def test_command_prints_the_protocol_and_the_gains_and_writes_the_reports(workplace, tmp_path):
    model, data, output = workplace / "tiny.keras", workplace / "data", tmp_path / "scores"
    result = run(model, "--data", data, "-o", output, "--save-images", "--limit", 2)
    assert result.exit_code == 0, result.output
    assert "SSIM (11x11 Gaussian, sigma 1.5, population covariance, RGB, uint8)" in result.output
    assert "2 of 2 pairs, 31x24" in result.output
    assert "PSNR, dB" in result.output
    assert " dB (" in result.output

    names = [row["name"] for row in csv.DictReader((output / "scores.csv").open())]
    assert names == ["scene0/0", "scene1/1"]  # spread over the scenes
    report = json.loads((output / "summary.json").read_text())
    assert report["protocol"]["model"] == "tiny"
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    assert report["protocol"]["model_sha256"] == digest
    assert digest in result.output
    assert report["protocol"]["data"] == str(data.resolve())
    assert report["protocol"]["split"] == "test"
    assert report["protocol"]["versions"]["keras"]

    # the figures are those of the files that were written
    pairs = {pair.name: pair for pair in datasets.pairs(data, split="test")}
    for row in csv.DictReader((output / "scores.csv").open()):
        restored = images.read(output / "restored" / f"{row['name']}.png")
        expected = peak_signal_noise_ratio(pairs[row["name"]].read()[1], restored)
        assert float(row["psnr_restored"]) == pytest.approx(expected, abs=1e-3)

    again = run(model, "--data", data, "-o", output)
    assert again.exit_code == 1
    assert "exists already" in again.output
    table = (output / "scores.csv").read_text()
    same = (model, "--data", data, "-o", output, "--save-images", "--resume")
    resumed = run(*same, "--limit", 2)
    assert resumed.exit_code == 0, resumed.output
    assert (output / "scores.csv").read_text() == table
    other = run(*same, "--limit", 3)
    assert other.exit_code == 1
    assert "pairs was 2 and is 3" in other.output
    assert run(model, "--data", data, "-o", output, "--limit", 1, "--overwrite").exit_code == 0
    assert len((output / "scores.csv").read_text().splitlines()) == 2


def test_command_ends_with_one_when_a_pair_cannot_be_read(workplace, tmp_path):
    model = workplace / "tiny.keras"
    for index in range(4):
        blurred, sharp = noisy_pair(seed=index).read()
        images.write(tmp_path / "blur" / f"{index}.png", blurred)
        images.write(tmp_path / "sharp" / f"{index}.png", sharp)
    whole = (tmp_path / "blur" / "1.png").read_bytes()
    (tmp_path / "blur" / "1.png").write_bytes(whole[: len(whole) // 2])
    result = run(model, "--data", tmp_path)
    assert result.exit_code == 1
    assert "3 of 4 pairs" in result.output
    assert "not scored: 1: " in result.output
    assert "1 of 4 pairs could not be scored" in result.output


def test_command_explains_what_it_cannot_use(workplace, tmp_path):
    model, data = workplace / "tiny.keras", workplace / "data"
    result = run("nowhere.keras", "--data", data)
    assert result.exit_code == 1
    assert "nowhere.keras" in result.output
    result = run(model, "--data", tmp_path)
    assert result.exit_code == 1
    assert "found no image pairs" in result.output
    result = run(model, "--data", data, "--save-images")
    assert result.exit_code == 2
    assert "add -o OUTPUT" in result.output
    assert run(model, "--data", data, "--scale", "0").exit_code == 2
    result = run(model, "--data", data, "--restore-with-dropout")
    assert result.exit_code == 1
    assert "no dropout layers" in result.output


def test_the_command_knows_all_protocols_and_figures():
    assert tuple(protocols.PROTOCOLS) == options.PROTOCOLS
    assert tuple(figures.FIGURES) == options.FIGURES


def test_kohler_and_realblur_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr(kohler_folder, "FRAMES", {(1, 1): 3})
    rng = np.random.default_rng(0)
    for number in (1, 2, 3):
        frame = rng.integers(0, 200, (40, 50, 3)).astype("uint8")
        images.write(tmp_path / "Image1" / "Kernel1" / f"GroundTruth1_1_{number}.png", frame)
    images.write(tmp_path / "Blurry1_1.png", frame // 2 * 2)
    assert protocols.usual(tmp_path) == "kohler"
    (shot,) = datasets.pairs(tmp_path)
    assert datasets.pairs(tmp_path, split="test") == [shot]
    with pytest.raises(datasets.DatasetError, match="there is no split 'train'"):
        datasets.pairs(tmp_path, split="train")
    (row,) = evaluate_pairs(lambda image: image // 2, [shot], protocol="kohler").rows
    expected = kohler.score(shot, [shot.read()[0], shot.read()[0] // 2])
    for side, found in zip((row.blurred, row.restored), expected, strict=True):
        assert side["psnr"] == pytest.approx(found["psnr"])
        assert side["psnr"] > 40  # the last frame, and not the middle one
        assert math.isnan(side["ms_ssim"])  # too small
    pair = noisy_pair()
    with pytest.raises(datasets.DatasetError, match="needs the sharp frames of each shot"):
        protocols.find("kohler").check([pair], 1.0)
    with pytest.raises(datasets.DatasetError, match=r"got a scale of 0\.5"):
        protocols.find("kohler").check([shot], 0.5)

    found = evaluate_pairs(halfway(pair), [pair], protocol="realblur")
    assert found.rows[0].gain("psnr") == pytest.approx(6.0, abs=0.3)
    assert found.rows[0].restored["registered"] in (0.0, 1.0)
    assert "after ECC registration" in "\n".join(found.protocol_lines())


def test_photographs_without_a_sharp_partner(workplace, tmp_path):
    rng = np.random.default_rng(0)
    for name, size in (("a/one", 200), ("two", 210), ("tiny", 50)):
        image = rng.integers(0, 256, (size, size, 3)).astype("uint8")
        images.write(tmp_path / f"{name}.png", image)
    result = run(workplace / "tiny.keras", "--data", tmp_path, "--protocol", "unpaired")
    assert result.exit_code == 0, result.output
    assert "NIQE" in result.output
    assert "3 of 3 photographs" in result.output
    found = evaluate_pairs(np.copy, unpaired.photographs(tmp_path), protocol="unpaired")
    assert [row.name for row in found.rows] == ["a/one", "tiny", "two"]
    assert [math.isnan(row.blurred["niqe"]) for row in found.rows] == [False, True, False]
    refused = run(
        *(workplace / "tiny.keras", "--data", tmp_path),
        *("--protocol", "unpaired", "--figure", "psnr"),
    )
    assert refused.exit_code == 2
    assert "need no sharp partner" in refused.output
    images.write(tmp_path / "two.jpg", image)
    with pytest.raises(datasets.DatasetError, match="differ in their suffix alone"):
        unpaired.photographs(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(datasets.DatasetError, match="found no photographs"):
        unpaired.photographs(tmp_path / "empty")


def test_a_broken_file_anywhere_costs_only_itself(workplace, tmp_path):
    for index in range(5):
        blurred, sharp = noisy_pair(seed=index).read()
        images.write(tmp_path / "data" / "blur" / f"{index}.png", blurred)
        images.write(tmp_path / "data" / "sharp" / f"{index}.png", sharp)
    first, second, third = (tmp_path / "data" / "blur" / f"{index}.png" for index in range(3))
    first.write_bytes(b"nope")
    second.write_bytes(b"")
    images.write(third, noisy_pair(height=30).read()[0])
    result = run(workplace / "tiny.keras", "--data", tmp_path / "data")
    assert result.exit_code == 1
    assert "2 of 5 pairs, 31x24" in result.output
    for name, text in (("0", "not an image"), ("1", ""), ("2", "differ in size")):
        (line,) = (line for line in result.output.splitlines() if f"not scored: {name}: " in line)
        assert text in line
    with pytest.raises(datasets.DatasetError, match="cannot be read"):
        datasets.pairs(tmp_path / "data")  # training is stricter


def test_a_figure_that_is_not_defined_leaves_the_others_alone():
    flat = np.full((200, 220, 3), 90, "uint8")
    pairs = [InMemory("flat", flat, flat + 9), noisy_pair("large", 200, 220), noisy_pair("small")]
    protocol = protocols.find("gopro").with_figures(["niqe", "cw_ssim_pyssim"])
    found = evaluate_pairs(np.copy, pairs, protocol=protocol)
    assert not found.failures
    summary = found.summary()
    assert [summary[name]["count"] for name in ("psnr", "ssim", "niqe")] == [3, 3, 1]
    assert "NIQE: left out for 2 of 3 images, where it is not defined" in found.lines()


def test_less_is_better_is_worded_like_the_gains():
    rows = [
        Score("a", 9, 9, {"niqe": 6.0}, {"niqe": 5.0}),
        Score("b", 9, 9, {"niqe": 6.0}, {"niqe": 6.5}),
        Score("c", 9, 9, {"niqe": math.nan}, {"niqe": math.nan}),
    ]
    found = Evaluation(protocols.find("unpaired"), rows, {}, {})
    assert found.summary()["improved"] == 0.5
    assert "1 of 2 images improved by NIQE; worst gain +0.50 (b)" in found.lines()


def test_figures_of_others_mean_nothing_under_kohlers_rules():
    with pytest.raises(ValueError, match="ssim: the protocol kohler has its own figures"):
        protocols.find("kohler").with_figures(["ssim", "psnr"])
    further = protocols.find("realblur").with_figures(["mae"]).figures[-1]
    assert further.variant.endswith("before the registration")


def test_a_run_is_not_continued_on_other_files(workplace, tmp_path):
    for index in range(3):
        blurred, sharp = noisy_pair(seed=index).read()
        images.write(tmp_path / "data" / "blur" / f"{index}.png", blurred)
        images.write(tmp_path / "data" / "sharp" / f"{index}.png", sharp)
    given = (workplace / "tiny.keras", "--data", tmp_path / "data", "-o", tmp_path / "out")
    assert run(*given).exit_code == 0
    assert run(*given, "--resume").exit_code == 0
    images.write(tmp_path / "data" / "blur" / "1.png", noisy_pair(seed=9).read()[0])
    changed = run(*given, "--resume")
    assert changed.exit_code == 1
    assert "files_sha256 was" in changed.output
    other = run(*given, "--resume", "--protocol", "paper-000")
    assert other.exit_code == 1
    assert "protocol was 'gopro'" in other.output
    saved = run(*given, "--overwrite", "--save-images")
    assert saved.exit_code == 0, saved.output
    assert len(list((tmp_path / "out" / "restored").iterdir())) == 3
    fewer = run(*given, "--resume")
    assert "save_images was True and is False" in fewer.output


def test_nothing_of_an_earlier_run_stands_beside_the_new_one(workplace, tmp_path):
    given = (workplace / "tiny.keras", "--data", workplace / "data")
    first = run(*given, "--report", tmp_path, "--save-images")
    assert first.exit_code == 0, first.output
    mine = tmp_path / "restored" / "mine.png"
    mine.write_bytes(b"of somebody else")
    again = run(*given, "-o", tmp_path, "--overwrite", "--protocol", "paper-000", "--limit", "2")
    assert again.exit_code == 0, again.output
    left = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert left == ["mine.png", "run.json", "scores.csv", "summary.json"]


def test_a_picture_that_cannot_be_written_ends_the_run(tmp_path, monkeypatch):
    pairs = [noisy_pair(str(index), seed=index) for index in range(9)]
    write = images.write

    def full(path, image, quality=95):
        if path.stem == "6":
            raise images.ImageError(f"{path}: cannot be written: No space left on device")
        return write(path, image, quality)

    monkeypatch.setattr(images, "write", full)
    with pytest.raises(OSError, match="No space left on device; the run can be continued"):
        evaluate_pairs(np.copy, pairs, tmp_path, save_images=True)
    monkeypatch.undo()
    found = evaluate_pairs(np.copy, pairs, tmp_path, save_images=True, resume=True)
    assert len(found.rows) == len(list((tmp_path / "restored").iterdir())) == 9


def test_a_damaged_table_is_named(tmp_path):
    pairs = [noisy_pair("a"), noisy_pair("b")]
    evaluate_pairs(np.copy, pairs, tmp_path)
    table = tmp_path / "scores.csv"
    whole = table.read_text()
    for text, words in (
        (whole.replace("a,31", "a,x"), "the line of a is damaged"),
        (whole.encode().replace(b"31", b"\xff").decode("latin-1"), "damaged"),
    ):
        table.write_bytes(text.encode("latin-1"))
        with pytest.raises(JournalError, match=r"scores\.csv.*" + words):
            evaluate_pairs(np.copy, pairs, tmp_path, resume=True)


def test_options_that_would_be_ignored_are_refused(workplace, tmp_path):
    model, data = workplace / "tiny.keras", ("--data", workplace / "data")
    for arguments, text in (
        ((model, *data, "--seed", "3"), "--seed is that of --restore-with-dropout"),
        ((model, *data, "--iou", "0.4"), "--iou belongs to --protocol detection"),
        ((model, model, "--compare", *data, "--confidence", "0.3"), "--confidence is of one model"),
        ((model, model, "--compare", *data, "--seed", "3"), "--seed is of one model"),
        ((model, *data, "--protocol", "detection", "--figure", "niqe"), "--figure is of pixels"),
        ((model, model, "--compare", *data, "--protocol", "detection"), "one model at a time"),
        ((model, model, "--compare", *data, "--protocol", "unpaired"), "one model at a time"),
        ((model, *data, "--halved", "--scale", "0.7"), "--halved is --scale 0.5"),
        ((model, *data, "--resume", "--overwrite", "-o", tmp_path), "give one of them"),
    ):
        result = run(*arguments)
        assert result.exit_code == 2, result.output
        assert text in result.output


def test_interrupted_it_says_how_to_go_on(workplace, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("deblur_keras.evaluation.evaluate_pairs", interrupted)
    result = run(workplace / "tiny.keras", "--data", workplace / "data", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "the same command with --resume continues" in result.output


def test_results_inside_the_photographs_are_not_scored(workplace, tmp_path):
    for name in ("one", "two"):
        noise = np.random.default_rng(0).integers(0, 256, (200, 210, 3)).astype("uint8")
        images.write(tmp_path / f"{name}.png", noise)
    given = (workplace / "tiny.keras", "--data", tmp_path, "--protocol", "unpaired")
    given += ("-o", tmp_path / "out", "--save-images")
    assert run(*given).exit_code == 0
    again = run(*given, "--resume")
    assert again.exit_code == 0, again.output
    assert "2 of 2 photographs" in again.output
