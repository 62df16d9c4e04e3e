"""What a photograph is besides its pixels."""

import dataclasses

import numpy as np

from deblur_keras.images import colours
from deblur_keras.images.metadata import Metadata


@dataclasses.dataclass(frozen=True, eq=False)
class Photograph:
    """Holds a photograph as `open_photograph` finds it and `save_photograph` writes it.

    Attributes:
        pixels: uint8 or uint16 RGB array (H, W, 3), upright. Under fully transparent pixels the
            visible colours continue.
        alpha: Array (H, W) of the same type, 0 for fully transparent; None where there is none.
        grey: Whether there is no colour: the three channels of `pixels` are equal, but for the
            rounding of a lossy WebP.
        channels: Of the file without alpha, 1 or 3; as many are written where the format allows.
        icc: Colour profile of `pixels`, bytes or None.
        exif: EXIF block from its TIFF header on, without orientation and thumbnail; bytes or None.
        xmp: XMP packet that says upright, without thumbnails; bytes or None.
        dpi: Pixels an inch, (x, y), or None.
        format: Pillow's name of the format it was read from, ``"HEIF"`` or ``"RAW"``; or None.

    Raises:
        ValueError: Pixels or alpha are not such arrays.

    Example:
        >>> photograph = Photograph(np.zeros((2, 3, 3), "uint8"))
        >>> photograph.restored(photograph.pixels + 7).pixels.max()
        np.uint8(7)
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    grey: bool = False
    channels: int = 3
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple | None = None
    format: str | None = None

    def __post_init__(self):
        """Checks the arrays."""
        pixels, alpha = self.pixels, self.alpha
        if pixels.dtype not in (np.uint8, np.uint16) or pixels.shape[2:] != (3,) or not pixels.size:
            raise ValueError(
                "expected pixels as a non-empty uint8 or uint16 array (H, W, 3), got "
                f"{pixels.dtype} {pixels.shape}"
            )
        if alpha is not None and (alpha.dtype, alpha.shape) != (pixels.dtype, pixels.shape[:2]):
            raise ValueError(
                f"expected alpha as {pixels.dtype} {pixels.shape[:2]} like the pixels, got "
                f"{alpha.dtype} {alpha.shape}"
            )

    @property
    def metadata(self):
        """What the photograph says besides its pixels, as `metadata.Metadata`."""
        return Metadata(self.icc, self.exif, self.xmp, self.dpi)

    def restored(self, pixels):
        """Returns this photograph with other pixels, such as a network's.

        Alpha and metadata stay. Where the photograph is grey, the colours that a network made of
        it are averaged away, by luma: it gets no tint.

        Args:
            pixels: Array of the same shape and type.

        Returns:
            `Photograph`.

        Raises:
            ValueError: It is of another shape or type.
        """
        if (pixels.dtype, pixels.shape) != (self.pixels.dtype, self.pixels.shape):
            raise ValueError(
                f"expected {self.pixels.dtype} {self.pixels.shape} like the photograph, got "
                f"{pixels.dtype} {pixels.shape}"
            )
        pixels = colours.without_colour(pixels) if self.grey else pixels
        return dataclasses.replace(self, pixels=pixels)
