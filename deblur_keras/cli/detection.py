"""``deblur-keras evaluate --protocol detection``: its options, and the judge that they mean."""

from pathlib import Path

import click

from deblur_keras.cli.pairs import given

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_NAMES = ("detector", "labels", "boxes", "confidence", "iou", "detector_settings")
_OPTIONS = (
    click.option(
        "--detector",
        type=_FILE,
        help="With --protocol detection: the object detector, an ONNX file (YOLO, SSD, Faster "
        "R-CNN, NanoDet, PicoDet; how to read its outputs is told by looking at them).",
    ),
    click.option(
        "--labels",
        type=_FILE,
        help="Its class names, one a line.  [default: those in the file, where YOLO has them]",
    ),
    click.option(
        "--boxes",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="Folder of hand-drawn boxes, <name>.txt, as the truth: lines of YOLO's form, or "
        "class left top right bottom.  [default: what is found on the sharp images]",
    ),
    click.option(
        "--confidence",
        type=click.FloatRange(0, 1, min_open=True),
        default=0.25,
        show_default=True,
        help="Score from which a box counts.",
    ),
    click.option(
        "--iou",
        type=click.FloatRange(0, 1, min_open=True),
        default=0.5,
        show_default=True,
        help="Least overlap of a box with a true one.",
    ),
    click.option(
        "--detector-set",
        "detector_settings",
        metavar="NAME=VALUE",
        multiple=True,
        help="What the detector's file does not tell: decoder, size, suppression (IoU), "
        "first_class, box_order; channels (rgb, bgr), mean, deviation, fit (letterbox, stretch), "
        "border, place (centre, corner). May be given several times.",
    ),
)


def detection_options(command):
    """Adds the options of the protocol to a command.

    Args:
        command: function to be decorated by ``click.command``.

    Returns:
        The same function.
    """
    for option in reversed(_OPTIONS):  # click lists the last applied first
        command = option(command)
    return command


def taken(options):
    """Takes the options of `detection_options` out of a dictionary of options.

    Args:
        options: dictionary, which loses them.

    Returns:
        Dictionary of them.
    """
    return {name: options.pop(name) for name in _NAMES}


def refuse(context):
    """Refuses options of the protocol where another one is in use.

    Args:
        context: click's context.

    Raises:
        UsageError: one of them was given.
    """
    wrong = given(context, *_NAMES)
    if wrong:
        raise click.UsageError(f"{wrong[0]} belongs to --protocol detection: add that.")


def make_judge(options, scale):
    """Makes the judge that the options mean.

    Args:
        options: dictionary of `taken`.
        scale: factor by which the images are reduced.

    Returns:
        `evaluation.detection.Judge`.

    Raises:
        UsageError: there is no detector, or a setting is none.
        DetectionError: the detector, its names or the boxes are not what they should be.
        ImportError: onnxruntime is missing.
    """
    from deblur_keras.evaluation import detection
    from deblur_keras.evaluation.detection.detector import SETTINGS
    from deblur_keras.recipes import read_settings

    if options["detector"] is None:
        raise click.UsageError(
            "--protocol detection needs an object detector: add --detector FILE.onnx."
        )
    try:
        settings = read_settings(options["detector_settings"])
    except ValueError as error:
        raise click.UsageError(f"--detector-set: {error}") from error
    unknown = [name for name in settings if name not in SETTINGS]
    if unknown:
        raise click.UsageError(
            f"--detector-set: no setting {unknown[0]!r}; expected one of {', '.join(SETTINGS)}."
        )
    if isinstance(settings.get("size"), list):
        settings["size"] = tuple(settings["size"])
    names = None if options["labels"] is None else detection.read_names(options["labels"])
    detector = detection.Detector(options["detector"], names, **settings)
    boxes = None
    if options["boxes"] is not None:
        if detector.names is None:
            raise click.UsageError("--boxes needs the names of the detector's classes: --labels.")
        boxes = detection.DrawnBoxes(options["boxes"], detector.names)
    return detection.Judge(detector, boxes, options["confidence"], options["iou"], scale)
