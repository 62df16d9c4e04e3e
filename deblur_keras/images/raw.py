"""Develops camera raw files with the package rawpy."""

import io

from deblur_keras.images import colours, metadata, tiff
from deblur_keras.images.formats import RAW_SUFFIXES

_INSTALL = 'pip install "rawpy>=0.24,<1"'
_SRGB_CURVE = (2.4, 12.92)  # LibRaw's own is that of BT.709
_NOT_RAW = (b"\xff\xd8", b"\x89PNG")  # JPEG and PNG under a wrong suffix


def is_raw(path, data):
    r"""Says whether a file is camera raw.

    Args:
        path: Its path; raw files look like TIFF, and their suffix tells them apart.
        data: Its bytes; a TIFF file that says it is a DNG is one under any name.

    Returns:
        bool.

    Example:
        >>> from pathlib import Path
        >>> is_raw(Path("IMG_1.CR2"), b"II*"), is_raw(Path("IMG_1.CR2"), b"\xff\xd8")
        (True, False)
    """
    if path.suffix.lower() in RAW_SUFFIXES:
        return not data.startswith(_NOT_RAW)
    try:
        reader = tiff.Reader(data)
        return tiff.DNG_VERSION in reader.directory(reader.first).entries
    except tiff.TiffError:
        return False


def rawpy():
    """Imports rawpy, which nothing else in the library needs.

    Returns:
        The module.

    Raises:
        ImportError: It is missing; tells how to install it.
    """
    try:
        import rawpy
    except ImportError as error:
        raise ImportError(f"Camera raw needs rawpy: {_INSTALL}") from error
    return rawpy


def develop(data, max_pixels):
    """Develops a raw file: the camera's white balance, 16-bit sRGB, LibRaw's other defaults.

    Args:
        data: Bytes of the file.
        max_pixels: More than this many are refused before they are developed.

    Returns:
        `Photograph` with uint16 pixels, and the camera's EXIF where the file is built like TIFF.

    Raises:
        ImageError: It is too large.
        ImportError: rawpy is missing.
        ValueError: It is broken, or of a camera that LibRaw does not know.

    Note:
        XMP is left out: in a raw file it holds how to develop, which would be done twice.
    """
    from deblur_keras.images.opening import assemble, check_size

    module = rawpy()
    try:
        with module.imread(io.BytesIO(data)) as file:
            check_size(file.sizes.width, file.sizes.height, max_pixels)
            pixels = file.postprocess(use_camera_wb=True, output_bps=16, gamma=_SRGB_CURVE)
    except module.LibRawError as error:
        raise ValueError(f"LibRaw cannot develop it: {error}") from error
    about = metadata.Metadata(icc=colours.srgb_profile(), exif=metadata.from_tiff(data))
    return assemble(pixels, None, 3, about, "RAW")
