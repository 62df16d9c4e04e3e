"""Writes what a comparison of two models found as one page to read."""

import dataclasses
from pathlib import Path

from deblur_keras import images
from deblur_keras.evaluation import outcomes
from deblur_keras.evaluation.report.page import (
    bullets,
    element,
    picture,
    section,
    table,
    write_page,
)
from deblur_keras.evaluation.report.parts import (
    REPORT,
    counted,
    environment,
    failures_section,
    files_section,
    heading,
    opening,
    published_caution,
    published_rows,
    rules_section,
    subject,
)
from deblur_keras.evaluation.significance import p_text


def write_comparison_report(result, directory):
    """Writes a page on how two models compare, from the files of `Comparison.write` beside it.

    ``report.html`` is self-contained: it loads nothing, and can be sent by itself.

    Args:
        result: A `Comparison`.
        directory: Folder that `compare_pairs` wrote to; the page takes its plots and contact sheet
            from there.

    Returns:
        `pathlib.Path` of the page.
    """
    directory = Path(directory)
    protocol, facts = result.protocol, result.facts
    what = f"Protocol {protocol.name}: {protocol.title}"
    names = [f"{side}: {name}" for side, name in zip("AB", result.names, strict=True)]
    title = f"{result.names[0]} against {result.names[1]} on {subject(facts)}"
    count = len(result.first.rows)
    plots = [f"{figure.name}.png" for figure in result.protocol.figures]
    files = [outcomes.TABLE, outcomes.SUMMARY, *plots, outcomes.SHEET]
    models = [
        (element("h3", name), environment(facts[key]))
        for key, name in zip("ab", names, strict=True)
    ]
    body = [
        opening(title, what, facts, count, result.failures),
        element(
            "main",
            _summary_section(result, names),
            _plots_section(result, directory),
            _scenes_section(result),
            _sheet_section(result, directory),
            failures_section(result.failures),
            rules_section(protocol.rules, [figure.variant for figure in protocol.figures], facts),
            section("Environment", environment(facts), models),
            files_section(directory, files),
        ),
    ]
    return write_page(directory / REPORT, f"{title}: deblurring report", *body)


def _summary_section(result, names):
    """Lays out the means and the wins, and says how to read them."""
    figures = result.protocol.figures
    found = [result.outcome(figure) for figure in figures]

    def means(title, name):
        return [title, *(f.text(getattr(o, name)) for f, o in zip(figures, found, strict=True)), ""]

    def shares(title, name):
        return [title, *(_share(getattr(o, name), o.count) for o in found), ""]

    rows = [
        f"This run: means of {counted(len(result.first.rows), 'image')} of {subject(result.facts)}",
        means("blurred input", "mean_blurred"),
        ("main", means(names[0], "mean_a")),
        ("main", means(names[1], "mean_b")),
        "Images on which one model is better",
        shares("A better", "wins_a"),
        shares("B better", "wins_b"),
        shares("equal", "ties"),
        ["p", *(p_text(outcome.p) for outcome in found), "Wilcoxon signed-rank test, two-sided"],
        *published_rows(result.protocol, [figure.name for figure in figures]),
    ]
    head = ["", *map(heading, figures), "source"]
    return section(
        "Summary",
        table(head, rows, "summary", texts={len(figures) + 1}),
        element("p", "↑ higher is better, ↓ lower is better.", class_="soft"),
        bullets(result.lines()),
        published_caution(result.protocol, result.facts, len(result.first.rows)),
    )


def _plots_section(result, directory):
    """Shows the plot of each figure."""
    shown = []
    for figure in result.protocol.figures:
        path, outcome = directory / f"{figure.name}.png", result.outcome(figure)
        if outcome.averaged and path.exists():
            words = (
                f"{figure.title} of the blurred input, A and B over "
                f"{counted(outcome.averaged, 'image')}: A better on {outcome.wins_a}, "
                f"B on {outcome.wins_b}, equal on {outcome.ties}."
            )
            shown.append(element("div", picture(path.read_bytes(), words), class_="wide"))
    return section("Scores over the images", shown) if shown else None


def _scenes_section(result):
    """Lays out the first figure by scenes, if there are several."""
    scenes = result.first.scenes()
    if len(scenes) < 2:
        return None
    figure, rows = result.protocol.figures[0], []
    partners = {row.name: row for row in result.second.rows}
    for scene, members in scenes.items():
        part = dataclasses.replace(
            result,
            first=dataclasses.replace(result.first, rows=members),
            second=dataclasses.replace(result.second, rows=[partners[r.name] for r in members]),
        )
        outcome = part.outcome(figure)
        means = outcome.mean_blurred, outcome.mean_a, outcome.mean_b
        wins = outcome.wins_a, outcome.wins_b, outcome.ties
        rows.append([scene, len(members), *map(figure.text, means), *wins])
    head = ["scene", "images", "blurred", "A", "B", "A better", "B better", "equal"]
    text = f"Means of {heading(figure)}, and the images on which A or B is better by it."
    return section("Scenes", element("p", text), table(head, rows, "scenes", tall=False))


def _sheet_section(result, directory):
    """Shows the contact sheet."""
    path = directory / outcomes.SHEET
    if not path.exists():
        return None
    words = (
        "Blurred, A, B and sharp side by side: the images on which A and B win most, and one in "
        "the middle, with the part on which they differ most."
    )
    sheet = element("div", picture(images.read(path), words), class_="wide sheet")
    return section("Images that tell most", element("p", words), sheet)


def _share(wins, count):
    return f"{wins} ({100 * wins / max(count, 1):.0f} %)"
