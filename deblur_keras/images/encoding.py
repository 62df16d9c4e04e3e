"""Encodes pixels and metadata as the bytes of a file."""

import io

import numpy as np

from deblur_keras.images import jp2, metadata, png

NOTHING = metadata.Metadata()
_DEEP = frozenset(("PNG", "TIFF", "JPEG2000", "HEIF"))  # hold more than 8 bits
_PNG_LEVEL = 3  # a third of the time of the usual 6, which makes photographs 5 % smaller at best
_ALPHA = frozenset(("PNG", "TIFF", "WEBP", "AVIF", "JPEG2000"))  # hold alpha exactly


def holds_deep(kind):
    """Says whether a format is written with more than 8 bits a channel."""
    return kind in _DEEP


def holds_alpha(kind):
    """Says whether a format keeps transparency exactly."""
    return kind in _ALPHA


def holds_grey(kind, deep, alpha):
    """Says whether a format is written with one channel for grey.

    Args:
        kind: Pillow's name of the format.
        deep: Whether there are 16 bits a channel.
        alpha: Whether there is transparency besides.

    Returns:
        bool; False means three equal channels.
    """
    return kind != "WEBP" and not (alpha and (deep or kind == "AVIF"))


def encode(kind, image, quality=95, about=NOTHING, codestream=False):
    """Encodes an image.

    JPEG and AVIF keep the colour at full resolution (4:4:4).

    Args:
        kind: Pillow's name of the format.
        image: uint8 array (H, W) grey, (H, W, 2) with alpha, (H, W, 3) RGB or (H, W, 4) RGBA;
            uint16, except (H, W, 2), where the format holds it.
        quality: 1 to 100, for JPEG, WebP, AVIF and HEIC; the other formats are lossless. Alpha is
            lossless in all.
        about: `metadata.Metadata` to put in; BMP and a bare JPEG 2000 codestream hold none.
        codestream: JPEG 2000 without its container.

    Returns:
        Bytes of the file.

    Raises:
        ValueError: The format cannot hold this image.

    Example:
        >>> encode("PNG", np.zeros((2, 3), "uint8"))[1:4]
        b'PNG'
    """
    image = np.ascontiguousarray(image)
    if kind == "HEIF":
        from deblur_keras.images import heic

        return heic.encode(image, quality, about)
    icc, exif, xmp, dpi = about
    options = {}
    if kind in ("JPEG", "WEBP", "AVIF"):
        options = {"quality": quality, "icc_profile": icc, "xmp": xmp}
        options["exif"] = b"Exif\0\0" + exif if exif else b""
        options = {name: value for name, value in options.items() if value}
    if kind == "JPEG":
        options |= {"subsampling": 0} | ({"dpi": dpi} if dpi else {})
    elif kind == "AVIF":
        options |= {"subsampling": "4:4:4"} if image.ndim == 3 else {}
        if image.ndim == 3 and image.shape[2] == 4:
            options["advanced"] = {"alpha:lossless": "1"}
    elif kind == "PNG":
        options = {"compress_level": _PNG_LEVEL}
    elif kind == "TIFF":
        options = {"compression": "tiff_lzw"}
    data = _deep(kind, image) if image.dtype == np.uint16 else _plain(kind, image, options)
    if codestream:
        return jp2.codestream(data)
    if about == NOTHING:
        return data
    if kind == "PNG":
        return png.with_metadata(data, icc, exif, xmp, dpi)
    if kind == "TIFF":
        return metadata.into_tiff(data, about)
    if kind == "JPEG2000":
        return jp2.with_metadata(data, icc, exif, xmp)
    return data


def _plain(kind, image, options):
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format=kind, **options)
    return buffer.getvalue()


def _deep(kind, image):
    """Encodes 16 bits a channel, which Pillow does for grey alone."""
    import cv2

    suffix, options = {
        "PNG": (".png", [cv2.IMWRITE_PNG_COMPRESSION, _PNG_LEVEL]),
        "TIFF": (".tif", [cv2.IMWRITE_TIFF_COMPRESSION, cv2.IMWRITE_TIFF_COMPRESSION_LZW]),
        "JPEG2000": (".jp2", [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000]),
    }[kind]
    if image.ndim == 3:
        image = np.ascontiguousarray(image[..., [2, 1, 0, 3][: image.shape[2]]])
    try:
        done, data = cv2.imencode(suffix, image, options)
    except cv2.error:
        done = False
    if not done:
        raise ValueError(f"OpenCV cannot encode {image.shape[1]}x{image.shape[0]} pixels")
    return data.tobytes()
