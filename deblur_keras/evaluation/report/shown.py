"""Shows the images that a model gained and lost most on, in its report and as PNG files beside."""

import re

from deblur_keras import images, sheets
from deblur_keras.evaluation import examples
from deblur_keras.evaluation.report.page import element, picture, section
from deblur_keras.evaluation.report.parts import gain_text

EXAMPLES = "examples"
"""Name of the folder of the best and the worst images."""

_PREVIEW = 480  # px, greatest side of a whole image on the page


def examples_section(result, restorer, pairs, directory, saved, progress):
    """Shows the best and the worst images, and writes a PNG of each.

    Args:
        result: An `Evaluation`.
        restorer: As in `report.write_report`, like the others.
        pairs: Likewise.
        directory: Likewise; the PNG files are ``examples/{best,worst}-<1 to 5>.png`` in it, and
            those of an earlier run are removed.
        saved: Likewise.
        progress: Likewise.

    Returns:
        `Markup`; None if there are no images.
    """
    best, worst = examples.pick(result)
    wanted = {row.name for row in best + worst}
    by_name = {pair.name: pair for pair in pairs if pair.name in wanted}
    scale = result.facts.get("scale", 1.0)
    folder, written, parts = directory / EXAMPLES, set(), []
    figure, _ = examples.measured(result)
    by = f" by gain in {figure.title}" if figure else ""
    for kind, rows in (("best", best), ("worst", worst)):
        shown = []
        for place, row in enumerate(rows, 1):
            if progress is not None:
                progress.start(row.name)
            path = folder / f"{kind}-{place}.png"
            try:
                example = examples.restore(row, by_name[row.name], restorer, scale, saved)
            except Exception as error:  # a file that is gone by now costs its own place alone
                text = f"could not be shown: {str(error) or type(error).__name__}"
                shown.append(_article(result, figure, place, row, element("p", text)))
            else:
                images.write(path, _sheet(result, example))
                written.add(path)
                shown.append(_article(result, figure, place, row, *_pictures(result, example)))
            if progress is not None:
                progress.advance()
        if shown:
            many = f"{len(rows)} " if len(rows) > 1 else ""
            parts += [element("h3", f"The {many}{kind}{by}"), *shown]
    for path in folder.glob("*.png"):
        if re.fullmatch(r"(best|worst)-\d+", path.stem) and path not in written:
            path.unlink()  # of an earlier run
    if not parts:
        return None
    return section("Best and worst images", _how_shown(result, saved), *parts)


def _how_shown(result, saved):
    text = (
        "Whole images are previews, compressed. The parts below them, marked by the frames, are "
        "those on which blurred and restored differ most, pixel by pixel as they are. "
    )
    if saved is None and result.facts.get("restore_with_dropout"):
        text += "Restored anew with other random numbers: the figures are of the images scored. "
    return element("p", text, class_="soft")


def _article(result, figure, place, row, *children):
    words = [f"{row.width}x{row.height}"]
    if figure is not None:
        gain = gain_text(figure, row.gain(figure.name))
        unit = f" {figure.unit}" if figure.unit else ""
        words = [f"{figure.title} ", gain, f"{unit}; ", *words]
    title = element("h4", f"{place}. {row.name}")
    return element("article", title, element("p", *words), *children, class_="example")


def _pictures(result, example):
    """Returns the whole images with their figures, and the part of each."""
    captions = [_caption(result, example.row, side) for side in example.sides]
    titles = {side: f"{example.row.name}: {side}" for side in example.sides}
    parts = [
        picture(crop, f"{titles[side]}, part", crop.shape[1] * example.factor, lossless=True)
        for side, crop in example.crops.items()
    ]
    if example.is_whole:
        return [element("div", _figures(parts, captions), class_="crops")]
    height, width = example.sides["blurred"].shape[:2]
    scale, frame = min(1.0, _PREVIEW / max(height, width)), _frame(example)
    previews = [
        element("div", picture(images.resize(image, scale), titles[side]), frame, class_="whole")
        for side, image in example.sides.items()
    ]
    high, wide = example.crops["blurred"].shape[:2]
    enlarged = f", enlarged {example.factor} times" if example.factor > 1 else ""
    return [
        element("div", _figures(previews, captions), class_="three"),
        element("p", f"Part of {wide}x{high} pixels{enlarged}:", class_="soft small"),
        element("div", _figures(parts, example.sides), class_="crops"),
    ]


def _frame(example):
    """Marks the part on the whole image."""
    height, width = example.sides["blurred"].shape[:2]
    rows, columns = example.part
    places = {
        "left": columns.start / width,
        "top": rows.start / height,
        "width": (columns.stop - columns.start) / width,
        "height": (rows.stop - rows.start) / height,
    }
    style = ";".join(f"{name}:{100 * share:.2f}%" for name, share in places.items())
    return element("i", style=style, aria_hidden="true")


def _figures(pictures, captions):
    return [
        element("figure", shown, element("figcaption", caption))
        for shown, caption in zip(pictures, captions, strict=True)
    ]


def _caption(result, row, side):
    """Names a side, and its figures below."""
    lines = [element("b", side)]
    for figure in result.protocol.figures if side != "sharp" else ():
        lines += [element("br"), _words(figure, row, side)]
    return lines


def _words(figure, row, side):
    value = getattr(row, side)[figure.name]
    unit = f" {figure.short_unit}" if figure.short_unit else ""  # a long one is in the tables
    return f"{figure.title} {figure.text(value)}{unit}" if value == value else f"{figure.title} -"


def _sheet(result, example):
    """Lays an example out as one picture."""
    captions = [
        "\n".join(_words(figure, example.row, side) for figure in result.protocol.figures)
        for side in ("blurred", "restored")
    ]
    rows, texts = [list(example.crops.values())], [[*captions, example.row.name]]
    titles = ["blurred", f"restored: {result.facts.get('model', 'model')}", "sharp"]
    if "sharp" not in example.sides:
        titles, texts = titles[:2], [[captions[0], f"{captions[1]}\n{example.row.name}"]]
    if not example.is_whole:
        rows.insert(0, list(example.sides.values()))
        texts.append("Where blurred and restored differ most")
    return sheets.contact_sheet(rows, titles, texts, cell=_PREVIEW)
