"""What the reports of one model and of two share: the published figures, rules, environment."""

import datetime
from pathlib import Path, PurePath

from deblur_keras.evaluation.report.page import bullets, definitions, element, section, table

REPORT = "report.html"
"""Name of the page."""

_TERMS = {
    "data": "data",
    "split": "split",
    "blur": "blurred side",
    "scale": "scale",
    "resampling": "resampling",
    "sizes": "sizes",
    "model": "model",
    "model_file": "file",
    "model_sha256": "SHA-256",
    "files_sha256": "SHA-256 of the files' names, sizes and times",
    "classes_sha256": "SHA-256 of the class names",
    "boxes_sha256": "SHA-256 of the boxes",
    "boxes_form": "form of the boxes",
    "ensemble": "eight orientations averaged",
    "strength": "share of the restored image",
    "restore_with_dropout": "dropout when restoring",
    "dropout_samples": "samples averaged",
    "seed": "seed",
    "command": "command",
    "date": "date",
    "device": "device",
    "machine": "machine",
    "versions": "versions",
    "warm_up_seconds": "warm-up",
}
_OF_THE_DATA = ("data", "split", "blur", "scale", "resampling", "sizes")
_SAID_ELSEWHERE = {"protocol", "figures", "pairs", "library", "a", "b"}
_MOST_SIZES = 6
_ARROWS = {True: "↑", False: "↓"}


def subject(facts):
    """Names the data in a word: the last part of a folder, or the name of a dataset.

    Args:
        facts: Dictionary of the facts of an `Evaluation`.

    Example:
        >>> subject({"data": "/data/mine"}), subject({"data": "gopro/light"}), subject({})
        ('mine', 'gopro/light', 'unnamed data')
    """
    data = str(facts.get("data") or "unnamed data")
    path = PurePath(data)
    return path.name if path.is_absolute() and path.name else data


def counted(count, noun):
    """Words a number of things.

    Example:
        >>> counted(1, "image"), counted(2, "image")
        ('1 image', '2 images')
    """
    return f"{count} {noun}{'s' * (count != 1)}"


def heading(figure):
    """Heads the column of a figure: title, unit, and an arrow in the direction of the better."""
    unit = f" ({figure.unit})" if figure.unit else ""
    return f"{figure.title}{unit} {_ARROWS[figure.higher_is_better]}"


def gain_text(figure, gain):
    """Words a gain of a figure: in a colour, and with its sign.

    Args:
        figure: A `Figure`.
        gain: Restored minus blurred; None for a dash.
    """
    text = figure.text(gain, signed=True)
    if gain is None or not any(digit in text for digit in "123456789i"):  # 0.00, or nan
        return text
    better = (gain > 0) == figure.higher_is_better
    return element("span", text, class_="better" if better else "worse")


def opening(title, what, facts, count, failures, noun="pairs"):
    """Opens a report: what was scored, by what, on how much.

    Args:
        title: What the page is called.
        what: The protocol, in a sentence.
        facts: Dictionary of the facts.
        count: Images that were scored.
        failures: Dictionary of those that were not.
        noun: What was scored, in the plural.

    Returns:
        `Markup`.
    """
    total = facts.get("pairs", count + len(failures))
    words = [f"{count} of {total} {noun}", _sizes(facts), _shown("date", facts.get("date"))]
    notice = None
    if failures:
        link = element("a", "which, and why", href="#failures")
        text = f"{len(failures)} of {total} {noun} could not be scored (", link, ")."
        others = " All figures are those of the others." if count else " There are no figures."
        notice = element("p", *text, others, class_="notice")
    return element(
        "header",
        element("h1", title),
        element("p", what, class_="lead"),
        element("p", "; ".join(filter(None, words)), class_="soft"),
        notice,
    )


def published_rows(protocol, columns):
    """Lays out what was published under a protocol, for the foot of a table.

    Args:
        protocol: The `Protocol`.
        columns: Names of the figures in the table's columns, ``"seconds"`` among them.

    Returns:
        List of rows for `page.table`: who, a value or nothing for each column, the source with what
        to know about it. Empty if there is nothing published.
    """
    if not protocol.published:
        return []
    rows = [f"Published under this protocol, measured on {protocol.data or 'other data'}"]
    for entry in protocol.published:
        values = [
            format(entry.values[name], "g") if name in entry.values else "" for name in columns
        ]
        source = "; ".join(filter(None, [entry.source, entry.note]))
        rows.append([entry.who, *values, source])
    return rows


def published_caution(protocol, facts, count):
    """Says what the published figures were measured on, and what this run was."""
    if not protocol.published:
        return None
    where = facts.get("data") or "data that were not named"
    sizes = f" at {_sizes(facts)}" if facts.get("sizes") else ""
    text = (
        f"The published figures were measured by others, on {protocol.data or 'other data'}; this "
        f"run scored {counted(count, 'pair')} of {where}{sizes}. Unless these are the same images, "
        "at the same size and by the same variant of the figure, the two do not compare."
    )
    return element("p", text)


def failures_section(failures):
    """Lists the pairs that could not be scored; None if there are none."""
    if not failures:
        return None
    rows = [[name, text] for name, text in failures.items()]
    head, label = ["pair", "what went wrong"], "pairs that could not be scored"
    listed = table(head, rows, label, texts={1}, tall=False)
    return element("div", section("Not scored", listed), id="failures")


def rules_section(rules, variants, facts):
    """Says by which rules the figures were measured, and on what.

    Args:
        rules: Sentences.
        variants: Sentences, one a figure.
        facts: Dictionary of the facts.

    Returns:
        `Markup`.
    """
    figures = [element("h3", "Figures"), bullets(variants)] if variants else None
    return section(
        "How it was measured",
        element("h3", "Rules of the protocol"),
        bullets(rules),
        figures,
        element("h3", "Data"),
        definitions({_TERMS[name]: _shown(name, facts.get(name)) for name in _OF_THE_DATA}),
    )


def environment(facts, skip=()):
    """Lists all other facts.

    Args:
        facts: Dictionary of the facts.
        skip: Names of facts to leave out.

    Returns:
        `Markup` of a list.
    """
    skip = {*skip, *_OF_THE_DATA, *_SAID_ELSEWHERE}
    names = [name for name in _TERMS if name in facts]
    names += [name for name in facts if name not in _TERMS]
    entries = {
        _TERMS.get(name, name.replace("_", " ")): _shown(name, facts[name])
        for name in names
        if name not in skip
    }
    return definitions(entries)


def files_section(directory, names):
    """Links to the files beside the page.

    Args:
        directory: Folder of the page.
        names: Names of files there; those that do not exist are left out.
    """
    there = [name for name in names if (Path(directory) / name).exists()]
    links = [element("a", name, href=name) for name in there]
    text = "This page holds all that it shows. The numbers and pictures behind it lie beside it:"
    return section("Files", element("p", text), bullets(links))


def _sizes(facts):
    sizes = facts.get("sizes") or []
    more = f" and {len(sizes) - _MOST_SIZES} more sizes" if len(sizes) > _MOST_SIZES else ""
    return ", ".join(sizes[:_MOST_SIZES]) + more


def _date(text):
    """Words an ISO date of the standard zone, to the minute; another text as it is."""
    try:
        return f"{datetime.datetime.fromisoformat(text):%Y-%m-%d %H:%M %Z}".strip()
    except (TypeError, ValueError):
        return text


def _shown(name, value):
    """Words a fact."""
    if name == "seed" and value is None:
        return "none: restoring draws no random numbers"
    if value is None:
        return None
    if name == "sizes":
        return _sizes({"sizes": value})
    if name in ("command", "model_sha256", "model_file"):
        return element("code", value)
    if name == "date":
        return _date(value)
    if name == "warm_up_seconds":
        return f"{value:.1f} s for the first image, in no figure"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items() if item is not None)
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return format(value, "g") if isinstance(value, float) else str(value)
