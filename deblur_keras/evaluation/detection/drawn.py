"""Boxes that people drew: text files of one line a box, in YOLO's form or as corners in pixels."""

import hashlib
import json
import re
from pathlib import Path, PurePosixPath

import numpy as np

from deblur_keras.evaluation.detection.boxes import (
    DetectionError,
    Detections,
    read_names,
    read_text,
)

FORMS = {
    "yolo": "class, centre x, centre y, width, height, in parts of the image's width and height",
    "corners": "class, left, top, right, bottom, in pixels",
}
"""The two forms of a line, as `DrawnBoxes` knows them."""

_CLASS_LIST = "classes.txt"  # where labelImg keeps the names beside its boxes
_LARGEST_PART = 1.001  # annotation tools round parts of the image up a little
_SHOWN = 5  # names listed in an error

# One class under the names of VOC (and of darknet's coco.names) and of COCO.
_SYNONYMS = {
    "aeroplane": "airplane",
    "couch": "sofa",
    "motorcycle": "motorbike",
    "television": "tvmonitor",
    "tv": "tvmonitor",
}


class _NoBoxes(DetectionError):
    """Says that an image has no file of boxes."""


class DrawnBoxes:
    r"""Gives the hand-drawn boxes of images by the images' names.

    A folder holds a text file for each image, ``<name>.txt``, with a line for each box. Both forms
    of `FORMS` are understood; which one it is shows in the numbers, as no photograph is a pixel
    wide. The class is a name or a number. Names are compared without regard to case, spaces and
    hyphens, and "couch" is a "sofa", "tv" a "tvmonitor", and so on, as COCO and VOC have it.
    Numbers are places in the detector's list, or in ``classes.txt`` where the folder has one.

    Boxes of classes that the detector does not know are left out of the truth, as it cannot find
    them, and counted.

    Args:
        directory: Folder of the text files, searched to the bottom.
        names: The detector's class names.
        form: ``"yolo"`` or ``"corners"``; None tells by looking.

    Attributes:
        form: The form found or given.
        unknown: Dictionary from the classes that the detector does not know to their boxes' number.

    Raises:
        DetectionError: No text files, a line that is no box, a box without area, a class number
            without a name, files of both forms, or no class that the detector knows.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = (Path(folder) / "a.txt").write_text("Dog 0.5 0.5 0.2 0.4\nunicorn .1 .1 .1 .1")
        ...     drawn = DrawnBoxes(folder, ["cat", "dog"])
        ...     drawn.form, drawn.unknown, drawn.boxes("a", height=100, width=200).to_list()
        ('yolo', {'unicorn': 1}, [[1, 1.0, 80.0, 30.0, 120.0, 70.0]])
    """

    def __init__(self, directory, names, form=None):
        self.directory = Path(directory)
        if form is not None and form not in FORMS:
            raise DetectionError(
                f"expected one of {', '.join(FORMS)} as the boxes' form; got {form!r}"
            )
        if not self.directory.is_dir():
            raise DetectionError(f"{self.directory}: expected a folder of boxes, a .txt an image")
        paths = sorted(p for p in self.directory.rglob("*.txt") if p.name != _CLASS_LIST)
        if not paths:
            raise DetectionError(f"{self.directory}: expected a text file of boxes for each image")
        places = {canonical(name): place for place, name in reversed(list(enumerate(names)))}
        numbered = names
        if (self.directory / _CLASS_LIST).exists():
            numbered = read_names(self.directory / _CLASS_LIST)
        self.unknown, self._files = {}, {}
        for path in paths:
            key = path.relative_to(self.directory).with_suffix("").as_posix()
            lines = []
            for number, line in enumerate(read_text(path).splitlines(), 1):
                if not line.strip():
                    continue
                name, values = _parse(line, f"{path}, line {number}")
                if canonical(name) not in places and re.fullmatch(r"\d+", name):
                    if int(name) >= len(numbered):
                        raise DetectionError(
                            f"{path}, line {number}: expected a class number below "
                            f"{len(numbered)}, the number of class names, got {name}"
                        )
                    name = numbered[int(name)]
                place = places.get(canonical(name))
                if place is None:
                    self.unknown[name] = self.unknown.get(name, 0) + 1
                lines.append((place, values, number))
            self._files[key] = lines
        self._keys = {}  # own name: all keys that end in it
        for key in self._files:
            self._keys.setdefault(PurePosixPath(key).name, []).append(key)
        self.form = form or self._look()
        self._check_sides()
        known = any(line[0] is not None for lines in self._files.values() for line in lines)
        if self.unknown and not known:
            raise DetectionError(
                f"{self.directory}: the detector knows none of the boxes' classes "
                f"({_listed(self.unknown)}); its own are {_listed(names)}: give the names that "
                "belong to it"
            )

    def boxes(self, name, height, width, scale=1.0):
        """Looks up the boxes of an image.

        Args:
            name: Name of the image's pair, such as ``"scene/000614"``. A file of the whole name is
                taken, or else the only one whose own name is ``000614``.
            height: Of the image, in pixels.
            width: Of the image, in pixels.
            scale: Factor by which the image was resized after the boxes were drawn.

        Returns:
            `Detections` with scores of 1, cut off at the image's edges.

        Raises:
            DetectionError: There is no file for the image, or several would do.
        """
        lines = [line for line in self._files[self._key(name)] if line[0] is not None]
        corners = np.array([values for _, values, _ in lines], dtype=float).reshape(-1, 4)
        if self.form == "yolo":
            middle, half = corners[:, :2], corners[:, 2:] / 2
            corners = np.hstack([middle - half, middle + half]) * [width, height, width, height]
        else:
            corners = corners * scale
            if (corners > 1.01 * np.array([width, height, width, height]) + 1).any():
                raise DetectionError(
                    f"{self.directory}: boxes of {name} reach beyond the image of {width}x{height} "
                    "px; were they drawn on one of another size?"
                )
        found = Detections([place for place, _, _ in lines], np.ones(len(lines)), corners)
        return found.clipped(height, width)

    def unknown_count(self, name):
        """Counts the boxes of an image that were left out, their classes being unknown.

        Args:
            name: As in `boxes`.
        """
        return sum(line[0] is None for line in self._files[self._key(name)])

    def check(self, names):
        """Checks that every image has its file.

        Args:
            names: Iterable of names, as in `boxes`.

        Raises:
            DetectionError: Images without a file, which are named, or with several.
        """
        missing = []
        for name in names:
            try:
                self._key(name)
            except _NoBoxes as error:
                missing.append((name, error))
        if len(missing) == 1:
            raise missing[0][1]
        if missing:
            raise _NoBoxes(
                f"{self.directory}: no boxes for {len(missing)} images: "
                f"{_listed([name for name, _ in missing])}; expected a file <name>.txt for each "
                "(an empty one says that nothing is there to be found)"
            )

    def facts(self):
        """Collects what the truth depends on, for a protocol.

        Returns:
            Dictionary of plain values: ``boxes``, the folder; ``boxes_form``; and ``boxes_sha256``,
            a digest of the boxes of all files and their classes.
        """
        text = json.dumps(
            [[key, [line[:2] for line in lines]] for key, lines in sorted(self._files.items())]
        )
        return {
            "boxes": str(self.directory),
            "boxes_form": self.form,
            "boxes_sha256": hashlib.sha256(text.encode()).hexdigest(),
        }

    def _key(self, name):
        name = PurePosixPath(str(name)).as_posix()
        if name in self._files:
            return name
        same = self._keys.get(PurePosixPath(name).name, [])
        if len(same) == 1:
            return same[0]
        if same:
            raise DetectionError(
                f"{self.directory}: several files could hold the boxes of {name}: {_listed(same)}; "
                f"name the right one {name}.txt"
            )
        raise _NoBoxes(
            f"{self.directory}: no boxes for {name}; expected a file {name}.txt (an empty one says "
            "that nothing is there to be found)"
        )

    def _look(self):
        """Tells the form from the numbers: parts of the image do not exceed 1."""
        forms = {
            key: "yolo" if max(max(line[1]) for line in lines) <= _LARGEST_PART else "corners"
            for key, lines in self._files.items()
            if lines
        }
        if len(set(forms.values())) > 1:
            examples = {form: key for key, form in forms.items()}
            raise DetectionError(
                f"{self.directory}: {examples['yolo']}.txt seems to be in parts of the image and "
                f"{examples['corners']}.txt in pixels; expected one form in a folder, or name it"
            )
        return next(iter(forms.values()), "yolo")

    def _check_sides(self):
        """Checks that every box has an area and, in parts of the image, that they are parts."""
        for key, lines in self._files.items():
            for _, values, number in lines:
                fault = (_fault_of_yolo if self.form == "yolo" else _fault_of_corners)(*values)
                if fault:
                    got = " ".join(f"{value:g}" for value in values)
                    raise DetectionError(
                        f"{self.directory / key}.txt, line {number}: expected {fault[0]}, got "
                        f"{got}; {fault[1]}"
                    )


def canonical(name):
    """Reduces a class name to what is compared.

    Example:
        >>> canonical("Potted Plant"), canonical("couch")
        ('pottedplant', 'sofa')
    """
    plain = re.sub(r"[\s_-]+", "", str(name)).lower()
    return _SYNONYMS.get(plain, plain)


def _fault_of_corners(left, top, right, bottom):
    """Returns what was expected of corners and what they are, or None."""
    if left < right and top < bottom:
        return None
    return "left < right and top < bottom", "corners are left top right bottom"


def _fault_of_yolo(x, y, width, height):
    """Returns what was expected of a box in parts of the image and what it is, or None."""
    order = "the order is centre x, centre y, width, height, in parts of the image"
    if not (width > 0 and height > 0):
        return "width and height above 0", order
    if min(x, y) < 1 - _LARGEST_PART or max(x, y, width, height) > _LARGEST_PART:
        return "numbers from 0 to 1", order
    return None


def _parse(line, where):
    """Splits a line into the class, which may have spaces, and four numbers."""
    fields = line.split()
    try:
        values = tuple(float(field) for field in fields[-4:])
        if len(fields) < 5 or not np.isfinite(values).all():
            raise ValueError
    except ValueError:
        raise DetectionError(
            f"{where}: expected a class and four numbers ({'; or '.join(FORMS.values())}), got "
            f"{line.strip()[:60]!r}"
        ) from None
    name = " ".join(fields[:-4])
    if len(fields) > 5 and all(re.fullmatch(r"[\d.eE+-]+", field) for field in fields):
        raise DetectionError(
            f"{where}: expected a class and four numbers, got {len(fields)} numbers; confidences "
            "and outlines do not belong in boxes drawn by hand"
        )
    return name, values


def _listed(names):
    shown = [str(name) for name in list(names)[:_SHOWN]]
    return ", ".join(shown) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
