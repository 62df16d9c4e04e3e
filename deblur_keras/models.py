"""Finds, loads and checks the models that restore photographs."""

import io
import math
import re
import zipfile
from pathlib import Path

from deblur_keras import portable

WEIGHTS = Path(__file__).parent / "weights"
"""Folder of the weights that ship: `<name>.keras`, its model card `<name>.md`, and `<name>.graph`,
with which the same network restores without TensorFlow (see `deblur_keras.kernels`)."""

_LARGE = 2**14  # numbers in a kernel that has 8 bits: of the small ones each counts for more
_LARGEST = 127 * 512  # number that is finite in 16 bits however it is rounded


class ModelError(ValueError):
    """A model that cannot be found, loaded, or used to restore photographs."""


class Source:
    """Where a network comes from: a model, or files that hold it.

    Args:
        given: A functional ``keras.Model``; or the path of a ``.keras`` file; or that of an
            ``.onnx`` file that ``deblur-keras export`` wrote; or the name of weights that ship.

    Attributes:
        name: Name of the file or of the model.
        path: The ``.keras`` file, or None.
        portable: The ``.onnx`` or ``.graph`` file, or None; only given to one that is up to date.
        obstacle: What keeps the file for other engines beside the ``.keras`` file from being used;
            empty if nothing does.
        stale: Whether there is such a file all the same, which one wants to be told.

    Raises:
        ModelError: If there is no such model, or it is none that maps images to images.

    Example:
        >>> from deblur_keras.generators import compact_generator
        >>> Source(compact_generator(widths=(4,), blocks=(1,))).name
        'compact_generator'
    """

    def __init__(self, given):
        self._model = self.path = self.portable = None
        self.obstacle, self.stale = "", False
        if not isinstance(given, str | Path):
            self.name = getattr(given, "name", "model")
            self._model = check_model(given, self.name)
            self.obstacle = f"{self.name!r} is a model in memory, whose weights may change"
            return
        path = locate(given)
        self.name = path.stem
        if path.suffix == ".onnx":
            try:
                portable.describe(path)
            except portable.PortableError as error:
                raise ModelError(str(error)) from error
            self.portable = path
            return
        self.path = path
        try:
            self.portable = portable.beside(path)
        except portable.PortableError as error:
            self.obstacle = str(error)
            self.stale = not isinstance(error, portable.MissingError)

    @property
    def model(self):
        """The ``keras.Model``, loaded when it is first asked for.

        Raises:
            ModelError: If there is none, or Keras cannot load it.
        """
        if self._model is None:
            self._model = check_model(load(self._keras_file()), self.name)
        return self._model

    def _keras_file(self):
        if self.path is not None:
            return self.path
        path = self.portable.with_suffix(".keras")
        _, made_from = portable.describe(self.portable)
        if not path.is_file() or portable.sha256(path) != made_from:
            raise ModelError(
                f"{self.portable}: holds a network for the engines openvino and onnxruntime alone; "
                f"what was asked for needs the .keras file that it was made from, as {path}"
            )
        return path


def pretrained_names():
    """Lists the names of the weights that ship with the package.

    Returns:
        Sorted list of str, empty when none ship.

    Example:
        >>> isinstance(pretrained_names(), list)
        True
    """
    return sorted(path.stem for path in WEIGHTS.glob("*.keras"))


def pretrained_path(name):
    """Finds weights that ship with the package.

    Args:
        name: one of `pretrained_names()`.

    Returns:
        `pathlib.Path` of the `.keras` file.

    Raises:
        ModelError: no weights of that name ship.
    """
    if name not in pretrained_names():
        raise ModelError(f"no weights of the name {str(name)!r} ship; {_known_names()}")
    return WEIGHTS / f"{name}.keras"


def locate(given):
    """Finds the file that is meant by a path or a name.

    Args:
        given: Path of a ``.keras`` or ``.onnx`` file, or one of `pretrained_names()`.

    Returns:
        `pathlib.Path`.

    Raises:
        ModelError: If there is no such file, or it is of another kind.
    """
    path = Path(given)
    if path.suffix not in (".keras", ".onnx"):
        if str(given) in pretrained_names():
            return pretrained_path(str(given))
        if path.suffix == portable.GRAPH and path.is_file():
            raise ModelError(f"{given}: holds no kernels; give the .keras file beside it")
        if path.exists():
            raise ModelError(
                f"{given}: not a .keras file; expected a generator saved with "
                "model.save('generator.keras'), one exported with `deblur-keras export MODEL "
                "--format onnx -o MODEL.onnx`, or a name that ships"
            )
    if not path.is_file():
        raise ModelError(
            f"{given}: no such model; expected the path of a .keras or .onnx file or a name that "
            f"ships; {_known_names()}"
        )
    return path


def load(path):
    """Loads a model in Keras's safe mode.

    Args:
        path: Path of a ``.keras`` file.

    Returns:
        ``keras.Model``.

    Raises:
        ModelError: If Keras cannot; tells what to do about a layer that is not registered.
    """
    import keras

    import deblur_keras.layers  # noqa: F401 - registers the layers that the file names

    try:
        with Path(path).open("rb") as file:
            zipped = zipfile.is_zipfile(file)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not zipped:  # for Keras it is not there at all
        raise ModelError(
            f"{path}: no .keras file, which is a zip archive, or one that was cut short; expected "
            "a generator saved with model.save('generator.keras')"
        )
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises ValueError, TypeError, KeyError, OSError, zip errors
        reason = str(error).strip()
        unknown = re.search(r"Could not locate \w+ '([^']+)'", reason)
        if unknown:
            raise ModelError(
                f"{path}: contains {unknown[1]!r}, which is not registered with Keras; import the "
                "module that defines it, decorated with "
                "@keras.saving.register_keras_serializable(), before making the Restorer"
            ) from error
        raise ModelError(
            f"{path}: Keras cannot load it; expected a generator saved with "
            f"model.save('generator.keras'): {reason}"
        ) from error


def save_small(model, path):
    """Saves a model whose weights are rounded, kernels to 8 bits, in about a quarter of the bytes.

    It is for restoring, and no longer for training exactly on: an optimizer's state is rounded too.
    It loads like any other, and computes in what it is made for, float32 as a rule. What
    `conversion.convert` makes of it is as small. Of the weights that ship, rounding changed the
    PSNR of a restored photograph by 0.04 dB at most, and by 0.002 dB on average.

    Args:
        model: ``keras.Model``; its weights are rounded, even if the file cannot be written then.
            None may exceed 65024, and what is below 3e-8 becomes 0. Kernels ``(h, w, in,
            out)`` of 16,384 numbers or more get 255 levels for each of the last axis,
            `kernels.levels` apart; all else has 16 bits.
        path: ``.keras`` file to write, whole or not at all.

    Returns:
        The path, a `pathlib.Path`.

    Raises:
        ModelError: If a weight is too large, or not finite, or the path of another kind.
        OSError: If the file cannot be written.

    Example:
        >>> import tempfile
        >>> from deblur_keras.generators import compact_generator
        >>> model = compact_generator(widths=(4,), blocks=(1,))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     loaded = load(save_small(model, f"{folder}/small.keras"))
        >>> all((a == b).all() for a, b in zip(model.get_weights(), loaded.get_weights()))
        True
    """
    import h5py
    import numpy as np

    from deblur_keras import images

    if Path(path).suffix != ".keras":
        raise ModelError(f"{path}: expected the name of a .keras file")
    weights = [np.asarray(weight) for weight in model.get_weights()]
    if not all((np.abs(weight) <= _LARGEST).all() for weight in weights):
        raise ModelError(f"model {model.name!r}: a weight is beyond {_LARGEST}, or not finite")
    model.set_weights([_rounded(weight) for weight in weights])
    smaller = io.BytesIO()

    def copy(name, item):
        if isinstance(item, h5py.Group):
            made = target.require_group(name)
        else:
            kind = np.float16 if item.dtype == np.float32 else item.dtype
            # With like bytes side by side, what has 8 bits takes hardly more than 8.
            packed = {"compression": 9, "shuffle": True, "chunks": item.shape}
            made = target.create_dataset(
                name, data=item[()].astype(kind), **(packed if item.size > 1 else {})
            )
        made.attrs.update(item.attrs)

    with images.atomic_path(Path(path)) as temporary:
        model.save(temporary, overwrite=True)
        with zipfile.ZipFile(temporary) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        content = io.BytesIO(files["model.weights.h5"])
        with h5py.File(content, "r") as source, h5py.File(smaller, "w") as target:
            target.attrs.update(source.attrs)
            source.visititems(copy)
        files["model.weights.h5"] = smaller.getvalue()
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for name, text in files.items():
                archive.writestr(name, text)
    return Path(path)


def _rounded(weight):
    """Rounds a weight as `save_small` does; float32."""
    import numpy as np

    from deblur_keras import kernels

    if weight.ndim == 4 and weight.size >= _LARGE:
        step = kernels.levels(weight, axis=-1)
        return np.round(weight / step) * step
    return weight.astype(np.float16).astype(np.float32)


def check_model(model, name):
    """Checks that a model maps images of any size to images.

    Args:
        model: What was given as one.
        name: What to call it in an error.

    Returns:
        The same model.

    Raises:
        ModelError: If it does not.
    """
    import keras

    if not isinstance(model, keras.Model):
        raise ModelError(
            f"expected a keras.Model, the path of a .keras file or a name, got {type(model)}"
        )
    expected = (None, None, None, 3)
    shapes = getattr(model, "input_shape", None), getattr(model, "output_shape", None)
    if shapes != (expected, expected):
        raise ModelError(
            f"model {name!r} maps {shapes[0]} to {shapes[1]}; expected {expected} to {expected}: "
            "build it on keras.Input((None, None, 3)), with weights copied by "
            "set_weights(get_weights()), so that it takes any size"
        )
    return model


def describe(model, name):
    """Describes a model as far as restoring needs to know.

    Args:
        model: A functional ``keras.Model`` that maps images to images.
        name: What to call it.

    Returns:
        `portable.Network`.

    Raises:
        ModelError: If the model is not functional, so that its layers cannot be followed.

    Example:
        >>> from deblur_keras.generators import compact_generator
        >>> describe(compact_generator(), "default").halo
        304
    """
    from deblur_keras import generators
    from deblur_keras.generators import stages
    from deblur_keras.generators.receptive_field import receptive_field

    try:
        multiple = generators.size_multiple(model)
        bytes_per_pixel = stages.peak_bytes_per_pixel(model)
        reach = receptive_field(model).reach
    except ValueError as error:
        raise ModelError(f"model {name!r}: {error}") from error
    halo = None if reach == math.inf else math.ceil(reach / multiple) * multiple
    return portable.Network(name, multiple, halo, float(bytes_per_pixel))


def _known_names():
    return f"known names: {', '.join(pretrained_names()) or 'none (no weights are installed)'}"
