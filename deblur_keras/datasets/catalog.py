"""Names datasets: ``"gopro/light"`` wherever a folder of pairs is taken.

`register` makes TensorFlow Datasets find this package's builders, so that ``tfds.load`` and ``tfds
build`` know their names; importing ``deblur_keras.datasets`` does it. TensorFlow itself is not
needed for any of this, nor for reading pairs.
"""

import dataclasses
import difflib
import functools
import importlib
import os
import shlex
from pathlib import Path

from deblur_keras.datasets import kohler_folder, layouts, records
from deblur_keras.datasets.layouts import DatasetError

_PACKAGE = __name__.rpartition(".")[0]


@dataclasses.dataclass(frozen=True)
class Entry:
    """Says what can be asked of a dataset.

    Attributes:
        configs: Dictionary from the names of its configurations, the default one first, to the
            names of their splits; the name is empty where there are no configurations.
        blurs: Dictionary from what ``blur`` may be to the name of that image.
    """

    configs: dict[str, tuple[str, ...]]
    blurs: dict[str, str] = dataclasses.field(default_factory=lambda: {"blur": "blurred"})


_BOTH = ("train", "test")
DATASETS = {
    "gopro": Entry(
        dict.fromkeys(("large", "light", "halved"), _BOTH),
        {"blur": "blurred", "blur_gamma": "blurred_gamma"},
    ),
    "hide": Entry({"": _BOTH}),
    "kohler": Entry({"": ("test",)}),
    "levin": Entry({"": ("test",)}),
    "realblur": Entry(dict.fromkeys(("j", "r"), _BOTH)),
    "reds": Entry({"full": ("train", "validation"), "validation": ("validation",)}),
}
"""Dictionary from the names of this package's datasets to their `Entry`."""


def names():
    """Lists the names of all datasets, with their configurations.

    Returns:
        List of strings.

    Example:
        >>> names()[:4]
        ['gopro/large', 'gopro/light', 'gopro/halved', 'hide']
    """
    return [
        f"{name}/{config}" if config else name
        for name, entry in DATASETS.items()
        for config in entry.configs
    ]


def is_name(source):
    """Tells whether a name of a dataset is meant, and not a folder.

    An existing folder is always a folder.

    Args:
        source: What a user gave, a string or a path.

    Returns:
        Whether its first part is the name of a dataset. Whether there is such a configuration is
        for `resolve` to say.

    Example:
        >>> is_name("gopro/light"), is_name("photos/light")
        (True, False)
    """
    return Path(source).as_posix().partition("/")[0] in DATASETS and not Path(source).is_dir()


def resolve(name):
    """Splits a name into dataset and configuration.

    Args:
        name: For example ``"gopro/light"``, or ``"gopro"`` for its first configuration.

    Returns:
        ``(dataset, configuration)``; the second is None for datasets without configurations.

    Raises:
        DatasetError: There is no such dataset or configuration; the known ones are listed.

    Example:
        >>> resolve("gopro/light"), resolve("hide"), resolve("realblur")
        (('gopro', 'light'), ('hide', None), ('realblur', 'j'))
    """
    name = Path(name).as_posix()
    dataset, _, config = name.partition("/")
    configs = DATASETS[dataset].configs if dataset in DATASETS else {}
    if not configs or (config and config not in configs):
        close = difflib.get_close_matches(name, names(), n=1)
        hint = f" Did you mean {close[0]}?" if close else ""
        raise DatasetError(
            f"{name}: expected the name of a dataset; known are {', '.join(names())}.{hint}"
        )
    return dataset, config or next(iter(configs)) or None


def splits(source, blur="blur"):
    """Names the splits of a folder of pairs, or of a dataset.

    Args:
        source: Folder, as `layouts.splits` takes it, or name, as `resolve` does.
        blur: As in `pairs`.

    Returns:
        List of names; empty for what is neither.

    Raises:
        DatasetError: There is no such configuration.

    Example:
        >>> splits("gopro/light"), splits("reds/validation")
        (['train', 'test'], ['validation'])
    """
    if is_name(source):
        dataset, config = resolve(source)
        return list(DATASETS[dataset].configs[config or ""])
    if kohler_folder.is_kohler(source):
        return ["test"]
    return layouts.splits(source, blur) if Path(source).is_dir() else []


def pairs(source, split=None, blur="blur", data_dir=None):
    """Finds the pairs of a folder, or of a dataset that has been prepared, and checks them.

    Args:
        source: Folder, as `layouts.pairs` or `kohler_folder.pairs` takes it, or name, as `resolve`
            does.
        split: Name of the split. May be left out when there is only one.
        blur: Blurred side of GoPro: ``"blur"``, or ``"blur_gamma"`` for the version that was
            averaged in linear light.
        data_dir: Folder of prepared datasets; by default the environment variable
            ``TFDS_DATA_DIR``, else ``~/tensorflow_datasets``.

    Returns:
        List sorted by name, of `Pair` for a folder (`Shot` for one of Koehler's), and of
        `records.Record` for a dataset. All have a ``name`` and a ``read()`` that gives both
        images; nothing is kept in memory.

    Raises:
        DatasetError: As `layouts.pairs` says; or there is no such dataset, split or blurred side;
            or the dataset is not prepared, with the commands that do it.
        ImageError: One of the few images that are looked at is broken.
    """
    if Path(source).is_dir() and not kohler_folder.is_kohler(source):
        return layouts.pairs(source, split, blur)
    found = search(source, split, blur, data_dir)
    layouts.check_distinct(found)
    return found


def search(source, split=None, blur="blur", data_dir=None, problem=None):
    """Finds pairs without looking at any image; `pairs` checks a few too.

    Args:
        source: As in `pairs`.
        split: As in `pairs`.
        blur: As in `pairs`.
        data_dir: As in `pairs`.
        problem: As in `layouts.search`, for folders.

    Returns:
        As `pairs`.

    Raises:
        DatasetError: As `pairs` says, but for what is in the images.
    """
    if not is_name(source):
        if not Path(source).is_dir():
            raise DatasetError(
                f"{source}: expected a folder with image pairs, or one of {', '.join(names())};"
                " there is no such folder"
            )
        if not kohler_folder.is_kohler(source):
            return layouts.search(source, split, blur, problem)
        if split not in (None, "test"):
            raise DatasetError(f"{source}: there is no split {split!r}; present: test")
        return kohler_folder.pairs(source)
    dataset, _ = resolve(source)
    blurs, present = DATASETS[dataset].blurs, splits(source)
    if blur not in blurs:
        raise DatasetError(f"{source} has no blurred side {blur!r}; there is {' and '.join(blurs)}")
    if split is None and len(present) == 1:
        (split,) = present
    if split not in present:
        wrong = f"there is no split {split!r}"
        if split is None:
            wrong = f"say which split to use (split={present[0]!r})"
        raise DatasetError(f"{source}: {wrong}; present: {', '.join(present)}")
    return _records(_prepared(source, data_dir), split, blurs[blur])


def prepare(name, data_dir=None, manual_dir=None):
    """Downloads and prepares a dataset, unless that has been done.

    Args:
        name: As in `resolve`.
        data_dir: As in `pairs`.
        manual_dir: Folder of archives that were fetched by hand; by default
            ``<data_dir>/downloads/manual``.

    Returns:
        The folder it lies in, a `pathlib.Path`.

    Raises:
        DatasetError: An archive is missing or not what it should be.
    """
    import tensorflow_datasets as tfds

    builder = _builder(name, data_dir)
    try:
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(
                manual_dir=manual_dir and Path(manual_dir).expanduser(),
                compute_stats=tfds.download.ComputeStatsMode.SKIP,
            )
        )
    except (ConnectionError, tfds.core.download.util.DownloadError) as error:
        raise DatasetError(_unreachable(builder, error)) from error
    except OSError as error:
        if type(error).__module__.startswith("requests"):
            raise DatasetError(_unreachable(builder, error)) from error
        raise
    return Path(builder.data_dir)


@functools.cache
def register():
    """Makes TensorFlow Datasets know the builders of this package by name.

    The builders are imported when their names are first used. TensorFlow is not imported. Calling
    it again does nothing.

    Example:
        >>> register()
        >>> import tensorflow_datasets as tfds
        >>> tfds.builder_cls("gopro").name
        'gopro'
    """
    from tensorflow_datasets.core import registered

    # First, so that a name is not looked for among all of TFDS's own datasets.
    registered.add_dataset_builder_provider(_Provider(), index=0)


class _Provider:
    """Gives TensorFlow Datasets the builders; it asks for every name that is used."""

    def has_dataset(self, name):
        return name in DATASETS

    def get_builder_cls(self, name):
        return importlib.import_module(f"{_PACKAGE}.{name}.{name}_dataset_builder").Builder


def _builder(name, data_dir):
    import tensorflow_datasets as tfds

    register()
    dataset, config = resolve(name)
    # TFDS reads the variable once, when it is imported; here it counts when it is needed.
    data_dir = data_dir or os.environ.get("TFDS_DATA_DIR") or None
    return tfds.builder(
        f"{dataset}/{config}" if config else dataset,
        data_dir=data_dir and Path(data_dir).expanduser(),
    )


def _unreachable(builder, error):
    reason = str(error).strip().split("\n")[0]
    return (
        f"{builder.name} could not be downloaded ({reason}). Where there is no network, fetch it by"
        f" hand, and give its folder as --manual-dir. {_by_hand(builder)}"
    )


def _by_hand(builder):
    return " ".join(builder.MANUAL_DOWNLOAD_INSTRUCTIONS.split())


def _prepared(name, data_dir):
    """Returns the builder of a dataset that has been prepared."""
    builder = _builder(name, data_dir)
    root = builder.data_dir_root
    if not Path(builder.data_dir, "dataset_info.json").is_file():  # written last
        name = "/".join(filter(None, resolve(name)))
        raise DatasetError(
            f"{name} is not prepared in {root}. Prepare it once, with: {_command(name, root)} (or,"
            f" after pip install apache-beam mlcroissant, with: tfds build {name} --imports"
            f" deblur_keras.datasets --data_dir {root} ). Archives that were fetched by hand are"
            f" looked for in {root}/downloads/manual, or where --manual-dir says."
            f" {_by_hand(builder)}"
        )
    if builder.info.file_format.value != "tfrecord":
        raise DatasetError(
            f"{builder.data_dir}: expected TFRecord files, got {builder.info.file_format.value};"
            f" prepare {name} again without --file_format"
        )
    return builder


def _command(name, root):
    return f"deblur-keras data prepare {name} --data-dir {shlex.quote(str(root))}"


def _records(builder, split, blurred):
    found = []
    for path in builder.info.splits[split].filepaths:
        for values in records.index(path, {"name", blurred, "sharp", "frames"}):
            try:
                (name,), (first,), (second,) = (values[key] for key in ("name", blurred, "sharp"))
            except (KeyError, ValueError):
                raise DatasetError(
                    f"{path}: expected examples with a name, {blurred} and sharp, got"
                    f" {', '.join(sorted(values)) or 'others'}; was it made by another builder of"
                    f" the name {builder.name}? Use another data_dir"
                ) from None
            found.append(_record(name.read().decode(), {blurred: first, "sharp": second}, values))
    return sorted(found, key=lambda record: record.name)


def _record(name, sides, values):
    blurred, sharp = (
        dataclasses.replace(stored, name=f"{name} {side}") for side, stored in sides.items()
    )
    frames = tuple(
        dataclasses.replace(stored, name=f"{name} frame {number}")
        for number, stored in enumerate(values.get("frames", ()))
    )
    return records.Record(name, blurred, sharp, frames)
