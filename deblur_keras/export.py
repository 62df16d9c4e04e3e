"""Exports a generator: to a SavedModel for servers, to ONNX for engines other than TensorFlow."""

import secrets
import shutil
from pathlib import Path

SIGNATURE = "restore"
"""Name of the signature; it is the serving default too."""


def export_saved_model(model_or_path, directory, overwrite=False):
    """Writes a SavedModel that restores photographs where deblur_keras is not installed.

    Its signature ``restore`` takes ``image``, uint8 RGB ``(B, H, W, 3)`` with any B, H and W from
    1, and returns ``restored``, uint8 of the same shape: padding, scaling, cropping and rounding
    are part of the graph, and the result is that of `deblur_keras.Restorer`. An image for which
    the network's values are not finite is an error, as there.

    The folder appears whole or not at all.

    Args:
        model_or_path: A generator, the path of one saved as ``.keras``, or the name of one that
            ships with the package.
        directory: Folder to write, which must not exist yet or be empty.
        overwrite: Whether to replace a SavedModel that is there. Any other folder is never
            replaced.

    Returns:
        The folder, a `pathlib.Path`.

    Raises:
        FileExistsError: If the folder has something in it that may not be replaced.
        ModelError: If there is no such model, or it is none that maps images to images.

    Example:
        >>> import tempfile
        >>> import tensorflow as tf
        >>> from deblur_keras.generators import compact_generator
        >>> model = compact_generator(widths=(4,), blocks=(1,))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     loaded = tf.saved_model.load(export_saved_model(model, f"{folder}/served"))
        ...     photo = tf.zeros((1, 5, 7, 3), tf.uint8)
        ...     loaded.signatures["restore"](image=photo)["restored"].shape
        TensorShape([1, 5, 7, 3])
    """
    import tensorflow as tf

    from deblur_keras.restorer import Restorer

    directory = Path(directory).resolve()
    _check_free(directory, overwrite)
    module = _servable(Restorer(model_or_path))
    signature = module.restore.get_concrete_function()

    # Written beside its place and then renamed: an interrupted export leaves nothing half done.
    directory.parent.mkdir(parents=True, exist_ok=True)
    token = secrets.token_hex(8)
    fresh, old = (directory.parent / f".deblur-{token}-{state}" for state in ("new", "old"))
    try:
        tf.saved_model.save(
            module, str(fresh), signatures={SIGNATURE: signature, "serving_default": signature}
        )
        _check_free(directory, overwrite)  # the export took a while
        if directory.exists():
            directory.rename(old)
        try:
            fresh.rename(directory)
        except BaseException:
            if old.exists():
                old.rename(directory)
            raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
    return directory


def export_onnx(model_or_path, path, overwrite=False):
    """Writes a generator as an ONNX file, which restores without Keras and TensorFlow.

    The file maps ``blurred`` to ``restored``, float32 RGB ``(B, H, W, 3)`` in [-1, 1], for H and W
    that are multiples of the network's. `deblur_keras.Restorer` takes it by its path, or by that of
    the ``.keras`` file beside it, and pads, tiles and rounds; what it needs to know for that is in
    the metadata. Before anything is written the network is compared with Keras on noise.

    Args:
        model_or_path: As in `export_saved_model`.
        path: File to write, ending in ``.onnx``.
        overwrite: Whether to replace a file that is there.

    Returns:
        The path, a `pathlib.Path`, and the largest difference to Keras in [-1, 1] that was found.

    Raises:
        FileExistsError: If the file exists and may not be replaced.
        ValueError: If the path does not end in ``.onnx``.
        ModelError: If there is no such model, or it cannot be converted, or differs.
        ImportError: If onnx is missing; tells how to install it.

    Example:
        >>> import tempfile
        >>> from deblur_keras.generators import compact_generator
        >>> model = compact_generator(widths=(4,), blocks=(1,))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path, difference = export_onnx(model, f"{folder}/small.onnx")
        ...     path.name, difference < 1e-3
        ('small.onnx', True)
    """
    from deblur_keras import images, models, portable
    from deblur_keras.engines import conversion

    path = Path(path)
    if path.suffix != ".onnx":
        raise ValueError(f"{path}: expected the name of a file that ends in .onnx")
    if path.is_dir() or (path.exists() and not overwrite):
        raise FileExistsError(
            f"{path}: exists already; choose another name, or replace it with overwrite "
            "(--overwrite)"
        )
    conversion.import_onnx()  # before anything is loaded
    source = models.Source(model_or_path)
    digest = "" if source.path is None else portable.sha256(source.path)
    converted = conversion.convert(source.model, source.name, digest)
    difference = conversion.check_parity(source.model, converted, source.name, onnx_runner())
    return images.write_bytes(path, portable.seal(converted.SerializeToString())), difference


def onnx_runner():
    """Makes what `conversion.check_parity` runs a network by, of what is installed.

    Returns:
        Callable that maps an ONNX file's bytes and an array to the network's result.
    """
    try:
        import onnxruntime
    except ImportError:
        from onnx.reference import ReferenceEvaluator

        return lambda content, blurred: ReferenceEvaluator(content).run(None, {"blurred": blurred})[
            0
        ]

    def run(content, blurred):
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        return session.run(None, {"blurred": blurred})[0]

    return run


def _check_free(directory, overwrite):
    if not directory.exists() or (directory.is_dir() and not any(directory.iterdir())):
        return
    if not (directory / "saved_model.pb").is_file():
        raise FileExistsError(
            f"{directory}: exists already and is no SavedModel, so it is never replaced; choose "
            "another folder"
        )
    if not overwrite:
        raise FileExistsError(
            f"{directory}: exists already; choose another folder, or replace it with "
            "overwrite (--overwrite)"
        )


def _servable(restorer):
    """Builds the module to save: a restorer's arithmetic as one graph, with its variables."""
    import tensorflow as tf

    from deblur_keras import images

    model = restorer.model
    multiple, smallest = restorer.multiple, restorer.padded_side(1)
    leaves_flat = restorer.leaves_flat

    module = tf.Module(name="restorer")
    # The variables only: a Keras model as an attribute would take its classes' names along.
    module.weights = [variable.value for variable in model.variables]

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.uint8, name="image")])
    def restore(image):
        height, width = tf.shape(image)[1], tf.shape(image)[2]
        # (B, H, W, 3) -> (B, H', W', 3), multiples that the network can take
        padded = _reflect(image, height, axis=1, multiple=multiple, smallest=smallest)
        padded = _reflect(padded, width, axis=2, multiple=multiple, smallest=smallest)
        restored = model(images.to_float(padded), training=False)
        restored = tf.debugging.assert_all_finite(
            restored, "the network gave values that are not finite"
        )
        restored = images.to_uint8(restored)[:, :height, :width]
        if leaves_flat:
            flat = tf.reduce_all(image == image[:, :1, :1], axis=(1, 2, 3), keepdims=True)
            restored = tf.where(flat, image, restored)
        return {"restored": tf.ensure_shape(restored, (None, None, None, 3))}

    module.restore = restore
    return module


def _reflect(image, side, axis, multiple, smallest):
    """Pads one axis at its end by reflection, to a multiple and to at least ``smallest``.

    ``tf.pad`` reflects once only, and fails where the padding reaches the size of the image; the
    index of the source pixel is therefore computed as a triangle wave: 0 1 2 1 0 1 2 ...
    """
    import tensorflow as tf

    padded = tf.maximum(-(-side // multiple) * multiple, smallest)
    period = tf.maximum(2 * (side - 1), 1)
    position = tf.range(padded) % period
    return tf.gather(image, tf.minimum(position, period - position), axis=axis)
