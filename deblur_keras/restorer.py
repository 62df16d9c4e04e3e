"""Restores photographs of any size with a generator: array in, array out."""

import math

import numpy as np

from deblur_keras import engines, ensembles, images, memory, models, photographs
from deblur_keras.models import ModelError, pretrained_names, pretrained_path
from deblur_keras.windows import WindowedEngine

__all__ = ["ModelError", "Restorer", "pretrained_names", "pretrained_path"]

_SMALLEST = 16  # px a side that the network sees at least; smaller images are padded to it


class Restorer:
    """Removes blur from photographs of any size.

    Args:
        model_or_path: a functional `keras.Model` that maps (None, None, None, 3) in [-1, 1] to
            the same; or the path of one saved as `.keras`; or that of an `.onnx` file which
            `deblur-keras export` wrote; or the name of one that ships (see `pretrained_names`).
            Training a model that was passed in shows in the next image.
        restore_with_dropout: keep dropout layers, and only these, active, as DeblurGAN does. The
            weights are then copied once, here. Of the engine tensorflow alone.
        seed: whole number that makes restoring with dropout repeatable: the result then depends
            on the image, its tiles and the seed alone. None draws anew for each image.
        tile: "auto" restores an image whole if that fits the memory budget, else in tiles that do;
            a whole number does it in tiles of so many pixels a side always, None never.
        overlap: most pixels around a tile that the network sees beside it. None gives it all that
            the tile depends on (`generators.receptive_field`), which leaves no seams; less is
            quicker, and the tiles may then differ at their borders.
        memory: how much memory the process may hold at most, in bytes or as text such as "2GB",
            what it holds already included. None takes half of what is free, and no more than 1.3
            to 2 GB for networks without instance norms, which are about as quick in tiles.
        engine: what runs the network: "tensorflow", "openvino" or "onnxruntime". The last two do
            not load TensorFlow, and agree with it to 1e-3 of [-1, 1]; openvino is quicker. "auto"
            takes the quickest that is installed, if the network is there for it, as the weights
            that ship are and as an `.onnx` file beside a `.keras` file is; see docs/speed.md. A
            model that was passed in and is to be run by another engine than tensorflow is converted
            once, here.
        precision: "float32", or "bf16" with openvino on processors that have instructions for it:
            up to twice as quick, for a difference of a grey level or less on average.
        ensemble: restore each image turned and mirrored in all eight ways, and average
            (`ensembles.restored`), in eight times the time. What it gains depends on the model.
        strength: share of the restored picture in the result, from 0, the image as it is, to 1.

    Attributes:
        name: name of the file or of the model.
        multiple: what heights and widths are padded to multiples of.

    Raises:
        ModelError: there is no such model, or it is none that maps images to images, or `tile` is
            a number and the model cannot be run on parts of an image.
        ValueError: an argument is none of the above, or the processor cannot do bf16.
        ImportError: the engine asked for is not installed; the message says how to.

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
        all pixels are equal, and the others differ by one level. With TensorFlow the network is cut
        into stages, which each go over all tiles, and what the next stage needs is kept, in memory
        or, where it would take more than half of the budget, in a temporary file. With instance
        norms, whose statistics are those of the whole image, a stage ends at each of them: 384
        bytes a pixel of the image are kept for DeblurGAN's ResNet. Tiles by themselves, or with the
        statistics of a reduced copy or of crops, are quicker and visibly off: docs/sizes.md has the
        figures.
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
        engine="auto",
        precision="float32",
        ensemble=False,
        strength=1.0,
    ):
        engines.choice.check(engine, precision)
        ensembles.check(ensemble, strength)
        self._blending = {"ensemble": ensemble, "strength": strength}
        self._source, self._dropouts = models.Source(model_or_path), []
        self._random = restore_with_dropout
        self.name = self._source.name
        self._options, self._automatic = (tile, overlap, memory), engine == engines.choice.AUTO
        if restore_with_dropout:
            if engine not in (engines.choice.AUTO, "tensorflow") or precision != "float32":
                raise ValueError(
                    f"dropout is kept active by the engine tensorflow in float32 alone, got "
                    f"{engine} in {precision}; leave engine and precision out"
                )
            model, self._dropouts = _with_active_dropout(self.model, self.name, seed)
            self._source, engine = models.Source(model), "tensorflow"
        self._use(engines.make(self._source, engine, precision))

    @property
    def model(self):
        """The `keras.Model`, loaded now if the engine did without it.

        Raises:
            ModelError: there is only an `.onnx` file.
        """
        return self._source.model

    @property
    def engine(self):
        """Name of the engine that restores: "tensorflow", "openvino" or "onnxruntime"."""
        return self._engine.name

    @property
    def precision(self):
        """Precision that it computes in: "float32" or "bf16"."""
        return self._engine.precision

    @property
    def engine_reason(self):
        """Why "auto" did not take a quicker engine; empty where it took the quickest."""
        return self._engine.reason

    @property
    def leaves_flat(self):
        """Whether images of a single colour come back as they are: with instance norms.

        There is nothing to restore in them, and the norms would divide by nearly nothing: what is
        rounded before them, in another way at each pixel, would be all that is left.
        """
        return self._engine.network.halo is None

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
                each of them; it is not called for an image that is restored whole and only once.

        Returns:
            RGB array of the same type and shape.

        Raises:
            ValueError: not such an array; the message says how to convert it.
            MemoryError: the image is too large for the memory at hand.
            ArithmeticError: the network's output is not finite.

        Note:
            Sizes that the network cannot take are padded on the right and at the bottom by
            reflection, and the result is cropped. An image of a single colour, such as a black
            frame of a video, comes back as it is from networks with instance norms.
        """
        image = _check_image(image)
        return ensembles.restored(self._restore, image, progress=progress, **self._blending)

    def restore_samples(self, image, count, progress=None):
        """Restores one photograph many times with dropout, which tells where the network is unsure.

        Args:
            image: as for a call.
            count: number of samples, at least 2. Each takes the time of a call, and is what a call
                gives with a seed of its own, which follows from the restorer's.
            progress: as for a call; it is called after each sample that is restored whole, too.

        Returns:
            `(mean, spread)`: the mean of the samples, RGB of the same type and shape, and their
            standard deviation, float32 of the same shape in levels of that type.

        Raises:
            ValueError: `count` is not such a number, or dropout is not active; else as for a call.

        Example:
            >>> from deblur_keras.generators import resnet_generator
            >>> generator = resnet_generator(filters=4, blocks=1)
            >>> restorer = Restorer(generator, restore_with_dropout=True, seed=0)
            >>> mean, spread = restorer.restore_samples(np.zeros((5, 7, 3), "uint8"), count=4)
            >>> mean.shape, spread.shape
            ((5, 7, 3), (5, 7, 3))

        Reference:
            Dropout as a Bayesian Approximation (Gal and Ghahramani, 2016), section 4.
        """
        if not self._random:
            raise ValueError(
                f"model {self.name!r} restores alike each time; samples need "
                "Restorer(..., restore_with_dropout=True) and a model with dropout layers"
            )
        image = _check_image(image)
        return ensembles.sampled(self._restore, image, count, progress=progress, **self._blending)

    def _restore(self, image, progress=None, sample=0):
        """Restores a checked image once, with the dropout of one of several samples."""
        height, width = image.shape[:2]
        for layer, state in self._dropouts:
            layer.seed_generator.state.assign(_sample_state(state, sample))
        try:
            restored, finite = self._run(image, progress)
        except engines.EngineError as error:
            if not self._automatic:
                raise
            self._use(engines.choice.fall_back(self._source, self._engine, error))
            restored, finite = self._run(image, progress)
        if not finite:
            raise ArithmeticError(
                f"model {self.name!r} gave values that are not finite for an image of "
                f"{width}x{height}; its weights or its float16 arithmetic are broken"
            )
        return restored

    def restore_file(
        self,
        source,
        destination,
        overwrite=False,
        quality=95,
        max_pixels=images.MAX_PIXELS,
        samples=None,
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
            samples: number of samples for `restore_samples`; their spread is written beside the
                destination, see `uncertainty.uncertainty_path`. None restores once.

        Returns:
            The destination, a `pathlib.Path`.

        Raises:
            FileExistsError: the destination, or its uncertainty map, exists and `overwrite` is
                False.
            images.ImageError: the source cannot be read, the destination not be written, or both
                are the same file.
            ImportError: the source or the destination is of a format for which an extra is needed.
        """
        options = (overwrite, quality, max_pixels, samples)
        return photographs.restore_file(self, source, destination, *options)

    def restore_files(
        self,
        jobs,
        overwrite=False,
        quality=95,
        max_pixels=images.MAX_PIXELS,
        samples=None,
        started=None,
        progress=None,
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
            samples: as for `restore_file`.
            started: callable that is given each source when the network begins with it, or None.
            progress: as for a call, or None; of the photograph that was started last.

        Yields:
            `photographs.Outcome` of each job, in their order: source, destination, and the
            exception that `restore_file` would have raised, or None.

        Raises:
            ValueError: two jobs have one destination.
        """
        options = (overwrite, quality, max_pixels, samples, started, progress)
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

    def _use(self, engine):
        """Restores by an engine from now on."""
        self._engine, self.multiple = engine, engine.network.multiple
        if engine.name == "tensorflow":
            self._parts = _tiled(self.model, self.name, *self._options, self._random)
        else:
            self._parts = WindowedEngine(
                engine,
                *self._options,
                lambda: _tiled(self.model, self.name, *self._options, self._random),
            )

    def _run(self, image, progress):
        """(H, W, 3) -> the same restored, and whether the network's output was finite."""
        height, width = image.shape[:2]
        padded_size = [self.padded_side(side) for side in (height, width)]
        held = memory.resident_bytes()
        engine, parts = self._engine, self._parts
        if self.leaves_flat and _is_flat(image):
            return image.copy(), True
        try:
            # Where several are averaged, the sums and the copies at 16 bits are held as well.
            beside = 4 if self._random else 3 if self._blending["ensemble"] else 1
            plan = parts.plan(*padded_size, beside * image.nbytes)
            if plan is not None:
                result = parts.restore(image, plan, progress)
            else:
                more = np.subtract(padded_size, image.shape[:2])
                padded = np.pad(image, [(0, more[0]), (0, more[1]), (0, 0)], mode="reflect")[None]
                restored, finite = engine(padded)
                result = restored[0, :height, :width], finite
        except Exception as error:
            # TensorFlow's own error is told by its name: it may not be loaded at all.
            if not isinstance(error, engines.OutOfMemoryError) and (
                type(error).__name__ != "ResourceExhaustedError"
            ):
                raise
            raise MemoryError(
                f"not enough memory to restore {width}x{height} pixels with model {self.name!r}; "
                "free some, give a smaller memory budget, or reduce or cut the image"
            ) from error
        parts.note_held(memory.resident_bytes() - held - image.nbytes)
        return result


def _is_flat(image):
    """Whether all pixels are of one colour."""
    first = image[0, 0]
    return bool((image[0] == first).all() and (image == first).all())


def _tiled(model, name, *options):
    """What restores a model's images in parts."""
    from deblur_keras.generators.stages import NotTileableError
    from deblur_keras.tiled import TiledGenerator

    try:
        return TiledGenerator(model, *options)
    except NotTileableError as error:
        raise ModelError(
            f"model {name!r} cannot be run on parts of an image: {error}; leave tile out"
        ) from error


def _with_active_dropout(model, name, seed):
    from deblur_keras.generators.dropout import with_active_dropout

    try:
        return with_active_dropout(model, seed)
    except ValueError as error:
        raise ModelError(
            f"model {name!r} {error}; leave restore_with_dropout (--restore-with-dropout, "
            "--dropout-samples) off"
        ) from error


def _sample_state(state, sample):
    from deblur_keras.generators.dropout import sample_state

    return sample_state(state, sample)


def _check_image(image):
    image = np.asarray(image)
    if image.dtype.kind == "u":  # of either byte order
        image = image.astype(image.dtype.newbyteorder("="), copy=False)
    known = image.dtype in (np.uint8, np.uint16)
    if known and image.ndim == 3 and image.shape[2] == 3 and image.size:
        return image
    if not image.size:
        cure = "give an image of at least 1x1"
    elif not known and image.dtype.kind != "f":
        cure = "images.read reads a file in that form"
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
