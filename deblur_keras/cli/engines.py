"""The options that say what runs the network, and the restorer that they make."""

import contextlib
import functools
import importlib.util
import time

import click

_ENGINES = ("auto", "tensorflow", "openvino", "onnxruntime")
_PRECISIONS = ("float32", "bf16")

# Largest difference to TensorFlow in values of [-1, 1], of which a grey level is 1 / 127.5.
_LIMITS = {"float32": 1e-3, "bf16": 0.1}


def engine_options(command):
    """Adds --engine and --precision to a command.

    Args:
        command: Function with parameters ``engine`` and ``precision``, to be decorated by
            ``click.command``.

    Returns:
        The same function.
    """
    options = (
        click.option(
            "--engine",
            type=click.Choice(_ENGINES),
            default="auto",
            show_default=True,
            help="What runs the network. auto: openvino, the quickest, or onnxruntime, if they are "
            "installed and the model is one that ships or has its .onnx file beside it; TensorFlow "
            "is not even loaded then. Else tensorflow.",
        ),
        click.option(
            "--precision",
            type=click.Choice(_PRECISIONS),
            default="float32",
            show_default=True,
            help="bf16 takes half to three quarters of the time, with openvino on processors that "
            "have it, for a difference that is hardly measurable.",
        ),
    )
    for option in reversed(options):  # click lists the last applied first
        command = option(command)
    return command


def verify_option(command):
    """Adds --verify to a command.

    Args:
        command: Function with a parameter ``verify``, to be decorated by ``click.command``.

    Returns:
        The same function.
    """
    return click.option(
        "--verify",
        is_flag=True,
        help="Restore the first photograph by tensorflow too, print the largest difference, and "
        f"stop above {_LIMITS['float32']:g} of [-1, 1] ({_LIMITS['bf16']:g} for bf16); a grey "
        "level is 0.008.",
    )(command)


def make_restorer(model, engine, precision, **options):
    """Makes a restorer, and loads TensorFlow quietly if it is going to be needed.

    Args:
        model: As `Restorer` takes it.
        engine: Likewise.
        precision: Likewise.
        **options: The Restorer's other options.

    Returns:
        `deblur_keras.Restorer`.

    Raises:
        ClickException: The model cannot be used, or not by that engine; tells what to do.
    """
    from deblur_keras.cli.console import fail, import_tensorflow
    from deblur_keras.engines import EngineError
    from deblur_keras.models import ModelError, Source
    from deblur_keras.restorer import Restorer

    try:
        if options.get("restore_with_dropout") or _needs_tensorflow(Source(model), engine):
            import_tensorflow()
        return Restorer(model, engine=engine, precision=precision, **options)
    except (ModelError, EngineError, ImportError, ValueError) as error:
        raise fail(error) from None


def described(restorer):
    """Says by what a restorer restores, for a summary.

    Args:
        restorer: `deblur_keras.Restorer`.

    Returns:
        Text such as ``"openvino, bf16"``.
    """
    return f"{restorer.engine}, {restorer.precision}"


def check_engine(restorer, paths, max_pixels, engine=None, precision=None, **options):
    """Restores one photograph by tensorflow too, and prints how far the results differ.

    Args:
        restorer: `deblur_keras.Restorer`.
        paths: Photographs; the first that can be opened is taken.
        max_pixels: As `images.open_photograph` takes it.
        engine: What the restorer was made with, as all that follows; not the reference.
        precision: Likewise.
        **options: Those that the reference has too.

    Raises:
        ClickException: They differ by more than the precision explains, or it cannot be told.
    """
    from deblur_keras.cli.console import fail, import_tensorflow, printable
    from deblur_keras.images import ImageError, open_photograph
    from deblur_keras.models import ModelError
    from deblur_keras.restorer import Restorer

    del engine, precision
    if restorer.engine == "tensorflow":
        click.echo("verify: the engine is tensorflow itself, there is nothing to compare")
        return
    for path in paths:
        with contextlib.suppress(ImageError, ImportError):  # told when it is to be restored
            image = open_photograph(path, max_pixels).pixels
            break
    else:
        raise click.UsageError("--verify: there is no photograph to restore in both ways")
    import_tensorflow()
    try:
        reference = Restorer(restorer.model, engine="tensorflow", **options)
        most, seconds = largest_difference(restorer, reference, image)
    except (ModelError, ArithmeticError, MemoryError) as error:
        raise fail(f"--verify: {error}") from None
    limit = _LIMITS[restorer.precision]
    line = (
        f"verify: {printable(path)}: {described(restorer)} differs from tensorflow by at most "
        f"{most:.2g} of [-1, 1], {most * 127.5:.2g} grey levels ({seconds[0]:.1f} s against "
        f"{seconds[1]:.1f} s, the first run each)"
    )
    if most > limit:
        raise fail(f"{line}; expected {limit:g} at most. Use --engine tensorflow")
    click.echo(line)


def largest_difference(restorer, reference, image):
    """Compares two restorers on one photograph.

    Args:
        restorer: `deblur_keras.Restorer`.
        reference: The other.
        image: uint8 or uint16 RGB ``(H, W, 3)``; it is restored in 16 bits, so that rounding
            hides nothing.

    Returns:
        Largest difference in values of [-1, 1], to a 30000th, and the seconds that each took.

    Example:
        >>> import numpy as np
        >>> same = lambda image: image
        >>> largest_difference(same, same, np.zeros((2, 2, 3), "uint8"))[0]
        0.0
    """
    import numpy as np

    wide = image if image.dtype == np.uint16 else image.astype(np.uint16) * np.uint16(257)
    results, seconds = [], []
    for restore in (restorer, reference):
        start = time.monotonic()
        results.append(restore(wide).astype(np.int32))
        seconds.append(time.monotonic() - start)
    return float(np.abs(results[0] - results[1]).max() / 32767.5), seconds


def _needs_tensorflow(source, engine):
    if engine == "tensorflow" or source.portable is None:
        return True
    return engine == "auto" and not any(map(_installed, ("openvino", "onnxruntime")))


@functools.cache
def _installed(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ValueError:  # what stands in sys.modules is none
        return False
