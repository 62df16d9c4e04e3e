"""Brings colours into the form that networks take, and back: CMYK, grey, and what alpha hides."""

import io

import numpy as np

CONVERTED = ("CMYK", "LAB")
"""The modes of Pillow that `to_srgb` is for."""


def to_srgb(picture, icc):
    """Converts a picture by its colour profile.

    Args:
        picture: `PIL.Image.Image` of any mode.
        icc: Its profile, bytes; or None.

    Returns:
        (picture of mode RGB, its profile): sRGB with its profile where there was one that fits,
        else Pillow's plain conversion and None.

    Note:
        Relative colorimetric with black point compensation, as Adobe's programs do by default.
    """
    from PIL import ImageCms

    profile = io.BytesIO(icc) if icc else None
    if profile is None and picture.mode == "LAB":
        profile = ImageCms.createProfile("LAB")
    if profile is not None:
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        try:
            converted = ImageCms.profileToProfile(
                picture,
                ImageCms.ImageCmsProfile(profile),
                srgb,
                renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
                outputMode="RGB",
                flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
            )
            return converted, srgb.tobytes()
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass  # a broken profile, or one of another kind of colours
    return picture.convert("RGB"), None


def grey_to_srgb(pixels, icc):
    """Converts grey of a grey profile to sRGB, for formats that have no single channel.

    Args:
        pixels: uint8 array (H, W, 3) of equal channels.
        icc: The profile, bytes.

    Returns:
        (uint8 array (H, W, 3), bytes of the sRGB profile or None), as `to_srgb` does.
    """
    from PIL import Image

    picture, icc = to_srgb(Image.fromarray(np.ascontiguousarray(pixels[..., 0])), icc)
    return np.asarray(picture), icc


def srgb_profile():
    """Returns the bytes of an sRGB profile.

    Example:
        >>> channels_of(srgb_profile())
        3
    """
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def channels_of(icc):
    """Tells from a colour profile for how many channels it is.

    Args:
        icc: Bytes of the profile.

    Returns:
        1, 3 or 4; None for others.

    Reference:
        ICC.1:2022, section 7.2.6: bytes 16 to 19 name the colour space.
    """
    return {b"GRAY": 1, b"RGB ": 3, b"Lab ": 3, b"CMYK": 4}.get(bytes(icc[16:20]))


def is_grey(pixels, tolerance=0):
    """Says whether a photograph has no colour at all.

    Args:
        pixels: uint8 or uint16 array (H, W, 3).
        tolerance: By how many levels channels may differ.

    Returns:
        bool.

    Example:
        >>> is_grey(np.full((2, 2, 3), 7, "uint8"))
        True
    """
    for part in (pixels[::16, ::16], pixels):  # the first tells for nearly all photographs
        highest, lowest = part.max(axis=2), part.min(axis=2)
        if (highest - lowest > tolerance).any():
            return False
    return True


def without_colour(pixels):
    """Averages colours by luma, `0.299 R + 0.587 G + 0.114 B`, into three equal channels.

    Args:
        pixels: uint8 or uint16 RGB array (H, W, 3).

    Returns:
        Array of the same shape and type. Equal channels stay exactly as they are.

    Example:
        >>> without_colour(np.array([[[10, 20, 30]]], "uint8")).tolist()
        [[[18, 18, 18]]]

    Reference:
        ITU-R BT.601, the luma of gamma-encoded colours.
    """
    import cv2

    luma = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY)
    return np.repeat(luma[..., None], 3, axis=-1)


def continue_under(pixels, alpha):
    """Continues the visible colours under the pixels that are fully transparent.

    What a file holds there is arbitrary, black more often than not, and a network mixes
    neighbours: restored with it, an object would get a dark rim. Each such pixel takes the colour
    of the visible one nearest to it.

    Args:
        pixels: uint8 or uint16 array (H, W, 3).
        alpha: Array (H, W) of the same type; 0 is fully transparent.

    Returns:
        Array like `pixels`; `pixels` itself where nothing, or everything, is transparent.

    Example:
        >>> row = np.array([[[9, 9, 9], [0, 0, 0]]], "uint8")
        >>> continue_under(row, np.array([[255, 0]], "uint8")).tolist()
        [[[9, 9, 9], [9, 9, 9]]]
    """
    import cv2

    hidden = alpha == 0
    if not hidden.any() or hidden.all():
        return pixels
    _, labels = cv2.distanceTransformWithLabels(
        hidden.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    source = np.zeros(labels.max() + 1, np.int64)  # from label to the visible pixel that bears it
    source[labels[~hidden]] = np.flatnonzero(~hidden)
    continued = pixels.copy()
    continued[hidden] = pixels.reshape(-1, 3)[source[labels[hidden]]]
    return continued
