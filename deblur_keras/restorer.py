"""Restores photographs of any size with a generator: array in, array out."""

import math
import re
from pathlib import Path

import numpy as np

from deblur_keras import images, memory, photographs

WEIGHTS = Path(__file__).parent / "weights"
"""Folder of the weights that ship, `<name>.keras` each with its model card `<name>.md`."""

_SMALLEST = 16  # px a side that the network sees at least; smaller images are padded to it


class ModelError(ValueError):
    """A model that cannot be found, loaded, or used to restore photographs."""


class Restorer:
    """Removes blur from photographs of any size.

    Args:
        model_or_path: a functional `keras.Model` that maps (None, None, None, 3) in [-1, 1] to
            the same; or the path of one saved as `.keras`; or the name of one that ships (see
            `pretrained_names`). Training a model that was passed in shows in the next image.
        restore_with_dropout: keep dropout layers, and only these, active, as DeblurGAN does. The
            weights are then copied once, here.
        seed: whole number that makes restoring with dropout repeatable: the result then depends
            on the image, its tiles and the seed alone. None draws anew for each image.
        tile: "auto" restores an image whole if that fits the memory budget, else in tiles that do;
            a whole number does it in tiles of so many pixels a side always, None never.
        overlap: most pixels around a tile that the network sees beside it. None gives it all that
            the tile depends on (`generators.receptive_field`), which leaves no seams; less is
            quicker, and the tiles may then differ at their borders.
        memory: how much memory the process may hold at most, in bytes or as text such as "2GB",
            what it holds already included. None takes half of what is free, and no more than about
            2 GB for networks that are as quick in tiles.

    Attributes:
        name: name of the file or of the model.
        model: the `keras.Model`.
        multiple: what heights and widths are padded to multiples of.

    Raises:
        ModelError: there is no such model, or it is none that maps images to images, or `tile` is
            a number and the model cannot be run on parts of an image.
        ValueError: `tile`, `overlap` or `memory` is none of the above.

    Example:
        >>> import numpy as np
        >>> from deblur_keras.generators import compact_generator
        >>> restorer = Restorer(compact_generator(widths=(4,), blocks=(1,)))
        >>> restorer(np.zeros((5, 7, 3), "uint8")).shape
        (5, 7, 3)

    Reference:
        DeblurGAN (Kupyn et al.), section 5: "At inference time we follow the idea of [16] and
        apply both dropout and instance normalization."

    Note:
        Tiles give the result of the whole image, to the rounding of float32 arithmetic: nearly
        all pixels are equal, and the others differ by one level. With instance norms, whose
        statistics are those of the whole image, the network is run norm by norm over all tiles, and
        what the next norm needs is kept: 384 bytes a pixel of the image for DeblurGAN's ResNet, in
        memory, or in a temporary file where it would take more than half of the budget. It takes
        about the time of the whole image. Quicker shortcuts were measured and left out, on
        photographs of 2 to 12 megapixels with the dense generator: tiles by themselves are 4 to 5
        grey levels from the whole image on average and up to 96, statistics from a reduced copy 1
        to 1.7 (up to 25), from an eighth to a quarter of the image in crops 0.4 to 2 (up to 19).
        Dropout that is kept active draws anew in each tile.
    """

    def __init__(
        self,
        model_or_path,
        restore_with_dropout=False,
        seed=None,
        tile="auto",
        overlap=None,
        memory=None,
    ):
        if isinstance(model_or_path, str | Path):
            path = _locate(model_or_path)
            self.name, self.model = path.stem, _load(path)
        else:
            self.name, self.model = getattr(model_or_path, "name", "model"), model_or_path
        _check_model(self.model, self.name)
        from deblur_keras import generators

        try:
            self.multiple = generators.size_multiple(self.model)
        except ValueError as error:
            raise ModelError(f"model {self.name!r}: {error}") from error
        self._dropouts = []
        if restore_with_dropout:
            self.model, self._dropouts = _with_active_dropout(self.model, self.name, seed)
        self._forward = _tensorflow_forward(self.model, "uint8")
        self._forward_16_bit = _tensorflow_forward(self.model, "uint16")
        self._tiled = _tiled(self.model, self.name, tile, overlap, memory)

    @classmethod
    def from_pretrained(cls, name="default", **options):
        """Makes a restorer from weights that ship with the package.

        Args:
            name: one of `pretrained_names()`.
            **options: the constructor's other arguments.

        Returns:
            `Restorer`.

        Raises:
            ModelError: no weights of that name ship.
        """
        restorer = cls(pretrained_path(name), **options)
        restorer.name = name
        return restorer

    def __call__(self, image, progress=None):
        """Restores one photograph.

        Args:
            image: uint8 or uint16 RGB array of shape (H, W, 3), any H and W from 1.
            progress: callable that is given the number of tiles done and the number of all, after
                each of them; it is not called for an image that is restored whole.

        Returns:
            RGB array of the same type and shape.

        Raises:
            ValueError: not such an array; the message says how to convert it.
            MemoryError: the image is too large for the memory at hand.
            ArithmeticError: the network's output is not finite.

        Note:
            Sizes that the network cannot take are padded on the right and at the bottom by
            reflection, and the result is cropped.
        """
        image = _check_image(image)
        height, width = image.shape[:2]
        for layer, state in self._dropouts:
            layer.seed_generator.state.assign(state)
        held = memory.resident_bytes()
        plan = self._tiled.plan(self.padded_side(height), self.padded_side(width), image.nbytes)
        restored, finite = self._run(image, plan, progress)
        self._tiled.note_held(memory.resident_bytes() - held - image.nbytes)
        if not finite:
            raise ArithmeticError(
                f"model {self.name!r} gave values that are not finite for an image of "
                f"{width}x{height}; its weights or its float16 arithmetic are broken"
            )
        return restored

    def restore_file(
        self, source, destination, overwrite=False, quality=95, max_pixels=images.MAX_PIXELS
    ):
        """Restores a photograph from file to file; the destination is written whole or not at all.

        What the photograph is besides its pixels is kept: 16 bits, transparency, colour profile,
        EXIF and XMP, as `images.open_photograph` and `images.save_photograph` say. A photograph
        without colour stays one: what the network makes of its three equal channels is averaged.

        Args:
            source: image file to read, see `images.open_photograph`.
            destination: image file to write; its suffix decides the format.
            overwrite: replace an existing destination. The source itself is never replaced.
            quality: 1 to 100, for JPEG, WebP, AVIF and HEIC.
            max_pixels: a source of more pixels is refused before it is decoded.

        Returns:
            The destination, a `pathlib.Path`.

        Raises:
            FileExistsError: the destination exists and `overwrite` is False.
            images.ImageError: the source cannot be read, the destination not be written, or both
                are the same file.
            ImportError: the source or the destination is of a format for which an extra is needed.
        """
        return photographs.restore_file(self, source, destination, overwrite, quality, max_pixels)

    def restore_files(
        self, jobs, overwrite=False, quality=95, max_pixels=images.MAX_PIXELS, started=None
    ):
        """Restores photographs from file to file, each as `restore_file` does, and in less time.

        While the network works on one, the next are opened and those before saved, in threads.
        About 256 MB of photographs are in flight at most, and one more, however large they are.
        Whatever is wrong with one costs only itself. Ctrl-C drops what the network has not
        restored yet; what it has is saved and yielded before `KeyboardInterrupt` is raised.

        Args:
            jobs: iterable of (source, destination), as for `restore_file`.
            overwrite: as for `restore_file`.
            quality: as for `restore_file`.
            max_pixels: as for `restore_file`.
            started: callable that is given each source when the network begins with it, or None.

        Yields:
            `photographs.Outcome` of each job, in their order: source, destination, and the
            exception that `restore_file` would have raised, or None.

        Raises:
            ValueError: two jobs have one destination.
        """
        options = (overwrite, quality, max_pixels, started)
        yield from photographs.restore_files(self, jobs, *options)

    def padded_side(self, side):
        """Computes the height or width that the network is given for one of an image.

        Args:
            side: height or width of the image in pixels.

        Returns:
            The next multiple that the network takes, with room for the reflections inside it.
        """
        side = max(side, _SMALLEST, 4 * self.multiple)
        return math.ceil(side / self.multiple) * self.multiple

    def _run(self, image, plan, progress):
        """(H, W, 3) -> the same restored, and whether the network's output was finite."""
        import tensorflow as tf

        height, width = image.shape[:2]
        try:
            if plan is not None:
                return self._tiled.restore(image, plan, progress)
            padding = [(0, self.padded_side(side) - side) for side in (height, width)]
            padded = np.pad(image, [*padding, (0, 0)], mode="reflect")[None]
            forward = self._forward if image.dtype == np.uint8 else self._forward_16_bit
            restored, finite = forward(tf.constant(padded))
        except tf.errors.ResourceExhaustedError as error:
            raise MemoryError(
                f"not enough memory to restore {width}x{height} pixels with model {self.name!r}; "
                "free some, give a smaller memory budget, or reduce or cut the image"
            ) from error
        return restored.numpy()[0, :height, :width], bool(finite)


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


def _known_names():
    return f"known names: {', '.join(pretrained_names()) or 'none (no weights are installed)'}"


def _locate(given):
    """Path of the `.keras` file meant by a path or a name."""
    path = Path(given)
    if path.suffix != ".keras":
        if str(given) in pretrained_names():
            return pretrained_path(str(given))
        if path.exists():
            raise ModelError(
                f"{given}: not a .keras file; expected a generator saved with "
                "model.save('generator.keras')"
            )
    if not path.is_file():
        raise ModelError(
            f"{given}: no such model; expected the path of a .keras file or a name that ships; "
            f"{_known_names()}"
        )
    return path


def _load(path):
    import keras

    import deblur_keras.layers  # noqa: F401 - registers the layers that the file names

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


def _check_model(model, name):
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


def _tensorflow_forward(model, pixels):
    """One traced function for all sizes: (B, H, W, 3) pixels -> (restored, all finite)."""
    import tensorflow as tf

    to_pixels = {"uint8": images.to_uint8, "uint16": images.to_uint16}[pixels]

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), pixels)])
    def forward(blurred):
        restored = model(images.to_float(blurred), training=False)
        return to_pixels(restored), tf.reduce_all(tf.math.is_finite(restored))

    return forward


def _tiled(model, name, tile, overlap, budget):
    """What restores a model's images in parts."""
    from deblur_keras.generators.stages import NotTileableError
    from deblur_keras.tiled import TiledGenerator

    try:
        return TiledGenerator(model, tile, overlap, budget)
    except NotTileableError as error:
        raise ModelError(
            f"model {name!r} cannot be run on parts of an image: {error}; leave tile out"
        ) from error


def _with_active_dropout(model, name, seed):
    from deblur_keras.generators.dropout import with_active_dropout

    try:
        return with_active_dropout(model, seed)
    except ValueError as error:
        raise ModelError(f"model {name!r} {error}; leave restore_with_dropout off") from error


def _check_image(image):
    image = np.asarray(image)
    known = image.dtype in (np.uint8, np.uint16)
    if known and image.ndim == 3 and image.shape[2] == 3 and image.size:
        return image
    if not image.size:
        cure = "give an image of at least 1x1"
    elif not known:
        cure = "images.to_uint8 converts values in [-1, 1]; multiply others to [0, 255] and round"
    elif image.ndim == 2:
        cure = "np.repeat(image[..., None], 3, axis=-1) makes grey RGB"
    elif image.ndim == 3 and image.shape[2] == 4:
        cure = "image[..., :3] drops the alpha channel"
    elif image.ndim == 4:
        cure = "restore the images of a batch one by one"
    else:
        cure = "images.read reads a file in that form"
    raise ValueError(
        f"expected a uint8 or uint16 RGB image of shape (H, W, 3), got {image.dtype} of shape "
        f"{image.shape}; {cure}"
    )
