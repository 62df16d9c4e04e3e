"""Contact sheets: images side by side with titles and captions, to be looked at."""

import numpy as np

_GAP = 8  # px between cells and around text
_WHITE = 255
_WIDEST = 640  # px, of a cell whose width was not asked for
_NOT_IN_FONT = str.maketrans({"→": "->", "−": "-", "≥": ">=", "≤": "<="})


def contact_sheet(rows, titles, captions=None, cell=None):
    """Lays images out in a grid on white, titles above the columns, captions below the images.

    An image wider than its cell is reduced by area; one at most half as wide is enlarged by a
    whole factor with its pixels kept square. Nothing is cropped.

    Args:
        rows: list of lists of uint8 images, (H, W, 3) or (H, W); None leaves a cell empty.
            Sizes may differ.
        titles: list of column titles, one for each column.
        captions: one entry a row: a string for the whole row, a list of strings for its cells, or
            None. Long text is wrapped.
        cell: cell width in px; None takes the widest image's, at most 640.

    Returns:
        uint8 array of shape (H, W, 3).

    Raises:
        ValueError: no images, rows longer than the titles, captions that do not fit the rows, or
            an image that is not uint8.

    Example:
        >>> import numpy as np
        >>> dark, bright = np.zeros((40, 60, 3), "uint8"), np.full((40, 60, 3), 200, "uint8")
        >>> sheet = contact_sheet([[dark, bright]], ["blurred", "restored"], ["21.0 dB -> 24.5 dB"])
        >>> sheet.shape[2], sheet.dtype.name
        (3, 'uint8')
    """
    rows = [list(row) for row in rows]
    images = [image for row in rows for image in row if image is not None]
    _check(rows, images, titles, captions)
    cell = min(max(image.shape[1] for image in images), _WIDEST) if cell is None else int(cell)
    if cell < 1:
        raise ValueError(f"cell must be at least 1 px wide, got {cell}")
    columns = len(titles)
    width = columns * (cell + _GAP) + _GAP
    size = int(np.clip(cell / 18, 12, 24))  # px, of the text

    strips = [_text_strip(titles, cell, size + 2, width)]
    for index, row in enumerate(rows):
        fitted = [None if image is None else _fit(image, cell) for image in row]
        strips.append(_image_strip(fitted, cell, width))
        caption = captions[index] if captions is not None else None
        if isinstance(caption, str):
            strips.append(_text_strip([caption], width - 2 * _GAP, size, width))
        elif caption is not None:
            strips.append(_text_strip(caption, cell, size, width))
    return np.concatenate(strips)


def _check(rows, images, titles, captions):
    if not images:
        raise ValueError("contact_sheet expects at least one image, got none")
    for image in images:
        colour = image.ndim == 3 and image.shape[2] == 3
        if image.dtype != np.uint8 or not (colour or image.ndim == 2) or not image.size:
            raise ValueError(
                "contact_sheet expects uint8 images (H, W, 3) or (H, W), got "
                f"{image.dtype} {image.shape}; images.to_uint8 converts network values"
            )
    longest = max(len(row) for row in rows)
    if longest > len(titles):
        raise ValueError(f"expected a title for each of {longest} columns, got {len(titles)}")
    if captions is None:
        return
    if len(captions) != len(rows):
        raise ValueError(f"expected a caption for each of {len(rows)} rows, got {len(captions)}")
    for caption in captions:
        if not isinstance(caption, str | None) and len(caption) > len(titles):
            raise ValueError(
                f"expected at most {len(titles)} captions in a row, one a cell, got {len(caption)}"
            )


def _fit(image, cell):
    """Image as (H, W, 3), no wider than the cell."""
    import cv2

    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=-1)
    height, width = image.shape[:2]
    if width > cell:
        size = (cell, max(1, round(height * cell / width)))
        return cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_AREA)
    factor = cell // width
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


def _image_strip(fitted, cell, width):
    """One row of the grid; images centred in their cells, a gap below."""
    tallest = max((image.shape[0] for image in fitted if image is not None), default=0)
    strip = np.full((tallest + _GAP // 2, width, 3), _WHITE, np.uint8)
    for column, image in enumerate(fitted):
        if image is not None:
            height, wide = image.shape[:2]
            top = (tallest - height) // 2
            left = _GAP + column * (cell + _GAP) + (cell - wide) // 2
            strip[top : top + height, left : left + wide] = image
    return strip


def _text_strip(texts, cell, size, width):
    """One row of texts, each centred over its cell of `cell` px and wrapped to it."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(size)
    wrapped = [_wrap(text, font, cell) for text in texts]
    lines = max((text.count("\n") + 1 for text in wrapped), default=1)
    pitch = sum(font.getmetrics()) + 2
    picture = Image.new("RGB", (width, lines * pitch + 3 * _GAP // 2), "white")
    draw = ImageDraw.Draw(picture)
    for column, text in enumerate(wrapped):
        centre = _GAP + column * (cell + _GAP) + cell / 2
        for line, words in enumerate(text.split("\n")):
            draw.text((centre, _GAP / 2 + line * pitch), words, "black", font, anchor="ma")
    return np.asarray(picture)


def _wrap(text, font, width):
    """Breaks text at spaces so that it fits; a word that is too long loses its middle."""
    lines = []
    for paragraph in str(text).translate(_NOT_IN_FONT).split("\n"):
        line = ""
        for word in paragraph.split():
            word = _shorten(word, font, width)
            longer = f"{line} {word}".strip()
            if line and font.getlength(longer) > width:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return "\n".join(lines)


def _shorten(word, font, width):
    keep = len(word)
    shown = word
    while font.getlength(shown) > width and keep > 2:
        keep -= 1
        shown = word[: (keep + 1) // 2] + "…" + word[len(word) - keep // 2 :]
    return shown
