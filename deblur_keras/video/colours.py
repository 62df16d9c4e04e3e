"""Makes RGB of decoded frames and frames of RGB, by the video's own colour matrix; turns pictures.

swscale takes every video for BT.601 with limited range unless it is told otherwise; the colours
would come back as they were, but the network would see wrong ones.
"""

import struct

import cv2
import numpy as np

from deblur_keras.video import clip

_BT709, _BT601, _SWSCALE_OWN = 1, 5, 5
_MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}  # AVColorSpace -> swscale's number
_HD_HEIGHT = 720  # from here on, players take a video that does not say for BT.709
_LIMITED, _FULL = 1, 2
_TAGS = ("color_primaries", "color_trc", "colorspace", "color_range")
# Bicubic, with colour at every pixel instead of every second: SWS_FULL_CHR_H_INT and
# SWS_FULL_CHR_H_INP, SWS_ACCURATE_RND.
_CAREFUL = 4 | 0x2000 | 0x4000 | 0x40000


def of(frame, context):
    """Reads how a video codes colours.

    Args:
        frame: `av.VideoFrame`, decoded.
        context: its `av.VideoCodecContext`.

    Returns:
        `clip.Colours`.

    Note:
        A video that does not name its matrix is taken for BT.709 from 720 lines on, else for
        BT.601, as by players.
    """
    unnamed = _BT709 if frame.height >= _HD_HEIGHT else _BT601
    matrix = _MATRICES.get(int(frame.colorspace), unnamed)
    full_range = int(frame.color_range) == _FULL or frame.format.name.startswith("yuvj")
    tags = {name: int(getattr(context, name) or 0) for name in _TAGS}
    if frame.format.is_rgb or frame.format.has_palette:  # which has no matrix yet
        full_range = False
        tags |= {"colorspace": 1 if matrix == _BT709 else 6, "color_range": _LIMITED}
    return clip.Colours(matrix, full_range, tags)


def chroma_of(pixel_format):
    """Finds how finely a kind of frame keeps colour.

    Args:
        pixel_format: `av.VideoFormat`.

    Returns:
        `"420"`, `"422"` or `"444"`: the first that keeps it all; for grey `"420"`.
    """
    if len(pixel_format.components) < 3 and not pixel_format.has_palette:
        return "420"
    if pixel_format.is_rgb or pixel_format.chroma_width(8) == 8:
        return "444"
    return "420" if pixel_format.chroma_height(8) < 8 else "422"


def to_rgb(frame, facts):
    """Makes RGB pixels of a decoded frame.

    Args:
        frame: `av.VideoFrame`.
        facts: the video's `Facts`.

    Returns:
        uint8 array (H, W, 3), of videos of more than 8 bits uint16.
    """
    return frame.to_ndarray(
        format="rgb48le" if facts.bits > 8 else "rgb24",
        src_colorspace=facts.colours.matrix,
        dst_colorspace=_SWSCALE_OWN,
        src_color_range=_FULL if facts.colours.full_range else _LIMITED,
        dst_color_range=_LIMITED,  # not heeded for RGB, which has one range alone
        interpolation=_CAREFUL,
    )


def to_frame(pixels, pixel_format, facts):
    """Makes a frame to be encoded of RGB pixels.

    Args:
        pixels: uint8 or uint16 array (H, W, 3).
        pixel_format: name of the encoder's, such as `"yuv420p"`.
        facts: `Facts` of the video that the pixels are from.

    Returns:
        `av.VideoFrame`, without a time.
    """
    import av

    if facts.grey:
        grey = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY)
        pixels = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
    wide = pixels.dtype == np.uint16
    frame = av.VideoFrame.from_ndarray(
        np.ascontiguousarray(pixels), format="rgb48le" if wide else "rgb24"
    )
    return frame.reformat(
        format=pixel_format,
        src_colorspace=_SWSCALE_OWN,
        dst_colorspace=facts.colours.matrix,
        src_color_range=_LIMITED,
        dst_color_range=_FULL if facts.colours.full_range else _LIMITED,
        interpolation=_CAREFUL,
    )


def turn_of(frame):
    """Reads how a decoded frame has to be turned to stand upright.

    Args:
        frame: `av.VideoFrame`.

    Returns:
        `(a, b, c, d)`: the pixel at column x and row y belongs at column a x + c y and row
        b x + d y; (1, 0, 0, 1) for a picture that stands upright. Mirrored ones occur too.
    """
    try:
        side = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # beside a kind of side data that this PyAV does not know
        side = None
    if side is None:
        return (1, 0, 0, 1)
    a, b, _, c, d = struct.unpack("=9i", bytes(side))[:5]
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return (_sign(a), 0, 0, _sign(d))
    return (0, _sign(b), _sign(c), 0)


def upright(pixels, turn):
    """Turns a picture.

    Args:
        pixels: array (H, W, 3).
        turn: what `turn_of` gave.

    Returns:
        Array of the same type, (H, W, 3) or (W, H, 3).

    Example:
        >>> picture = np.arange(6).reshape(2, 3, 1)  # and a quarter to the right
        >>> upright(picture, (0, 1, -1, 0))[..., 0].tolist()
        [[3, 0], [4, 1], [5, 2]]
    """
    a, b, c, d = turn
    if a == 0:
        pixels, (a, d) = pixels.swapaxes(0, 1), (c, b)
    return np.ascontiguousarray(pixels[:: d or 1, :: a or 1])


def _sign(number):
    return -1 if number < 0 else 1
