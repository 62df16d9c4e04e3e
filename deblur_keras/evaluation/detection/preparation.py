"""Prepares a photograph for a detector, and maps the boxes found back to the photograph."""

import dataclasses

import numpy as np

_CHOICES = {
    "channels": ("rgb", "bgr"),
    "fit": ("letterbox", "stretch"),
    "place": ("centre", "corner"),
}


@dataclasses.dataclass(frozen=True)
class Preparation:
    """Says how a detector wants its input.

    The photograph is resized (bilinearly, as detectors are trained) to the input's size, whole and
    with its own proportions inside a border (``"letterbox"``), or without them (``"stretch"``).
    Then, unless the input is uint8, ``(pixel - mean) / deviation`` for each channel.

    Attributes:
        channels: Order of the colours, ``"rgb"`` or ``"bgr"``.
        mean: Three grey levels in that order, or one for all, subtracted.
        deviation: Three grey levels in that order, or one for all, divided by; 255 for values in
            [0, 1].
        fit: ``"letterbox"`` or ``"stretch"``.
        border: Grey level 0 to 255 around a letterboxed photograph.
        place: Where the photograph lies between the borders: in the ``"centre"``, or in the top
            left ``"corner"``.

    Raises:
        ValueError: A value is not one of those.

    Example:
        >>> photo = np.full((50, 100, 3), 255, np.uint8)
        >>> prepared, placement = Preparation(border=0).apply(photo, (64, 64))
        >>> prepared.shape, float(prepared.max()), placement.left, placement.top
        ((64, 64, 3), 1.0, 0, 16)
        >>> placement.to_photo([[0, 16, 64, 48]]).tolist()
        [[0.0, 0.0, 100.0, 50.0]]
    """

    channels: str = "rgb"
    mean: tuple = (0.0, 0.0, 0.0)
    deviation: tuple = (255.0, 255.0, 255.0)
    fit: str = "letterbox"
    border: int = 114
    place: str = "centre"

    def __post_init__(self):
        """Checks the values, and makes three of a single mean or deviation."""
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"{name} must be {' or '.join(map(repr, choices))}, got {getattr(self, name)!r}"
                )
        for name in ("mean", "deviation"):
            given = getattr(self, name)
            try:
                values = tuple(float(value) for value in np.broadcast_to(given, 3))
            except ValueError as error:
                raise ValueError(
                    f"{name} must be a number or three, such as [123, 116, 103], got {given!r}"
                ) from error
            object.__setattr__(self, name, values)
        if not min(self.deviation) > 0:
            raise ValueError(f"deviation must be positive, got {self.deviation}")
        if not 0 <= self.border <= 255:
            raise ValueError(f"border must be a grey level from 0 to 255, got {self.border}")

    def apply(self, image, size, dtype="float32"):
        """Makes a detector's input of a photograph.

        Args:
            image: uint8 RGB array ``(h, w, 3)`` of any size.
            size: ``(H, W)`` of the input, in pixels.
            dtype: ``"uint8"``, which leaves the pixels as they are, or a floating-point type.

        Returns:
            ``(prepared, placement)``: an array ``(H, W, 3)`` of `dtype`, and the `Placement` that
            leads back.
        """
        import cv2

        height, width = image.shape[:2]
        inner = size
        if self.fit == "letterbox":
            ratio = min(size[0] / height, size[1] / width)
            inner = max(1, round(height * ratio)), max(1, round(width * ratio))
        free = size[0] - inner[0], size[1] - inner[1]
        top, left = (side // 2 if self.place == "centre" else 0 for side in free)
        canvas = np.full((*size, 3), self.border, np.uint8)
        canvas[top : top + inner[0], left : left + inner[1]] = cv2.resize(
            np.ascontiguousarray(image), inner[::-1], interpolation=cv2.INTER_LINEAR
        )
        if self.channels == "bgr":
            canvas = canvas[..., ::-1]
        placement = Placement(left, top, inner[1] / width, inner[0] / height)
        if dtype == "uint8":
            return np.ascontiguousarray(canvas), placement
        values = (canvas - np.float32(self.mean)) / np.float32(self.deviation)
        return values.astype(dtype), placement

    def words(self, plain=False):
        """Words the preparation for a protocol.

        Args:
            plain: Whether the pixels stay as they are, as for a uint8 input.

        Example:
            >>> Preparation().words()
            'RGB, (x - (0, 0, 0)) / (255, 255, 255), letterboxed with grey 114, in the centre'
        """
        mean, deviation = (
            ", ".join(f"{value:g}" for value in values) for values in (self.mean, self.deviation)
        )
        pixels = "pixels as they are" if plain else f"(x - ({mean})) / ({deviation})"
        fit = "stretched"
        if self.fit == "letterbox":
            place = "in the centre" if self.place == "centre" else "in the top left corner"
            fit = f"letterboxed with grey {self.border}, {place}"
        return f"{self.channels.upper()}, {pixels}, {fit}"


@dataclasses.dataclass(frozen=True)
class Placement:
    """Says where a photograph lies in a detector's input.

    Attributes:
        left: Columns of the border on the left.
        top: Rows of the border above.
        scale_x: Columns of the input for each column of the photograph.
        scale_y: Rows of the input for each row of the photograph.
    """

    left: int
    top: int
    scale_x: float
    scale_y: float

    def to_photo(self, corners):
        """Maps boxes of the input back to the photograph: ``(x - left) / scale_x``, y likewise.

        Args:
            corners: ``(n, 4)``: left, top, right, bottom in pixels of the input.

        Returns:
            Float array ``(n, 4)`` in pixels of the photograph, not cut off at its edges.
        """
        corners = np.asarray(corners, dtype=np.float64).reshape(-1, 4)
        offset = [self.left, self.top, self.left, self.top]
        return (corners - offset) / [self.scale_x, self.scale_y, self.scale_x, self.scale_y]
