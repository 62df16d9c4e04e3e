"""What a check of blurred and sharp pairs found, what to do about it, and the files that say so.

`inspection` looks at the images and concludes; this module knows what can be wrong and reports it.
"""

import csv
import dataclasses
import io
import itertools
import json
import math
import statistics
from pathlib import Path, PurePosixPath

import numpy as np

from deblur_keras import images, sheets
from deblur_keras.datasets import layouts, records

_CELL = 420  # px, of an image on the sheet
_AMPLIFIED = 4  # the differences on the sheet
_COLUMNS = (
    *("split", "scene", "name", "blurred", "sharp", "width", "height", "psnr"),
    *("shift_right", "shift_down", "shift_gain", "sharpness_ratio", "resemblance", "findings"),
)


@dataclasses.dataclass(frozen=True)
class Kind:
    """Holds what can be wrong.

    Attributes:
        noun: What it is wrong with, in the singular.
        title: What is wrong, to stand behind a count and the noun: "cannot be read".
        advice: What to do about it.
        limit: Share of the pairs above which it is an error and no longer a warning; None for an
            estimate, which may err, and for which the tolerance of the check counts.
    """

    noun: str
    title: str
    advice: str
    limit: float | None = 0.0


NEVER = 1.0  # limit of what stays a warning
KINDS = {
    "layout": Kind(
        "folder",
        "not laid out as expected",
        "Give each folder one blurred and one sharp side of the usual names.",
    ),
    "nothing": Kind(
        "folder", "without any pairs", "Point at a folder that holds both sides of the pairs."
    ),
    "same folder": Kind(
        "scene",
        "with one folder for both sides",
        "Point each side at images of its own: a network would learn to change nothing.",
    ),
    "ambiguous": Kind(
        "file",
        "of the name of another one but for the suffix",
        "Take one of the two away: it is not clear which belongs to the other side's image.",
    ),
    "no partner": Kind(
        "file",
        "without a partner of the same name",
        "Add the missing files, or take these away.",
    ),
    "unreadable": Kind(
        "file",
        "that cannot be read",
        "Fetch or write the files again, or take both sides of the pair away.",
    ),
    "size": Kind(
        "pair", "with sides of different sizes", "Make both sides again from the same source."
    ),
    "turned": Kind(
        "pair",
        "with sides that are turned against each other",
        "Write both sides upright and without EXIF orientation: some program obeyed the tag on one"
        " side and dropped it on the other.",
    ),
    "identical": Kind(
        "pair",
        "with equal pixels on both sides: a folder compared with itself?",
        "Put the blurred images back on the blurred side: a network would learn to change nothing.",
    ),
    "leak": Kind(
        "pair",
        "with an image that is in the training split and in another one",
        "Take it out of one of the splits: a model would be scored on what it was trained on.",
    ),
    "different": Kind(
        "pair",
        "not of the same scene on both sides",
        "Match the files by name again: one side may have been numbered or sorted differently.",
        None,
    ),
    "misaligned": Kind(
        "pair",
        "with sides that are shifted against each other",
        "Shifted in many ways: match the files again, the sharp ones may be other frames. In one"
        " way: cut both sides from the same place, or take the middle frame as the sharp one."
        " Known and wanted: allow more pixels (--shift).",
        None,
    ),
    "swapped": Kind(
        "pair",
        "blurrier on the sharp side than on the blurred one",
        "Exchange the sides: the first of blur/sharp, input/target and A/B is the blurred one.",
        None,
    ),
    "colours": Kind(
        "pair",
        "with other colours on one side",
        "Write both sides with one library: OpenCV takes BGR, the others RGB.",
        None,
    ),
    "blank": Kind(
        "pair", "of a single colour on one side", "Write or fetch that side again.", None
    ),
    "no blur": Kind(
        "pair",
        "hardly blurred at all",
        "If that is most of them, check that the blurred side is no copy of the sharp one.",
        0.5,
    ),
    "repeated": Kind(
        "pair",
        "with a blurred image that is there more than once",
        "Take the copies away: they count double, and with another partner they contradict.",
        NEVER,
    ),
    "scene": Kind(
        "scene",
        "of a name that is in the training split and in another one",
        "Keep each scene in one split: neighbouring frames of a video are nearly the same image.",
        NEVER,
    ),
}
"""What `inspection.inspect` looks for, by name, in the order of the report."""


@dataclasses.dataclass
class PairReport:
    """Holds what was measured on one pair.

    Attributes:
        split: Name of its split, or None.
        pair: The `Pair`, or the `records.Record` of a dataset.
        width: Of the blurred image as displayed, in pixels; None if it cannot be read. What
            follows is None where it could not be measured.
        height: The same.
        psnr: PSNR of the blurred image against the sharp one, in dB; infinite for equal ones.
        shift: ``(right, down)``, by which the blurred image is off the sharp one, in pixels.
        gain: By how many dB the PSNR rises when that is undone.
        sharpness: Gradient energy of the sharp image divided by that of the blurred one.
        resemblance: Correlation of the two at 64x64 pixels.
        digests: Hashes of the pixels of the blurred and the sharp image.
        faults: Dictionary of what is wrong, from names in ``KINDS`` to details.
    """

    split: str | None
    pair: layouts.Pair | records.Record
    width: int | None = None
    height: int | None = None
    psnr: float | None = None
    shift: tuple | None = None
    gain: float | None = None
    sharpness: float | None = None
    resemblance: float | None = None
    digests: tuple | None = None
    faults: dict = dataclasses.field(default_factory=dict)

    @property
    def scene(self):
        """The folder part of the pair's name; empty where there is none."""
        parent = str(PurePosixPath(self.pair.name).parent)
        return "" if parent == "." else parent

    @property
    def label(self):
        """The pair's name, with its split before it."""
        return f"{self.split}/{self.pair.name}" if self.split else self.pair.name


@dataclasses.dataclass(frozen=True)
class Finding:
    """Holds one kind of fault, wherever it was met.

    Attributes:
        kind: A name in ``KINDS``.
        severity: ``"error"`` when training on it would be a mistake, else ``"warning"``.
        message: What was found, with counts.
        advice: What to do about it.
        items: List of ``(name, detail)``: pairs, files or folders. The detail may be empty.
    """

    kind: str
    severity: str
    message: str
    advice: str
    items: list


@dataclasses.dataclass(frozen=True)
class Inspection:
    """Holds all that a check found.

    Attributes:
        directory: The folder that was checked, or the name of the dataset.
        blur: Name of the blurred side of GoPro that was taken.
        pairs: List of `PairReport`, sorted by split and name.
        findings: List of `Finding`, errors first.
        notes: List of lines that are good to know and no fault.
    """

    directory: Path | str
    blur: str
    pairs: list
    findings: list
    notes: list

    @property
    def ok(self):
        """Whether training on it would not be a mistake: there are no errors."""
        return not any(finding.severity == "error" for finding in self.findings)

    def scenes(self):
        """Sums up the pairs of each scene.

        Returns:
            List of dictionaries: ``split``, ``scene``, ``pairs``, ``faulty`` (pairs with any
            finding), ``sizes`` (list such as ``["1280x720"]``), ``psnr`` (mean over the pairs with
            a finite one, in dB), ``psnr_lowest``, ``shift_mean`` (``[right, down]`` in pixels: a
            shift of the whole scene shows here, where those of blur cancel out), ``shift_largest``;
            None where there is nothing to average.
        """
        groups = {}
        for report in self.pairs:
            groups.setdefault((report.split, report.scene), []).append(report)
        rows = []
        for (split, scene), reports in groups.items():
            psnrs = [r.psnr for r in reports if r.psnr is not None and math.isfinite(r.psnr)]
            shifts = [r.shift for r in reports if r.shift]
            sizes = {(r.width, r.height) for r in reports if r.width is not None}
            rows.append(
                {
                    "split": split,
                    "scene": scene,
                    "pairs": len(reports),
                    "faulty": sum(bool(r.faults) for r in reports),
                    "sizes": [f"{width}x{height}" for width, height in sorted(sizes)],
                    "psnr": statistics.fmean(psnrs) if psnrs else None,
                    "psnr_lowest": min(psnrs, default=None),
                    "shift_mean": [statistics.fmean(axis) for axis in zip(*shifts, strict=True)]
                    or None,
                    "shift_largest": max((math.hypot(*shift) for shift in shifts), default=None),
                }
            )
        return rows

    def worst(self, count=10):
        """Picks the pairs to look at: some with each finding in turn, then those of low PSNR.

        Args:
            count: How many at most.

        Returns:
            List of `PairReport`; those with a finding first, errors before warnings.
        """
        by_psnr = sorted(self.pairs, key=lambda r: -math.inf if r.psnr is None else r.psnr)
        faulty = [[r for r in by_psnr if finding.kind in r.faults] for finding in self.findings]
        in_turn = [r for turn in itertools.zip_longest(*faulty) for r in turn if r is not None]
        chosen = {id(report): report for report in [*in_turn, *by_psnr]}  # each once
        return list(chosen.values())[:count]

    def sheet(self, count=10):
        """Draws the worst pairs: blurred, sharp, and where they differ, with the reason.

        Args:
            count: How many at most.

        Returns:
            uint8 array (H, W, 3); None when there are no pairs.
        """
        chosen = self.worst(count)
        if not chosen:
            return None
        captions = [f"{report.label}: {_reason(report)}" for report in chosen]
        titles = ["blurred", "sharp", f"difference, {_AMPLIFIED} times"]
        rows = [_looks(report.pair) for report in chosen]
        return sheets.contact_sheet(rows, titles, captions, cell=_CELL)

    def write(self, directory, count=10):
        """Writes ``pairs.csv`` (a line per pair), ``report.json`` and the sheet ``worst.png``.

        Args:
            directory: Folder to write to; made if missing. Each file is written whole or not at
                all.
            count: Pairs on the sheet at most; 0 draws none.

        Returns:
            List of the paths written.

        Raises:
            OSError: The file system refuses.
        """
        directory = Path(directory)
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(map(_row, self.pairs))
        report = {
            "directory": str(self.directory),
            "blur": self.blur,
            "ok": self.ok,
            "pairs": len(self.pairs),
            "scenes": self.scenes(),
            "findings": [
                {**vars(finding), "items": [{"name": n, "detail": d} for n, d in finding.items]}
                for finding in self.findings
            ],
            "notes": self.notes,
        }
        structure = json.dumps(report, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
        written = [
            images.write_bytes(directory / name, content.encode("utf-8", "surrogateescape"))
            for name, content in (("pairs.csv", text.getvalue()), ("report.json", structure))
        ]
        if count and self.pairs:
            written.append(images.write(directory / "worst.png", self.sheet(count)))
        return written


def _row(report):
    right, down = report.shift or (None, None)
    return {
        "split": report.split,
        "scene": report.scene,
        "name": report.pair.name,
        "blurred": records.where(report.pair.blurred),
        "sharp": records.where(report.pair.sharp),
        "width": report.width,
        "height": report.height,
        "psnr": _plain(report.psnr),
        "shift_right": _plain(right),
        "shift_down": _plain(down),
        "shift_gain": _plain(report.gain),
        "sharpness_ratio": _plain(report.sharpness),
        "resemblance": _plain(report.resemblance),
        "findings": "; ".join(report.faults),
    }


def _plain(value):
    return None if value is None else f"{value:.5g}"


def _reason(report):
    reasons = [f"{kind}: {detail}" if detail else kind for kind, detail in report.faults.items()]
    if report.psnr is not None:
        reasons.append(f"PSNR {report.psnr:.1f} dB")
    return "; ".join(reasons)


def _looks(pair):
    """Reads both images of a pair for the sheet, and amplifies their difference if there is one."""
    shown, broken = [], False
    for source in records.sources(pair):
        try:
            shown.append(records.read(source))
        except Exception:  # the caption says what is wrong with it
            shown.append(np.full((_CELL // 2, _CELL, 3), 128, np.uint8))
            broken = True
    if len(shown) == 1:
        half = shown[0].shape[1] // 2
        shown = [shown[0][:, :half], shown[0][:, -half:]]
    if broken or shown[0].shape != shown[1].shape:
        return [*shown, None]
    difference = np.abs(shown[0].astype(np.int16) - shown[1])
    return [*shown, np.minimum(difference * _AMPLIFIED, 255).astype(np.uint8)]
