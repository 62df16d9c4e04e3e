"""Checks a set of blurred and sharp pairs before hours are trained on it: all of it, to the end.

`layouts.pairs` refuses at the first problem, from names, headers and three pairs. Here every file
is read, every problem is collected, and what is measured on the pixels tells pairs that belong
together from pairs that only have the same name.
"""

import collections
import concurrent.futures
import contextlib
import hashlib
import itertools
import math
import os
from pathlib import Path

import numpy as np

from deblur_keras import images
from deblur_keras.datasets import catalog, findings, headers, measures, records

SHIFT = 2.0
"""Pixels of shift that are accepted. An even number of averaged frames has no middle one, so that
genuine GoPro pairs are up to a pixel off; measuring on blurred images adds up to another."""
TOLERANCE = 0.01
"""Share of the pairs that may look wrong. What is measured on blurred images is an estimate."""

_MANY = 20  # pairs, of which one may look wrong whatever the tolerance: a single estimate errs
_AHEAD = 2  # pairs in work or waiting, for each worker: what bounds the memory
_SAME_SCENE = 0.7  # correlation at 64x64; genuine pairs have 0.93 and more
_SHARPER = 0.95  # ratio of gradient energies below which the sharp side is the blurrier one
_AS_SHARP = 1.01  # below which the blurred side may be a copy, with JPEG's errors or noise on it
_BARELY_SHARPER, _BARELY_DIFFERENT = 1.02, 35.0  # and dB; genuine pairs have 1.03 and more
_GREY, _COLOURED = 0.5, 3.0  # grey levels between the channels
_EXCHANGED = 1.0  # dB that are won by exchanging red and blue
_ENOUGH, _SHARED_SHIFT = 5, 0.5  # pairs, whose mean shift in pixels is told; genuine have 0.3
_SINGLE_COLOUR = 4  # grey levels between darkest and brightest
_SIDES = ("blurred", "sharp")


def inspect(
    source,
    split=None,
    blur="blur",
    *,
    shift=SHIFT,
    tolerance=TOLERANCE,
    workers=None,
    progress=None,
):
    """Reads and measures every pair of a folder or dataset, and collects all that is wrong.

    Looked for: files that cannot be read, have no partner or differ in size; sides that are turned
    against each other, equal, swapped, of different scenes, of exchanged colours, shifted; images
    that are there twice, in one split or in several; see ``findings.KINDS``. The same file is
    recognized by its pixels; a copy that was compressed again or cropped is not.

    Args:
        source: Folder of pairs in any layout that `layouts.pairs` understands, or the name of a
            dataset that has been prepared, as `catalog.pairs` takes it.
        split: Split to look at; None takes all there are, and compares them.
        blur: As in `layouts.pairs`.
        shift: Pixels by which a blurred image may be off its sharp one.
        tolerance: Share of the pairs, in [0, 1], that may be shifted, swapped, of other scenes or
            colours, or blank, before that is an error: these are estimates. Of 20 pairs and more a
            single one may, unless it is 0: of less than 100, 1 % would be none at all.
        workers: Threads; as many as there are cores if left out.
        progress: Function that takes the number of pairs and returns a context manager, whose
            target is told of each by ``start(name)`` and ``advance()``; None for silence.

    Returns:
        `findings.Inspection`.

    Raises:
        DatasetError: The folder, the dataset or the split does not exist, or it is not prepared.
        ValueError: ``shift`` is negative or ``tolerance`` not in [0, 1].

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for side in ("blur", "sharp"):
        ...         ramp = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
        ...         _ = images.write(Path(folder) / side / "1.png", ramp)
        ...     result = inspect(folder)
        >>> result.ok, [finding.kind for finding in result.findings]
        (False, ['identical'])
    """
    if shift < 0 or not 0 <= tolerance <= 1:
        raise ValueError(
            f"shift must not be negative and tolerance in [0, 1]; got {shift} and {tolerance}"
        )
    tasks, remarks = [], []
    for name in [split] if split else catalog.splits(source, blur) or [None]:
        found, lone, said = _search(source, name, blur)
        tasks += [(name, pair) for pair in found] + [(name, path) for path in lone]
        remarks += said
    reports = []
    with (
        (progress or contextlib.nullcontext)(len(tasks)) as shown,
        contextlib.closing(_in_threads(_examine, tasks, workers, shift)) as results,
    ):
        for (_, task), result in zip(tasks, results, strict=True):
            if not isinstance(task, Path):
                reports.append(result)
            elif result:
                remarks.append(("unreadable", str(task), result))
            if progress is not None:
                shown.start(task.name)
                shown.advance()
    _mark_repeats(reports)
    remarks += _shared_scenes(reports)
    concluded = _conclude(reports, remarks, tolerance)
    return findings.Inspection(source, blur, reports, concluded, _notes(reports, blur))


def _search(source, split, blur):
    """Returns the pairs of a split, the files without a partner, and remarks on the rest."""
    problems = []
    collect = lambda *problem: problems.append(problem)  # noqa: E731
    found = catalog.search(source, split, blur, problem=collect)
    paired = {path for pair in found for path in (pair.blurred, pair.sharp)}
    lone, remarks = [], []
    for kind, message, paths in problems:
        if kind == "no partner":
            lone += paths
            remarks += [(kind, str(path), "") for path in paths]
        elif kind == "nothing" and len(problems) > 1:
            continue  # the others say why
        elif kind == "ambiguous" and len(paths) > 1:
            remarks.append((kind, str(paths[1]), f"beside {paths[0].name}"))
        elif kind != "unreadable" or paths[0] not in paired:  # else it is met again
            remarks.append((kind, str(paths[0]), message.removeprefix(f"{paths[0]}: ")))
    return found, lone, remarks


def _in_threads(function, tasks, workers, *arguments):
    """Yields the results in order, with no more than a few tasks ahead of the consumer."""
    workers = workers or os.cpu_count() or 1
    remaining = iter(tasks)
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        waiting = collections.deque()
        while True:
            for split, task in itertools.islice(remaining, workers * _AHEAD - len(waiting)):
                waiting.append(pool.submit(function, split, task, *arguments))
            if not waiting:
                return
            yield waiting.popleft().result()


def _examine(split, task, largest_shift):
    """Returns the report on a pair; of a file without partner, what is wrong with it, or None."""
    if isinstance(task, Path):
        return _read(task)[1]
    report = findings.PairReport(split, task)
    sources = records.sources(task)
    read = [_read(source) for source in sources]
    if any(why for _, why in read):
        report.faults["unreadable"] = "; ".join(
            f"{records.where(source)}: {why}"
            for source, (_, why) in zip(sources, read, strict=True)
            if why
        )
        return report
    sides = [image for image, _ in read]
    if len(sides) == 1:
        width = sides[0].shape[1]
        if width % 2:
            report.faults["size"] = f"the file has an odd width of {width} pixels"
            return report
        sides = [np.ascontiguousarray(half) for half in np.hsplit(sides[0], 2)]
    report.height, report.width = sides[0].shape[:2]
    if not _incomparable(report, *sides):
        _compare(report, *sides, largest_shift)
    return report


def _read(source):
    """Returns the image, or None, and what is wrong with it, or None."""
    try:
        return records.read(source), None
    except Exception as error:  # whatever one file does, the others are checked
        reason = str(error).strip().split("\n")[0].removeprefix(f"{records.where(source)}: ")
        return None, reason or type(error).__name__


def _incomparable(report, blurred, sharp):
    """Notes what makes it pointless to compare further, and says whether there is anything."""
    faults = report.faults
    for name, image in zip(_SIDES, (blurred, sharp), strict=True):
        if int(image.max()) - int(image.min()) <= _SINGLE_COLOUR:
            faults["blank"] = f"the {name} image"
            return True
    if blurred.shape != sharp.shape:
        width, height = sharp.shape[1::-1]
        turned = blurred.shape[:2] == (width, height) and measures.turn(sharp, blurred)
        sizes = f"blurred {report.width}x{report.height}, sharp {width}x{height}"
        if turned:
            faults["turned"] = f"{sizes}; the blurred image is {turned}{_exif(report.pair)}"
        else:
            faults["size"] = sizes
        return True
    report.digests = tuple(_digest(image) for image in (blurred, sharp))
    report.psnr = measures.psnr(blurred, sharp)
    if math.isinf(report.psnr):
        faults["identical"] = ""
        return True
    return False


def _compare(report, blurred, sharp, largest_shift):
    faults = report.faults
    report.resemblance = measures.resemblance(blurred, sharp)
    if report.resemblance < _SAME_SCENE:
        if turned := measures.turn(sharp, blurred):
            faults["turned"] = f"the blurred image is {turned}{_exif(report.pair)}"
        else:
            faults["different"] = f"correlation {report.resemblance:.2f}"
        return
    right, down, report.gain = measures.displacement(blurred, sharp)
    report.shift = right, down
    if math.hypot(right, down) > largest_shift:
        faults["misaligned"] = (
            f"blurred image {_off(right, down)}; undone, {report.gain:.1f} dB more"
        )
    energy = measures.sharpness(blurred)
    report.sharpness = measures.sharpness(sharp) / energy if energy else math.inf
    if report.sharpness < _SHARPER:
        faults["swapped"] = f"gradient energy {report.sharpness:.2f} times the blurred one's"
    elif report.sharpness < (_BARELY_SHARPER if report.psnr > _BARELY_DIFFERENT else _AS_SHARP):
        faults["no blur"] = f"gradient energy {report.sharpness:.2f} times the blurred one's"
    colours = [measures.colourfulness(image) for image in (blurred, sharp)]
    if min(colours) < _GREY and max(colours) > _COLOURED:
        faults["colours"] = f"the {_SIDES[np.argmin(colours)]} image is grey"
    elif min(colours) > _GREY:
        exchanged = measures.psnr(np.ascontiguousarray(blurred[..., ::-1]), sharp)
        if exchanged > report.psnr + _EXCHANGED:
            faults["colours"] = f"red and blue exchanged; {exchanged:.1f} dB when put back"


def _digest(image):
    digest = hashlib.blake2b(str(image.shape).encode(), digest_size=16)
    digest.update(image)
    return digest.digest()


def _exif(pair):
    """Words the EXIF orientations of two files, if they differ."""
    try:
        tags = [headers.peek(source).orientation for source in (pair.blurred, pair.sharp)]
    except images.ImageError:
        return ""
    if tags[0] == tags[1]:
        return ""
    tags = ["none" if tag == 1 else tag for tag in tags]  # as if there were none
    texts = [f"{tag} on the {side}" for tag, side in zip(tags, _SIDES, strict=True)]
    return f"; EXIF orientation {texts[0]}, {texts[1]} file"


def _mark_repeats(reports):
    """Marks the pairs whose images are met again, in another split or as another blurred image."""
    places = collections.defaultdict(list)
    for report in reports:
        for side, digest in zip(_SIDES, report.digests or (), strict=False):
            places[digest].append((report, side))
    for met in places.values():
        for (report, side), (other, its_side) in itertools.permutations(met, 2):
            if other is report:
                continue
            if other.split != report.split and "train" in (other.split, report.split):
                kind = "leak"
            elif "blurred" in (side, its_side) and "identical" not in report.faults:
                kind = "repeated"
            else:  # one sharp photograph with several blurs is how synthetic pairs are made
                continue
            text = f"its {side} image is the {its_side} one of {other.label}"
            report.faults.setdefault(kind, text)


def _shared_scenes(reports):
    """Returns remarks on scenes that the training split shares with another one."""
    splits = collections.defaultdict(dict)
    for report in reports:
        if report.scene:
            splits[report.scene].setdefault(report.split)
    return [
        ("scene", scene, f"in {', '.join(names)}")
        for scene, names in splits.items()
        if len(names) > 1 and "train" in names
    ]


def _conclude(reports, remarks, tolerance):
    """Sums up by kind the faults of pairs, and those of files and folders; errors first."""
    concluded = []
    for name, kind in findings.KINDS.items():
        items = [(r.label, r.faults[name]) for r in reports if name in r.faults]
        others = [(label, detail) for of, label, detail in remarks if of == name]
        count = len(items + others)
        if not count:
            continue
        limit = tolerance if kind.limit is None else kind.limit
        allowed = limit * len(reports)
        if kind.limit is None and tolerance and len(reports) >= _MANY:
            allowed = max(allowed, 1)
        severe = limit < findings.NEVER and count > allowed
        subject = f"{count} of {len(reports)} pairs"
        if others:
            subject = f"{count} {kind.noun}" + "s" * (count != 1)
        concluded.append(
            findings.Finding(
                kind=name,
                severity="error" if severe else "warning",
                message=f"{subject} {kind.title}",
                advice=kind.advice,
                items=items + others,
            )
        )
    return sorted(concluded, key=lambda finding: finding.severity)


def _notes(reports, blur):
    return [*_shift_note(reports), *_gamma_note(reports, blur)]


def _shift_note(reports):
    """Tells of a shift that all pairs share: too small in each, it shows in the mean."""
    shifts = [report.shift for report in reports if report.shift]
    if len(shifts) < _ENOUGH:
        return []
    right, down = np.mean(shifts, axis=0)
    if math.hypot(right, down) < _SHARED_SHIFT:
        return []
    return [
        f"over all pairs, the blurred image is {_off(right, down)} on average; if that is not"
        " wanted, cut both sides from the same place, or take the middle frame as the sharp one"
    ]


def _off(right, down):
    return (
        f"{abs(right):.1f} px to the {'right' if right > 0 else 'left'} and"
        f" {abs(down):.1f} px {'down' if down > 0 else 'up'}"
    )


def _gamma_note(reports, blur):
    files = [r.pair.blurred for r in reports if isinstance(r.pair.blurred, Path)]
    for file in files:
        for folder in file.parents:
            if blur == folder.name == "blur" and (folder.parent / "blur_gamma").is_dir():
                return [
                    "there is a blur_gamma/ beside blur/ (frames averaged in linear light); checked"
                    " was blur/, which training takes too unless it is told --blur blur_gamma"
                ]
    return []
