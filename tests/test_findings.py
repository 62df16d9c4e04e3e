"""The report of a check: what it sums up, picks, draws and writes."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from deblur_keras import images
from deblur_keras.datasets import Pair
from deblur_keras.datasets.findings import Finding, Inspection, PairReport


def report(name, psnr=None, split=None, **values):
    pair = Pair(name, Path("blur") / f"{name}.png", Path("sharp") / f"{name}.png")
    return PairReport(split, pair, psnr=psnr, **values)


def finding(kind, severity="error", *names):
    return Finding(kind, severity, f"{len(names)} {kind}", "Do.", [(name, "") for name in names])


def inspection(pairs, findings=()):
    return Inspection(Path("set"), "blur", pairs, list(findings), [])


def test_labels_and_scenes_of_names():
    nested, plain = report("a/b/1", split="train"), report("1")
    assert (nested.label, nested.scene) == ("train/a/b/1", "a/b")
    assert (plain.label, plain.scene) == ("1", "")


def test_only_errors_make_it_a_mistake():
    assert inspection([]).ok
    assert inspection([], [finding("scene", "warning")]).ok
    assert not inspection([], [finding("size"), finding("scene", "warning")]).ok


def test_scenes_are_averaged_over_what_could_be_measured():
    pairs = [
        report("a/1", 20.0, width=8, height=4, shift=(3.0, -4.0)),
        report("a/2", 30.0, width=6, height=4, shift=(0.0, 1.0)),
        report("a/3", float("inf"), width=6, height=4, faults={"identical": ""}),
        report("b/1", faults={"unreadable": "broken"}),
    ]
    first, second = inspection(pairs).scenes()
    assert first == {
        "split": None,
        "scene": "a",
        "pairs": 3,
        "faulty": 1,
        "sizes": ["6x4", "8x4"],
        "psnr": 25.0,
        "psnr_lowest": 20.0,
        "shift_mean": [1.5, -1.5],
        "shift_largest": 5.0,
    }
    assert (second["sizes"], second["psnr"], second["shift_largest"]) == ([], None, None)
    assert second["shift_mean"] is None


def test_the_worst_are_some_of_each_finding_and_then_of_low_psnr():
    pairs = [
        report("fine", 20.0),
        report("better", 30.0),
        *(report(f"leak{n}", 25.0 + n, faults={"leak": ""}) for n in range(5)),
        report("broken", faults={"unreadable": ""}),
        report("twice", 22.0, faults={"repeated": ""}),
    ]
    found = [finding("unreadable"), finding("leak"), finding("repeated", "warning")]
    names = [worst.pair.name for worst in inspection(pairs, found).worst(5)]
    assert names == ["broken", "leak0", "twice", "leak1", "leak2"]
    assert [worst.pair.name for worst in inspection(pairs).worst(3)] == ["broken", "fine", "twice"]
    assert len(inspection(pairs, found).worst(100)) == len(pairs)


def on_disk(folder):
    """Three pairs: a plain one, one of two sizes, one of which a side cannot be read."""
    pairs = []
    for name, blurred, sharp in (
        ("good", np.full((20, 40, 3), 100, np.uint8), np.full((20, 40, 3), 110, np.uint8)),
        ("sizes", np.zeros((20, 40, 3), np.uint8), np.zeros((20, 30, 3), np.uint8)),
        ("broken", np.zeros((20, 40, 3), np.uint8), None),
    ):
        files = [folder / side / f"{name}.png" for side in ("blur", "sharp")]
        images.write(files[0], blurred)
        if sharp is None:
            images.write_bytes(files[1], b"")
        else:
            images.write(files[1], sharp)
        pairs.append(PairReport("train", Pair(f"scene/{name}", *files)))
    good, sizes, broken = pairs
    good.psnr, good.shift, good.gain = 28.1308, (0.25, -1.0), 0.0
    good.width, good.height = 40, 20
    sizes.faults["size"] = "blurred 40x20, sharp 30x20"
    broken.faults["unreadable"] = "empty"
    return pairs


def test_the_sheet_shows_what_can_be_shown(tmp_path):
    found = [finding("size", "error", "scene/sizes"), finding("unreadable", "error")]
    sheet = inspection(on_disk(tmp_path), found).sheet(3)
    assert sheet.dtype == np.uint8 and sheet.shape[2] == 3
    # Ten times enlarged in a cell of 420 px; the difference of 10 levels is shown as 40.
    assert (sheet == 100).all(axis=-1).sum() >= 400 * 200
    assert (sheet == 40).all(axis=-1).sum() >= 400 * 200
    assert inspection([]).sheet() is None


def test_the_files_of_the_report(tmp_path):
    pairs = on_disk(tmp_path)
    pairs.append(report("exact", float("inf"), faults={"identical": "", "repeated": "x"}))
    found = [Finding("size", "error", "1 of 4", "Do.", [("scene/sizes", "blurred 40x20")])]
    written = inspection(pairs, found).write(tmp_path / "report", count=1)
    assert [path.name for path in written] == ["pairs.csv", "report.json", "worst.png"]
    with written[0].open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["findings"] for row in rows] == ["", "size", "unreadable", "identical; repeated"]
    assert rows[0]["psnr"] == "28.131"
    assert (rows[0]["shift_right"], rows[0]["shift_down"]) == ("0.25", "-1")
    assert (rows[1]["psnr"], rows[3]["psnr"]) == ("", "inf")

    def refuse(constant):
        pytest.fail(f"{constant} is no JSON")

    told = json.loads(written[1].read_text(), parse_constant=refuse)
    assert (told["ok"], told["pairs"]) == (False, 4)
    assert told["findings"][0]["items"] == [{"name": "scene/sizes", "detail": "blurred 40x20"}]
    assert told["scenes"][0]["psnr"] == pytest.approx(28.1308)
    assert len(inspection(pairs).write(tmp_path / "without", count=0)) == 2
