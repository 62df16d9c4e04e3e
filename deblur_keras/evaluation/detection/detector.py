"""Runs an object detector from an ONNX file on photographs of any size, with onnxruntime."""

import ast
import dataclasses
import hashlib
from pathlib import Path

import numpy as np

from deblur_keras.evaluation.detection.boxes import DetectionError
from deblur_keras.evaluation.detection.decoders import choose, suppress
from deblur_keras.evaluation.detection.drawn import canonical
from deblur_keras.evaluation.detection.outputs import Look
from deblur_keras.evaluation.detection.preparation import Preparation

SETTINGS = (
    *("decoder", "size", "suppression", "first_class", "box_order"),
    *(field.name for field in dataclasses.fields(Preparation)),
)
"""Names of the settings of a `Detector`, besides its file and its class names."""

LOWEST_CONFIDENCE = 0.001
"""Score from which boxes are kept: average precision needs the weak ones too."""

MOST_BOXES = 100
"""Boxes kept of an image, the most confident, as in COCO's evaluation."""

_INSTALL = 'pip install "onnxruntime>=1.22,<2"'
_SIDE = 640  # px, of inputs that take any size
_CANDIDATES = 1000  # strongest boxes that enter the suppression
_TYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
}


class Detector:
    """Finds objects in photographs with a network in an ONNX file.

    The size, layout and type of the input are read from the file; how to read the outputs is told
    by looking at them (`DECODERS`), after a first run on a grey image. Photographs of any size are
    resized to the input's, and the boxes are mapped back.

    Safe to call from several threads at once.

    Args:
        path: ONNX file.
        names: List of class names in the order of the class numbers; None takes those in the
            file's metadata, where YOLO's exporter keeps them, if there are any.
        decoder: Name of the decoder in `DECODERS`; None tells by looking.
        size: ``(H, W)`` in pixels, or a number for both, for inputs that take any size; 640 by
            default.
        suppression: IoU above which the weaker of two boxes of a class is dropped; None takes the
            decoder's own, which is none for networks that do it themselves.
        first_class: The number that stands for the first name in outputs with labels; None takes 0
            if the first name is that of the background, otherwise 1.
        box_order: ``"xyxy"`` or ``"yxyx"`` in outputs with boxes, labels and scores; None takes the
            first, or the second for an output called ``detection_boxes``, TensorFlow's name.
        **preparation: Fields of `Preparation` that are to differ from the decoder's own, such as
            ``channels="rgb"`` or ``fit="stretch"``.

    Attributes:
        names: List of class names, or None.
        decoder: Name of the decoder in use.
        preparation: `Preparation` in use.
        size: ``(H, W)`` of the input, in pixels.

    Raises:
        ImportError: onnxruntime is missing; tells how to install it.
        DetectionError: The file is missing or no ONNX network of one image input, its outputs have
            no known form, its classes are not those named, or an option does not fit it.

    Example:
        >>> detector = Detector("yolov8n.onnx", read_names("coco.names"))  # doctest: +SKIP
        >>> detector(images.read("street.jpg")).above(0.25).to_list()  # doctest: +SKIP
        [[2, 0.91234, 103.5, 240.25, 310.0, 352.75]]
    """

    def __init__(
        self,
        path,
        names=None,
        *,
        decoder=None,
        size=None,
        suppression=None,
        first_class=None,
        box_order=None,
        **preparation,
    ):
        self.path = Path(path)
        unknown = [repr(name) for name in preparation if name not in SETTINGS]
        if unknown:
            raise DetectionError(
                f"a detector has no setting {', '.join(unknown)}; expected one of "
                f"{', '.join(SETTINGS)}"
            )
        self._session = _session(self.path)
        (source, *others) = self._session.get_inputs() or [None]
        if source is None or others or source.type not in _TYPES:
            found = ", ".join(f"{i.name} {i.type}" for i in self._session.get_inputs())
            raise DetectionError(
                f"{self.path}: expected one input, an image of floats or uint8; got "
                f"{found or 'none'}"
            )
        self._input, self._type = source.name, _TYPES[source.type]
        self._rank, self._channels_first, self.size = self._read_shape(source.shape, size)
        if box_order not in (None, "xyxy", "yxyx"):
            raise DetectionError(f"expected xyxy or yxyx as the order of a box; got {box_order!r}")
        self.names = list(names) if names is not None else self._names_inside()
        if first_class is None:
            first_class = 0 if self.names and canonical(self.names[0]) == "background" else 1

        grey = np.full((*self.size, 3), 128, "uint8").astype(self._type)
        outputs = self._run(grey)
        self._look = Look(
            outputs={key: tuple(array.shape) for key, array in outputs.items()},
            kinds={key: array.dtype.name for key, array in outputs.items()},
            size=self.size,
            classes=len(self.names) if self.names else None,
            first_class=first_class,
            box_order=box_order,
            decoder=decoder,
        )
        try:
            self.decoder, self._decoder = choose(self._look)
            self.preparation = dataclasses.replace(self._decoder.preparation, **preparation)
        except (TypeError, ValueError) as error:
            raise DetectionError(f"{self.path}: {error}") from None
        self.suppression = self._decoder.suppression if suppression is None else suppression

    def __call__(self, image):
        """Finds the objects in a photograph.

        Args:
            image: uint8 RGB array ``(H, W, 3)`` of any size.

        Returns:
            `Detections` in pixels of the photograph, from the most confident: at most `MOST_BOXES`
            of at least `LOWEST_CONFIDENCE`.

        Raises:
            DetectionError: The image is not uint8 RGB, or the network's answer cannot be read.
        """
        image = np.asarray(image)
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise DetectionError(
                f"expected a uint8 RGB photograph (H, W, 3), got {image.dtype} {image.shape}"
            )
        prepared, placement = self.preparation.apply(image, self.size, self._type)
        found = self._decoder.read(self._run(prepared), self._look)
        found = found.above(LOWEST_CONFIDENCE).by_confidence()[:_CANDIDATES]
        self._check_labels(found)
        if self.suppression is not None:
            found = suppress(found, self.suppression)
        corners = placement.to_photo(found.corners)
        found = dataclasses.replace(found, corners=corners).clipped(*image.shape[:2])
        return found[:MOST_BOXES]

    def name(self, label):
        """Returns the name of a class number, or ``"class 7"`` where there are no names."""
        return self.names[label] if self.names else f"class {label}"

    def facts(self):
        """Collects what its findings depend on, for a protocol.

        Returns:
            Dictionary of plain values: ``detector``, ``detector_sha256``, ``decoder``, ``input``,
            ``preparation``, ``suppression``, ``classes``, ``classes_sha256`` (of the names, a line
            each), ``first_class`` and ``box_order`` where the outputs have labels, and
            ``onnxruntime``, its version.
        """
        names = "\n".join(self.names) if self.names else None
        labelled = self.decoder == "ssd"
        height, width = self.size
        return {
            "detector": self.path.name,
            "detector_sha256": hashlib.sha256(self.path.read_bytes()).hexdigest(),
            "decoder": self.decoder,
            "input": f"{width}x{height} {self._type}",
            "preparation": self.preparation.words(plain=self._type == "uint8"),
            "suppression": self.suppression,
            "classes": len(self.names) if self.names else None,
            "classes_sha256": names and hashlib.sha256(names.encode()).hexdigest(),
            "first_class": self._look.first_class if labelled else None,
            "box_order": self._look.box_order if labelled else None,
            "onnxruntime": onnx_runtime().__version__,
        }

    def lines(self):
        """Words the same facts.

        Returns:
            List of lines of text.
        """
        facts = self.facts()
        kept = "suppression inside the network"
        if self.suppression is not None:
            kept = f"suppression class by class above IoU {self.suppression:g}"
        return [
            f"detector {facts['detector']}, outputs read as {facts['decoder']}, "
            f"{facts['classes'] or 'unnamed'} classes",
            f"input {facts['input']}, {facts['preparation']}; one class a place, {kept}",
        ]

    def _read_shape(self, shape, size):
        """Finds rank, place of the channels and size in an input's shape; names are free sizes."""
        known = [side if isinstance(side, int) and side > 0 else None for side in shape]
        batch, axes = known[:-3], known[-3:]
        if len(axes) != 3 or 3 not in (axes[0], axes[2]) or batch not in ([], [None], [1]):
            raise DetectionError(
                f"{self.path}: expected an input of one colour image, (1, 3, H, W) or (1, H, W, 3),"
                f" got {tuple(shape)}"
            )
        channels_first = axes[0] == 3
        fixed = axes[1:] if channels_first else axes[:2]
        wanted = size or [side or _SIDE for side in fixed]
        wanted = (wanted, wanted) if isinstance(wanted, int) else tuple(map(int, wanted))
        fits = all(side in (None, other) for side, other in zip(fixed, wanted, strict=True))
        if not fits or min(wanted) < 1:
            raise DetectionError(
                f"{self.path}: its input is {fixed[1] or 'any'} px wide and {fixed[0] or 'any'} px "
                f"high; it cannot be run at {wanted[1]}x{wanted[0]}"
            )
        return len(known), channels_first, wanted

    def _run(self, prepared):
        """Runs the network on one prepared image (H, W, 3); returns its outputs by name."""
        batch = prepared.transpose(2, 0, 1) if self._channels_first else prepared
        batch = np.ascontiguousarray(batch[None] if self._rank == 4 else batch)
        keys = [output.name for output in self._session.get_outputs()]
        try:
            arrays = self._session.run(keys, {self._input: batch})
        except Exception as error:  # onnxruntime's errors have no class in common
            raise DetectionError(f"{self.path}: cannot be run on {batch.shape}: {error}") from error
        return dict(zip(keys, map(np.asarray, arrays), strict=True))

    def _check_labels(self, found):
        if not len(found):
            return
        low, high = found.labels.min(), found.labels.max()
        if low < 0 or (self.names and high >= len(self.names)):
            first = self._look.first_class if self.decoder == "ssd" else 0
            raise DetectionError(
                f"{self.path}: gives the labels {low + first} to {high + first}, but "
                f"{len(self.names or [])} names were given, the first of which is taken for label "
                f"{first}; expected a name for each label: check the list of names (torchvision "
                "and TensorFlow count 90 classes of COCO, with gaps), or first_class"
            )

    def _names_inside(self):
        """Reads the class names that YOLO's exporter leaves in the file; None if there are none."""
        text = self._session.get_modelmeta().custom_metadata_map.get("names", "")
        try:
            names = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            return None
        if isinstance(names, dict) and sorted(names) == list(range(len(names))):
            return [str(names[number]) for number in range(len(names))] or None
        return None


def onnx_runtime():
    """Imports onnxruntime, which nothing else in the library needs to score images.

    Returns:
        The module `onnxruntime`.

    Raises:
        ImportError: If onnxruntime is missing; tells how to install it.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(
            f"Judging by an object detector needs onnxruntime, which runs it: {_INSTALL}"
        ) from error
    return onnxruntime


def _session(path):
    """Opens an ONNX file; its threads sleep between images rather than spin beside TensorFlow's."""
    runtime = onnx_runtime()
    if not path.is_file():
        raise DetectionError(
            f"{path}: expected an object detector in an ONNX file; there is no file"
        )
    options = runtime.SessionOptions()
    options.log_severity_level = 3  # errors alone; exporters provoke hundreds of warnings
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no class in common
        raise DetectionError(f"{path}: not an ONNX network that can be run: {error}") from error
