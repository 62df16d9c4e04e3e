"""Builds a web page that is one file: its style and its pictures are inside, it loads nothing.

Whatever is put into an `element` is escaped unless it came out of one: names of files and of models
are anybody's text.
"""

import base64
import html
import io

import numpy as np

from deblur_keras import images

_VOID = {"br", "img", "meta"}
_STYLE = """
:root { color-scheme: light dark;
  --ink: #1b1f24; --soft: #57606a; --line: #d0d7de; --paper: #ffffff; --card: #f3f5f8;
  --better: #0f5f26; --worse: #9c1022; --mark: #ffd33d; }
@media (prefers-color-scheme: dark) { :root {
  --ink: #e6edf3; --soft: #9ea7b3; --line: #3d444d; --paper: #0f1318; --card: #1a2028;
  --better: #6fd487; --worse: #ff9aa2; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; padding: 1.25rem 1.25rem 3rem; max-width: 77rem; color: var(--ink);
  background: var(--paper); font: 16px/1.5 system-ui, "Segoe UI", Roboto, sans-serif;
  overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .25rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .75rem; padding-bottom: .25rem;
  border-bottom: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.75rem 0 .5rem; }
h4 { font-size: 1rem; margin: 0 0 .1rem; }
p { margin: .4rem 0 .6rem; max-width: 62rem; }
.soft, figcaption { color: var(--soft); }
figcaption, .small { font-size: .88rem; }
.lead { font-size: 1.05rem; }
.better { color: var(--better); }
.worse { color: var(--worse); }
.notice { border-left: .3rem solid var(--worse); padding: .3rem .8rem; background: var(--card); }
.tiles { display: grid; gap: .75rem; margin: 1.25rem 0;
  grid-template-columns: repeat(auto-fit, minmax(min(11rem, 100%), 1fr)); }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: .4rem;
  padding: .6rem .9rem; }
.tile strong { display: block; font-size: 1.3rem; line-height: 1.3; }
.scroll { overflow: auto; border: 1px solid var(--line); border-radius: .4rem;
  width: fit-content; max-width: 100%; margin: .6rem 0; }
.low { max-height: 36rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .75rem; text-align: right; vertical-align: top; white-space: nowrap; }
thead { position: sticky; top: 0; z-index: 1; background: var(--card); }
thead th { vertical-align: bottom; white-space: normal; overflow-wrap: normal; }
th[colspan] { text-align: center; padding-bottom: 0; }
tbody tr { border-top: 1px solid var(--line); }
tbody th { text-align: left; font-weight: normal; white-space: normal; min-width: 12rem;
  max-width: 22rem; }
thead th:first-child, td.text, th.text { text-align: left; }
td.text { white-space: normal; min-width: 15rem; }
tr.group th { background: var(--card); font-weight: 600; max-width: none; text-align: left;
  padding-bottom: .3rem; }
tr.group span { position: sticky; left: .75rem; display: inline-block; max-width: 85vw; }
tr.main > * { font-weight: 650; }
dl { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; gap: .2rem 1.25rem;
  margin: .6rem 0; }
dt { color: var(--soft); }
dd { margin: 0; min-width: 0; }
code { font: .9em ui-monospace, Menlo, Consolas, monospace; }
ul { padding-left: 1.25rem; margin: .4rem 0; }
figure { margin: 0; min-width: 0; }
img { display: block; max-width: 100%; height: auto; }
.plots { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(30rem, 100%), 1fr)); }
.plots img, .wide img { background: #fff; border-radius: .4rem; }
.wide { overflow-x: auto; margin: .75rem 0; }
.wide img { max-width: max(100%, 44rem); }
.wide.sheet img { max-width: max(100%, 60rem); }
.example { border-top: 1px solid var(--line); padding: 1rem 0 1.25rem; }
.three { display: grid; gap: .4rem 1rem; grid-template-columns: repeat(3, minmax(0, 1fr)); }
.crops { display: grid; gap: .5rem 1rem; margin-top: .4rem; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(384px, 100%), 1fr)); }
.crops img { image-rendering: pixelated; }
.whole { position: relative; width: fit-content; }
.whole i { position: absolute; border: 2px solid var(--mark); outline: 1px solid #000; }
@media (max-width: 40rem) {
  body { padding: .75rem .5rem 2rem; }
  h1 { font-size: 1.4rem; }
  .three { gap: .4rem; }
  .three figcaption { font-size: .78rem; line-height: 1.35; }
  th, td { padding: .3rem .5rem; }
  tbody th { min-width: 9.5rem; max-width: 45vw; }
  td.text { min-width: 32rem; }
  .tiles { gap: .5rem; }
  .tile { padding: .5rem .6rem; }
  .tile strong { font-size: 1.1rem; }
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: .5rem; }
}
@media print {
  :root { color-scheme: light; --ink: #000; --soft: #444; --line: #999; --paper: #fff;
    --card: #eee; --better: #000; --worse: #000; }
  body { font-size: 10pt; max-width: none; padding: 0; }
  .scroll, .wide { overflow: visible; max-height: none; border: 0; }
  .scroll table { font-size: 8pt; }
  tbody th, td.text { min-width: 7rem; }
  .plots { grid-template-columns: 1fr 1fr; }
  thead { position: static; }
  .wide img, .wide.sheet img { max-width: 100%; }
  .crops { grid-template-columns: repeat(3, 1fr); }
  .three img, .crops img { max-height: 3.4cm; width: auto; }
  .example { padding: .4rem 0; }
  .example, .tile, figure, tr { break-inside: avoid; }
  h2, h3, h4 { break-after: avoid; }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
}
"""


class Markup(str):
    """Holds text that is HTML already, and is not escaped again."""


def element(tag, *children, **attributes):
    """Makes an element.

    Args:
        tag: Its name.
        children: What stands in it: `Markup` as it is, lists and tuples of children, None for
            nothing, everything else as escaped text.
        attributes: Its attributes, ``class_`` for ``class`` and ``aria_label`` for ``aria-label``;
            None leaves one out.

    Returns:
        `Markup`.

    Example:
        >>> print(element("p", "a < b", element("br"), class_="soft"))
        <p class="soft">a &lt; b<br></p>
    """
    given = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    if tag in _VOID:
        return Markup(f"<{tag}{given}>")
    return Markup(f"<{tag}{given}>{''.join(map(_inside, children))}</{tag}>")


def section(title, *children):
    """Makes a section under a heading."""
    return element("section", element("h2", title), *children)


def bullets(lines):
    """Makes a list of lines."""
    return element("ul", [element("li", line) for line in lines])


def definitions(entries):
    """Makes a list of terms and what they are.

    Args:
        entries: Dictionary; terms without a value are left out.
    """
    return element(
        "dl",
        [
            (element("dt", term), element("dd", value))
            for term, value in entries.items()
            if value not in (None, "")
        ],
    )


def table(head, rows, label, texts=(), tall=True):
    """Makes a table in a box of its own, which scrolls where there is no room for it.

    Args:
        head: Titles of the columns; a pair ``(title, titles)`` is several columns under one title.
        rows: List of rows. The first cell of a row is its heading. A row that is a string spans all
            columns and heads those below; a pair ``("main", row)`` is set in bold.
        label: What the box is called by what reads pages aloud.
        texts: Places of the columns that hold text, not numbers.
        tall: Whether all rows are to be seen at once, however many; else the box scrolls.

    Returns:
        `Markup`.

    Example:
        >>> shown = table(["image", ("PSNR", ["blurred", "restored"])], [["a", 1, 2]], "scores")
        >>> '<th colspan="2" scope="colgroup">PSNR</th>' in shown
        True
    """

    def kind(place):
        return "text" if place in texts else None

    titles, below, count = [], [], 0
    for title in head:
        inner = title[1] if isinstance(title, tuple) else []
        if inner:
            titles.append(element("th", title[0], colspan=len(inner), scope="colgroup"))
            below += [element("th", text, scope="col") for text in inner]
        else:
            rowspan = 2 if any(isinstance(other, tuple) for other in head) else None
            title = element("th", title, scope="col", rowspan=rowspan, class_=kind(count))
            titles.append(title)
        count += max(len(inner), 1)
    body = []
    for row in rows:
        if isinstance(row, str):
            cells = element("th", element("span", row), colspan=count, scope="rowgroup")
            body.append(element("tr", cells, class_="group"))
            continue
        weight, row = row if isinstance(row, tuple) else (None, row)
        first, *others = row
        cells = [element("th", first, scope="row")]
        cells += [element("td", value, class_=kind(n)) for n, value in enumerate(others, 1)]
        body.append(element("tr", cells, class_=weight))
    lines = [element("tr", line) for line in (titles, below) if line]
    inside = element("table", element("thead", lines), element("tbody", body))
    box = "scroll" if tall else "scroll low"
    return element("div", inside, class_=box, role="region", aria_label=label, tabindex=0)


def picture(image, words, width=None, lossless=False):
    """Puts a picture into the page.

    Args:
        image: uint8 RGB array ``(H, W, 3)``, or the bytes of a PNG file.
        words: What is to be seen, for whom it is read aloud.
        width: Width in CSS pixels to show it at; None takes the picture's own.
        lossless: Whether to store an array as PNG; as JPEG of quality 85 otherwise.

    Returns:
        `Markup` of an ``img``.

    Example:
        >>> print(picture(np.zeros((2, 3, 3), "uint8"), "black", lossless=True)[:40])
        <img src="data:image/png;base64,iVBORw0K
    """
    from PIL import Image

    if isinstance(image, bytes):
        data, kind = image, "png"
        size = Image.open(io.BytesIO(image)).size
    else:
        kind = "png" if lossless else "jpeg"
        buffer = io.BytesIO()
        options = {"optimize": True} if lossless else {"quality": 85, "subsampling": 0}
        Image.fromarray(np.ascontiguousarray(image)).save(buffer, kind, **options)
        data, size = buffer.getvalue(), image.shape[1::-1]
    shown = [round(side * (width or size[0]) / size[0]) for side in size]
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return element("img", src=source, alt=words, width=shown[0], height=max(shown[1], 1))


def write_page(path, title, *children):
    """Writes a page.

    Args:
        path: File to write; whole or not at all.
        title: What the browser's tab says.
        children: What stands on it.

    Returns:
        The path written, a `pathlib.Path`.
    """
    head = [
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", Markup(_STYLE)),
    ]
    page = element("html", element("head", head), element("body", *children), lang="en")
    # A file's name may hold bytes that are no text.
    return images.write_bytes(path, f"<!DOCTYPE html>\n{page}\n".encode(errors="backslashreplace"))


def _inside(child):
    if child is None:
        return ""
    if isinstance(child, list | tuple):
        return "".join(map(_inside, child))
    return child if isinstance(child, Markup) else html.escape(str(child))
