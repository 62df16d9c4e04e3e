"""A check of pairs: genuine ones pass, each kind of damage is found, and nothing stops it."""

import contextlib
import os
import shutil
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from deblur_keras import images
from deblur_keras.datasets import DatasetError, Pair, findings, inspection, measures

COUNT = 4


def photograph(seed, height=96, width=128):
    """Texture of all sizes, as photographs have it, different for each seed."""
    generator = np.random.default_rng(seed)
    image = np.zeros((height, width, 3))
    for size in (3, 6, 12, 24, 48):
        coarse = generator.normal(size=(size, size, 3))
        image += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) / size**0.5
    low, high = np.percentile(image, [1, 99])
    return np.clip((image - low) / (high - low) * 255, 0, 255).astype(np.uint8)


def write_pairs(folder, seed=0, count=COUNT, sides=("blur", "sharp")):
    for number in range(count):
        sharp = photograph(seed + number)
        images.write(folder / sides[0] / f"{number}.png", cv2.blur(sharp, (9, 1)))
        images.write(folder / sides[1] / f"{number}.png", sharp)


def kinds(result):
    return {finding.kind: finding.severity for finding in result.findings}


def items(result, kind):
    (finding,) = [finding for finding in result.findings if finding.kind == kind]
    return dict(finding.items)


@pytest.fixture
def folder(tmp_path):
    write_pairs(tmp_path / "set" / "scene")
    return tmp_path / "set"


def test_a_good_set_passes(folder):
    before = {path: path.read_bytes() for path in folder.rglob("*.png")}
    result = inspection.inspect(folder)
    assert result.ok
    assert result.findings == result.notes == []
    assert [report.label for report in result.pairs] == [f"scene/{n}" for n in range(COUNT)]
    (scene,) = result.scenes()
    assert (scene["pairs"], scene["faulty"], scene["sizes"]) == (COUNT, 0, ["128x96"])
    psnrs = [report.psnr for report in result.pairs]
    assert scene["psnr"] == pytest.approx(np.mean(psnrs))
    assert scene["psnr_lowest"] == min(psnrs)
    assert scene["shift_largest"] < 0.5
    assert {path: path.read_bytes() for path in folder.rglob("*.png")} == before


def change(path, function):
    images.write(path, np.ascontiguousarray(function(images.read(path))))


def halve_file(blurred, sharp):
    blurred.write_bytes(blurred.read_bytes()[: blurred.stat().st_size // 2])


def exchange(blurred, sharp):
    pixels = [images.read(path) for path in (blurred, sharp)]
    images.write(blurred, pixels[1])
    images.write(sharp, pixels[0])


def tag_with_orientation(blurred, sharp):
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = Image.fromarray(images.read(blurred))
    blurred.unlink()
    picture.save(blurred.with_suffix(".jpg"), exif=exif, quality=95)


def grey(image):
    return np.repeat(image.mean(axis=-1, keepdims=True).astype(np.uint8), 3, axis=-1)


DAMAGES = {
    "truncated": ("unreadable", halve_file),
    "no image": ("unreadable", lambda blurred, sharp: sharp.write_bytes(b"<html>")),
    "missing": ("no partner", lambda blurred, sharp: sharp.unlink()),
    "cut": ("size", lambda blurred, sharp: change(sharp, lambda image: image[:, 4:])),
    "EXIF": ("turned", tag_with_orientation),
    "upside down": ("turned", lambda blurred, sharp: change(sharp, lambda i: i[::-1, ::-1])),
    "mirrored": ("turned", lambda blurred, sharp: change(blurred, lambda i: i[:, ::-1])),
    "copied": ("identical", lambda blurred, sharp: shutil.copy(sharp, blurred)),
    "another": ("different", lambda b, sharp: change(sharp, lambda image: photograph(99))),
    "rolled": ("misaligned", lambda b, s: change(b, lambda i: np.roll(i, (2, -4), (0, 1)))),
    "exchanged": ("swapped", exchange),
    "BGR": ("colours", lambda blurred, sharp: change(blurred, lambda i: i[..., ::-1])),
    "grey": ("colours", lambda blurred, sharp: change(blurred, grey)),
    "black": ("blank", lambda blurred, sharp: change(blurred, np.zeros_like)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_each_damage_is_found_and_nothing_else(folder, damage):
    kind, do = DAMAGES[damage]
    do(folder / "scene" / "blur" / "2.png", folder / "scene" / "sharp" / "2.png")
    result = inspection.inspect(folder)
    assert kinds(result) == {kind: "error"}
    assert not result.ok
    (name,) = items(result, kind)
    assert "scene/2" in name or name.endswith("2.png")
    assert len(result.pairs) == (COUNT - 1 if damage == "missing" else COUNT)


def test_all_damages_at_once_are_all_found(tmp_path):
    write_pairs(tmp_path, count=len(DAMAGES))
    for number, (_, do) in enumerate(DAMAGES.values()):
        do(tmp_path / "blur" / f"{number}.png", tmp_path / "sharp" / f"{number}.png")
    result = inspection.inspect(tmp_path)
    assert set(kinds(result)) == {kind for kind, _ in DAMAGES.values()}
    named = {str(name) for finding in result.findings for name, _ in finding.items}
    assert len(named) == len(DAMAGES)


def test_what_is_wrong_is_said(folder):
    change(folder / "scene/blur/1.png", lambda image: np.roll(image, (2, -4), (0, 1)))
    tag_with_orientation(folder / "scene/blur/2.png", None)
    result = inspection.inspect(folder)
    shift = items(result, "misaligned")["scene/1"]
    assert "px to the left" in shift and "px down" in shift
    right, down = result.pairs[1].shift
    assert (right, down) == pytest.approx((-4, 2), abs=0.5)
    turned = items(result, "turned")["scene/2"]
    assert "blurred 96x128, sharp 128x96" in turned
    assert "turned by 270 degrees; EXIF orientation 6 on the blurred, none on the sharp" in turned


def test_orientation_that_is_obeyed_is_no_fault(folder):
    path = folder / "scene" / "blur" / "1.png"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(images.read(path))).save(path, exif=exif)  # stored lying on its side
    assert inspection.inspect(folder).ok


def test_all_broken_files_are_listed_without_partners_too(folder):
    scene = folder / "scene"
    (scene / "blur" / "0.png").write_bytes(b"")
    (scene / "sharp" / "0.png").write_bytes(b"")
    (scene / "sharp" / "3.png").unlink()
    (scene / "blur" / "3.png").write_bytes(b"")
    result = inspection.inspect(folder)
    found = items(result, "unreadable")
    assert all(str(scene / side / "0.png") in found["scene/0"] for side in ("blur", "sharp"))
    assert str(scene / "blur" / "3.png") in found
    assert str(scene / "blur" / "3.png") in items(result, "no partner")


def test_whatever_one_file_does_the_others_are_checked(folder, monkeypatch):
    read = images.read

    def fails(path):
        if path.name == "1.png":
            raise MemoryError
        return read(path)

    monkeypatch.setattr(images, "read", fails)
    result = inspection.inspect(folder)
    assert "MemoryError" in items(result, "unreadable")["scene/1"]
    assert sum(report.psnr is not None for report in result.pairs) == COUNT - 1


def test_shift_and_tolerance_are_adjustable(folder):
    change(folder / "scene" / "blur" / "1.png", lambda image: np.roll(image, 4, axis=1))
    assert kinds(inspection.inspect(folder, shift=5)) == {}
    assert kinds(inspection.inspect(folder, tolerance=0.2)) == {"misaligned": "error"}
    result = inspection.inspect(folder, tolerance=1 / COUNT)
    assert kinds(result) == {"misaligned": "warning"}
    assert result.ok
    with pytest.raises(ValueError, match=r"got -1 and 0\.01"):
        inspection.inspect(folder, shift=-1)
    with pytest.raises(ValueError, match=r"got 2\.0 and 2"):
        inspection.inspect(folder, tolerance=2)


@pytest.mark.parametrize(("count", "wrong", "severity"), [
    (19, 1, "error"), (20, 1, "warning"), (20, 2, "error"), (99, 1, "warning"), (99, 2, "error"),
    (300, 3, "warning"), (300, 4, "error"),
])  # fmt: skip
def test_one_estimate_may_err_in_small_sets_too(count, wrong, severity):
    pair = Pair("scene/1", Path("blur/1.png"), Path("sharp/1.png"))
    reports = [findings.PairReport(None, pair) for _ in range(count)]
    for report in reports[:wrong]:
        report.faults["misaligned"] = ""
    (finding,) = inspection._conclude(reports, [], inspection.TOLERANCE)
    assert finding.severity == severity
    (finding,) = inspection._conclude(reports, [], 0)
    assert finding.severity == "error"
    reports[0].faults["unreadable"] = ""
    assert inspection._conclude(reports, [], 0.5)[0].severity == "error"


def test_a_shift_that_all_pairs_share_is_told(tmp_path):
    write_pairs(tmp_path, count=5)
    result = inspection.inspect(tmp_path)
    assert result.notes == []
    assert result.scenes()[0]["shift_mean"] == pytest.approx([0, 0], abs=0.2)
    for number in range(5):
        change(tmp_path / "blur" / f"{number}.png", lambda image: np.roll(image, (1, -1), (0, 1)))
    result = inspection.inspect(tmp_path)
    assert result.ok and result.findings == []  # 1.4 pixels each
    (note,) = result.notes
    assert "1.0 px to the left and 1.0 px down on average" in note
    assert result.scenes()[0]["shift_mean"] == pytest.approx([-1, 1], abs=0.2)


def test_hard_faults_know_no_tolerance(folder):
    (folder / "scene" / "blur" / "1.png").write_bytes(b"")
    assert kinds(inspection.inspect(folder, tolerance=1)) == {"unreadable": "error"}


def test_copies_that_were_compressed_again(tmp_path):
    write_pairs(tmp_path)
    assert inspection.inspect(tmp_path).ok
    for number in range(COUNT):
        (tmp_path / "blur" / f"{number}.png").unlink()
        sharp = images.read(tmp_path / "sharp" / f"{number}.png")
        images.write(tmp_path / "blur" / f"{number}.jpg", sharp, quality=98)
    assert kinds(inspection.inspect(tmp_path)) == {"no blur": "error"}


@pytest.mark.parametrize("quality", [30, 85])
def test_copies_of_detailed_images_with_errors_that_show(tmp_path, quality):
    """The finer the detail, the larger JPEG's errors; but the edges stay as steep."""
    generator = np.random.default_rng(0)
    for number in range(COUNT):
        noise = cv2.GaussianBlur(generator.normal(0, 90, (96, 128, 3)), (0, 0), 0.6)
        sharp = np.clip(photograph(number) * 0.5 + 64 + noise, 0, 255).astype(np.uint8)
        copy = images.write(tmp_path / "blur" / f"{number}.jpg", sharp, quality=quality)
        images.write(tmp_path / "sharp" / f"{number}.png", sharp)
        assert measures.psnr(images.read(copy), sharp) < 35
    result = inspection.inspect(tmp_path)
    assert kinds(result) == {"no blur": "error"}
    assert len(items(result, "no blur")) == COUNT


def test_splits_are_compared(tmp_path):
    for number, split in enumerate(("train", "val", "test")):
        write_pairs(tmp_path / split / split, seed=100 * number)
    assert inspection.inspect(tmp_path).ok
    stolen = images.read(tmp_path / "test" / "test" / "sharp" / "1.png")
    images.write(tmp_path / "train" / "train" / "sharp" / "2.png", stolen)
    blurred = tmp_path / "train" / "train" / "blur" / "2.png"
    blurred.unlink()
    images.write(blurred.with_suffix(".bmp"), cv2.blur(stolen, (1, 7)))
    result = inspection.inspect(tmp_path)
    assert kinds(result) == {"leak": "error"}
    assert items(result, "leak") == {
        "train/train/2": "its sharp image is the sharp one of test/test/1",
        "test/test/1": "its sharp image is the sharp one of train/train/2",
    }
    assert inspection.inspect(tmp_path, split="train").ok


def test_scenes_in_two_splits(tmp_path):
    for number, split in enumerate(("train", "test")):
        write_pairs(tmp_path / split / "scene", seed=100 * number)
    result = inspection.inspect(tmp_path)
    assert kinds(result) == {"scene": "warning"}
    assert items(result, "scene") == {"scene": "in train, test"}
    assert result.ok


def test_repeated_images(folder):
    scene = folder / "scene"
    for side in ("blur", "sharp"):
        change(scene / side / "0.png", lambda image, side=side: images.read(scene / side / "3.png"))
    result = inspection.inspect(folder)
    assert kinds(result) == {"repeated": "warning"}
    assert set(items(result, "repeated")) == {"scene/0", "scene/3"}
    images.write(scene / "blur" / "0.png", cv2.blur(images.read(scene / "sharp" / "0.png"), (1, 9)))
    assert kinds(inspection.inspect(folder)) == {}  # one photograph, blurred in two ways


def test_a_folder_compared_with_itself(tmp_path):
    write_pairs(tmp_path / "real")
    (tmp_path / "copy").mkdir()
    for side in ("blur", "sharp"):
        shutil.copytree(tmp_path / "real" / "sharp", tmp_path / "copy" / side)
    result = inspection.inspect(tmp_path / "copy")
    assert kinds(result) == {"identical": "error"}
    assert len(items(result, "identical")) == COUNT
    assert result.scenes()[0]["psnr"] is None
    (tmp_path / "linked").mkdir()
    for side in ("blur", "sharp"):
        (tmp_path / "linked" / side).symlink_to(tmp_path / "real" / "sharp")
    assert kinds(inspection.inspect(tmp_path / "linked")) == {"same folder": "error"}


def test_a_scene_without_a_side_does_not_hide_the_others(folder):
    shutil.copytree(folder / "scene" / "blur", folder / "other" / "blur")
    result = inspection.inspect(folder)
    assert kinds(result) == {"layout": "error"}
    assert "has blur/ but no sharp/" in items(result, "layout")[str(folder / "other")]
    assert len(result.pairs) == COUNT


def test_ambiguous_names(folder):
    images.write(folder / "scene" / "sharp" / "1.bmp", photograph(1))
    assert kinds(inspection.inspect(folder)) == {"ambiguous": "error"}


def test_side_by_side_files(tmp_path):
    for number in range(3):
        sharp = photograph(number)
        both = np.concatenate([cv2.blur(sharp, (9, 1)), sharp], axis=1)
        images.write(tmp_path / f"{number}.png", both)
    result = inspection.inspect(tmp_path)
    assert kinds(result) == {}
    assert result.pairs[0].width == 128
    (tmp_path / "1.png").write_bytes((tmp_path / "1.png").read_bytes()[:5000])
    assert kinds(inspection.inspect(tmp_path)) == {"unreadable": "error"}
    (tmp_path / "1.png").write_bytes(b"")
    assert kinds(inspection.inspect(tmp_path)) == {"unreadable": "error"}


def test_folders_without_pairs(tmp_path):
    assert kinds(inspection.inspect(tmp_path)) == {"nothing": "error"}
    with pytest.raises(DatasetError, match="there is no such folder"):
        inspection.inspect(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="no split 'val'"):
        inspection.inspect(tmp_path, split="val")


def test_gamma_version(folder):
    write_pairs(folder / "scene", sides=("blur_gamma", "sharp"))
    (note,) = inspection.inspect(folder).notes
    assert "--blur blur_gamma" in note
    result = inspection.inspect(folder, blur="blur_gamma")
    assert result.notes == []
    assert result.pairs[0].pair.blurred.parent.name == "blur_gamma"


def test_images_too_small_to_measure_are_no_reason_to_stop(tmp_path):
    for seed, side in enumerate(("blur", "sharp")):
        ramp = np.arange(3 * 2 * 3, dtype=np.uint8).reshape(3, 2, 3) * 12 + seed
        images.write(tmp_path / side / "1.png", ramp)
    assert len(inspection.inspect(tmp_path).pairs) == 1


def test_progress_is_told_of_every_pair(folder):
    class Shown:
        names, done = [], 0

        def start(self, name):
            self.names.append(name)

        def advance(self):
            self.done += 1

    shown, totals = Shown(), []

    @contextlib.contextmanager
    def progress(total):
        totals.append(total)
        yield shown

    inspection.inspect(folder, progress=progress)
    assert totals == [COUNT]
    assert (shown.names, shown.done) == ([f"scene/{n}" for n in range(COUNT)], COUNT)


def test_threads_keep_the_order_and_stay_near_the_consumer():
    started, lock = [], threading.Lock()

    def work(_, number):
        with lock:
            started.append(number)
        time.sleep(0.001 * (number % 3))
        return number

    done = 0
    for done, number in enumerate(inspection._in_threads(work, [(None, n) for n in range(40)], 2)):
        assert number == done
        assert len(started) <= done + 2 * inspection._AHEAD
    assert done == 39


@pytest.mark.skipif(os.name != "posix", reason="file names are bytes on POSIX alone")
def test_names_that_are_no_text(tmp_path):
    write_pairs(tmp_path, count=1)
    for side in ("blur", "sharp"):
        os.rename(tmp_path / side / "0.png", os.fsencode(tmp_path / side) + b"/\xff.png")  # noqa: PTH104
    result = inspection.inspect(tmp_path)
    assert len(result.pairs) == 1
    assert len(result.write(tmp_path / "report")) == 3


def test_every_kind_says_what_to_do():
    for kind in findings.KINDS.values():
        assert kind.advice.endswith(".") or kind.advice.endswith(").")
        assert kind.title[0].islower()
