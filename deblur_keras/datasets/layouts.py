"""Finds the pairs of blurred and sharp photographs in a folder, and checks them before use.

Nothing in this field fails more often than the pairing: folders listed in different orders,
``blur`` taken for ``blur_gamma``, a folder compared with itself. So pairs are matched by name and
never by sort order, and whatever looks wrong is an error that names the files.
"""

import dataclasses
from pathlib import Path

import numpy as np

from deblur_keras import images
from deblur_keras.datasets import headers, measures

# Blurred first. In the authors' combine_A_and_B.py, A is the blurred side and B the sharp one.
SIDES = (("blur", "sharp"), ("input", "target"), ("A", "B"))
SPLITS = ("train", "test", "val", "valid", "validation")

_SCENE_DEPTH = 3  # folders between the directory and the two sides: <split>/<group>/<scene>
_SHOWN = 5  # names listed in an error
_LEAST_RESEMBLANCE = 0.9  # correlation of the halves of a side-by-side file, at 64x64


class DatasetError(ValueError):
    """Says what is wrong with training or test images, and what to do about it.

    Where it is one image or pair, ``source`` is a text that no other has, else None.
    """

    def __init__(self, message, source=None):
        super().__init__(message)
        self.source = None if source is None else str(source)


@dataclasses.dataclass(frozen=True)
class Pair:
    """Holds the two files of one blurred and sharp photograph.

    Attributes:
        name: What tells this pair from the others: the path below the directory that was searched,
            without the side's folder and without suffix, for example ``"GOPR0374_11_00/000001"``.
        blurred: File of the blurred image.
        sharp: File of the sharp image.
        side_by_side: Whether both are halves of one file, blurred on the left.
    """

    name: str
    blurred: Path
    sharp: Path
    side_by_side: bool = False

    def read(self):
        """Reads both images.

        Returns:
            ``(blurred, sharp)``, uint8 RGB arrays of one shape ``(H, W, 3)``.

        Raises:
            ImageError: A file is missing or broken.
            DatasetError: The two sizes differ, or a side-by-side file has an odd width.
        """
        blurred = images.read(self.blurred)
        if self.side_by_side:
            width = blurred.shape[1]
            if width % 2:
                message = f"a side-by-side file must have an even width, got {width}"
                raise DatasetError(f"{self.blurred}: {message}", self.blurred)
            return blurred[:, : width // 2], blurred[:, width // 2 :]
        sharp = images.read(self.sharp)
        if blurred.shape != sharp.shape:
            sizes = blurred.shape[1::-1], sharp.shape[1::-1]
            names = f"{self.blurred} and {self.sharp}"
            raise DatasetError(_size_message([(self, *sizes)], 1), names)
        return blurred, sharp


def pairs(directory, split=None, blur="blur"):
    """Finds the pairs in a directory, whatever its layout, and checks them.

    Understood, by looking (``train`` stands for any split):

    - GoPro's own tree, ``[train/]<scene>/{blur,blur_gamma,sharp}/*.png``, from the root, the split,
      a folder of scenes, or one scene;
    - ``[train/]{blur,sharp}``, ``[train/]{input,target}`` or ``[train/]{A,B}`` (A is blurred), and
      ``{A,B}/train`` as pix2pix and DeblurGAN keep it;
    - a folder of side-by-side files, blurred on the left; only when there are no folders of sides,
      and only when the halves of the files resemble each other.

    Files are matched by their path below the side's folder; suffixes may differ.

    Args:
        directory: Folder to search.
        split: Name of the sub-folder to use, ``"train"`` or ``"test"``. May be left out when there
            are no splits or only one.
        blur: Name of the blurred side: ``"blur_gamma"`` takes the version of GoPro that was
            averaged in linear light.

    Returns:
        List of `Pair`, sorted by name.

    Raises:
        DatasetError: Nothing was found, a partner is missing, sizes differ, stems are ambiguous,
            the split does not exist or was not given though there are several, or the two sides
            are the same files or the same pixels.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from deblur_keras import datasets, images
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for side in ("blur", "sharp"):
        ...         picture = np.full((8, 8, 3), len(side), np.uint8)
        ...         _ = images.write(Path(folder) / "train" / "scene" / side / "1.png", picture)
        ...     print([pair.name for pair in datasets.pairs(folder, split="train")])
        ['scene/1']
    """
    found = search(directory, split, blur)
    _check_sizes(found)
    check_distinct(found)
    return found


def search(directory, split=None, blur="blur", problem=None):
    """Finds the pairs in a directory by their names; `pairs` checks them too.

    Args:
        directory: As in `pairs`.
        split: As in `pairs`.
        blur: As in `pairs`.
        problem: Called with ``(kind, message, paths)`` for whatever is wrong with single folders
            and files; the search goes on without them. The kind is ``"layout"`` (sides are missing,
            or too many), ``"same folder"``, ``"no partner"``, ``"ambiguous"`` (stems),
            ``"unreadable"`` or ``"nothing"`` (no pair). Left out, each is a `DatasetError`.

    Returns:
        List of `Pair`, sorted by name.

    Raises:
        DatasetError: The directory or the split does not exist, the split was not given though
            there are several, or, without ``problem``, anything is wrong.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from deblur_keras import images
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("blur/1.png", "sharp/1.png", "sharp/2.png"):
        ...         _ = images.write_bytes(Path(folder) / name, b"")
        ...     [pair.name for pair in search(folder, problem=lambda *found: print(found[0]))]
        no partner
        ['1']
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise DatasetError(
            f"{directory}: expected a folder with image pairs; there is no such folder"
        )
    problem = problem or _refuse
    root, within = _choose_split(directory, split, blur)
    scenes = _scenes(root, blur, _SCENE_DEPTH, problem)
    found = [pair for scene in scenes for pair in _match(root, *scene, within, problem)]
    found = found or _side_by_side(root, problem)
    if not found:
        problem("nothing", _nothing_found(root, split, blur), [root])
    return sorted(found, key=lambda pair: pair.name)


def splits(directory, blur="blur"):
    """Names the splits of a directory of pairs.

    Args:
        directory: As in `pairs`.
        blur: As in `pairs`.

    Returns:
        List of names out of ``SPLITS``, in that order: sub-folders of the directory, or of both its
        sides; empty where there are none.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     (Path(folder) / "train").mkdir()
        ...     splits(folder)
        ['train']
    """
    parents = _sides_of(Path(directory), blur) or (Path(directory),)
    return [name for name in SPLITS if all((parent / name).is_dir() for parent in parents)]


def _refuse(kind, message, paths):
    raise DatasetError(message)


def _choose_split(directory, split, blur):
    """Returns the folder to search, and the folder that must come next below each side, or None."""
    present = splits(directory, blur)
    sides = _sides_of(directory, blur)
    if split is None:
        if len(present) > 1:
            raise DatasetError(
                f"{directory}: holds the splits {', '.join(present)}; say which one to use"
                f" (split={present[0]!r})"
            )
        return (directory / present[0] if present and not sides else directory), None
    if (directory / split).is_dir():
        return directory / split, None
    if sides and all((side / split).is_dir() for side in sides):
        return directory, split
    if directory.name == split:
        return directory, None
    folders = present or sorted(
        {entry.name for side in sides or [directory] for entry in _folders(side)}
    )
    raise DatasetError(
        f"{directory}: there is no split {split!r}; present: {_some(folders) or 'none'}"
    )


def _sides_of(folder, blur, problem=_refuse):
    """Returns the two side folders that lie directly in a folder, or None."""
    names = [(blur, "sharp")] if blur != "blur" else SIDES
    there = {entry.name for entry in _folders(folder)}
    complete = [sides for sides in names if there.issuperset(sides)]
    if len(complete) > 1:
        listed = " and ".join("/".join(sides) for sides in complete)
        message = f"{folder}: holds {listed}; which pairs are meant? Give one set a folder"
        problem("layout", message, [folder])
    return tuple(folder / name for name in complete[0]) if complete else None


def _scenes(folder, blur, depth, problem):
    """Returns ``(blurred folder, sharp folder)`` of every scene at or below a folder, sorted."""
    sides = _sides_of(folder, blur, problem)
    if sides:
        return [sides]
    names = {entry.name for entry in _folders(folder)}
    expected = [(blur, "sharp")] if blur != "blur" else SIDES[:2]  # A or B may just be a scene
    for wanted, other in [*expected, *(sides[::-1] for sides in expected)]:
        if wanted in names:
            message = f"{folder}: has {wanted}/ but no {other}/; there are: {_some(sorted(names))}"
            problem("layout", message, [folder])
            return []
    below = _folders(folder) if depth else []
    return [scene for entry in below for scene in _scenes(entry, blur, depth - 1, problem)]


def _match(root, blurred_folder, sharp_folder, within, problem):
    """Returns the pairs of one scene, matched by relative path without suffix."""
    if blurred_folder.samefile(sharp_folder):
        problem(
            "same folder",
            f"{blurred_folder} and {sharp_folder} are the same folder: a network would learn to"
            " change nothing. Point one of them at the other side's images",
            [blurred_folder, sharp_folder],
        )
        return []
    blurred, sharp = (_by_stem(side, within, problem) for side in (blurred_folder, sharp_folder))
    for missing, present, absent in (
        (sorted(blurred.keys() - sharp.keys()), blurred_folder, sharp_folder),
        (sorted(sharp.keys() - blurred.keys()), sharp_folder, blurred_folder),
    ):
        if missing:
            files = blurred if present is blurred_folder else sharp
            problem(
                "no partner",
                f"{len(missing)} of {len(files)} images in {present} have no partner of the same"
                f" name in {absent}: {_some(missing)}. Add the missing files or take these away",
                [files[stem] for stem in missing],
            )
    scene = blurred_folder.parent.relative_to(root)
    return [
        Pair((scene / stem).as_posix(), path, sharp[stem])
        for stem, path in blurred.items()
        if stem in sharp
    ]


def _by_stem(folder, within, problem):
    """Returns the images below a folder by their relative path without suffix."""
    base = folder / within if within else folder
    found = {}
    for path in _images(base):
        stem = path.relative_to(base).with_suffix("").as_posix()
        if stem in found:
            problem(
                "ambiguous",
                f"{found[stem]} and {path} differ only in their suffix, so that it is not clear"
                " which belongs to the other side's image; take one away",
                [found[stem], path],
            )
        found.setdefault(stem, path)
    return found


def _side_by_side(root, problem):
    """Returns the pairs in a folder of side-by-side files; none when that is not what they are."""
    files = []
    for path in _images(root):
        try:
            width, _ = _header_size(path)
        except DatasetError as error:
            problem("unreadable", str(error), [path])
            continue
        if width % 2:
            return []
        files.append(path)
    if not files:
        return []
    found = [
        Pair(path.relative_to(root).with_suffix("").as_posix(), path, path, side_by_side=True)
        for path in files
    ]
    for pair in _sample(found):
        try:
            halves = pair.read()
        except images.ImageError as error:
            problem("unreadable", str(error), [pair.blurred])
            continue
        if measures.resemblance(*halves) < _LEAST_RESEMBLANCE:
            return []
    if len({pair.name for pair in found}) < len(found):
        problem("ambiguous", f"{root}: several files differ only in their suffix", [root])
    return found


def _check_sizes(found):
    """Raises when the sizes of a pair differ, from the files' headers alone."""
    whole = [pair for pair in found if not pair.side_by_side]
    sizes = ((pair, _header_size(pair.blurred), _header_size(pair.sharp)) for pair in whole)
    wrong = [entry for entry in sizes if entry[1] != entry[2]]
    if wrong:
        raise DatasetError(_size_message(wrong, len(whole)))


def check_distinct(found, strict=True):
    """Raises when both sides are the same files, or the sampled pairs have the same pixels.

    Unless ``strict``, sampled pairs that cannot be read are passed over.
    """
    for pair in found:
        if isinstance(pair, Pair) and not pair.side_by_side and pair.blurred.samefile(pair.sharp):
            raise DatasetError(f"{pair.blurred} and {pair.sharp} are the same file")
    sample = [pair for pair in _sample(found) if strict or _is_readable(pair)] if found else []
    if sample and all(np.array_equal(*pair.read()) for pair in sample):
        raise DatasetError(
            f"the blurred and the sharp image are the same, pixel by pixel, in all {len(sample)}"
            f" pairs looked at, such as {sample[0].name}: a network would learn to change nothing."
            " Is one side a copy of the other?"
        )


def _is_readable(pair):
    try:
        pair.read()
    except (images.ImageError, DatasetError):
        return False
    return True


def _header_size(path):
    """Returns (width, height) as displayed, reading no pixels."""
    try:
        return headers.peek(path).size
    except images.ImageError as error:
        raise DatasetError(str(error), error.source) from error


def _size_message(wrong, total):
    shown = "; ".join(
        f"{pair.blurred} is {blurred[0]}x{blurred[1]} but {pair.sharp} is {sharp[0]}x{sharp[1]}"
        for pair, blurred, sharp in wrong[:_SHOWN]
    )
    more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    return f"{len(wrong)} of {total} pairs differ in size (width x height): {shown}{more}"


def _nothing_found(root, split, blur):
    entries = sorted(entry.name + "/" * entry.is_dir() for entry in root.iterdir())
    names = [(blur, "sharp")] if blur != "blur" else SIDES
    looked = ", ".join(f"{first}/ with {second}/" for first, second in names)
    message = (
        f"{root}: found no image pairs. Looked for {looked}, here and up to {_SCENE_DEPTH} folders"
        f" down, and for side-by-side files of even width whose halves are alike;"
        f" there are: {_some(entries) or 'no files'}."
    )
    if any(Path(name).suffix.lower() in images.SUFFIXES for name in entries):
        message += (
            " Of sharp photographs, `deblur-keras blur` makes pairs, and `train --photographs`"
            " trains on them as they are"
        )
    return message


def _sample(found):
    """Returns the first, the middle and the last pair: looking at all would take minutes."""
    return [found[index] for index in sorted({0, len(found) // 2, len(found) - 1}) if found]


def _folders(folder):
    return sorted(
        entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )


def _images(folder):
    return [source.path for source in images.find(folder)]


def _some(names):
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(str, names[:_SHOWN])) + more
