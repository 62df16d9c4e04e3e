"""What a comparison of two models found: the outcome of each figure, tables, notes and files."""

import csv
import dataclasses
import json
import math
import statistics
from pathlib import Path, PurePosixPath

import numpy as np

from deblur_keras import images
from deblur_keras.evaluation.journal import plain
from deblur_keras.evaluation.protocols import Protocol
from deblur_keras.evaluation.results import Evaluation
from deblur_keras.evaluation.significance import p_text, signed_rank_test
from deblur_keras.evaluation.tables import score_table

TABLE, SUMMARY, SHEET = "comparison.csv", "comparison.json", "contact_sheet.png"
"""Names of the files that `compare_pairs` writes, besides ``<figure>.png`` for each figure."""

_FEWEST = 6  # images whose p can fall below 0.05: 2 of 2^6 cases


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Holds how A and B compare in one figure, such as SSIM.

    Attributes:
        count: Images that have the figure; the wins and ties add up to it.
        averaged: Images in the means: those whose figure is finite for blurred, A and B.
        mean_blurred: Mean of the blurred input; None without images, as the other means.
        mean_a: Mean of A.
        mean_b: Mean of B.
        wins_a: Images on which A is better.
        wins_b: Images on which B is better.
        ties: Images on which both score exactly the same.
        p: Two-sided p-value of `signed_rank_test`; None where it is not defined.
        method: How ``p`` was found.
    """

    count: int
    averaged: int
    mean_blurred: float | None
    mean_a: float | None
    mean_b: float | None
    wins_a: int
    wins_b: int
    ties: int
    p: float | None
    method: str

    def facts(self):
        """Returns the fields and the three shares of ``count`` as a dictionary, for JSON."""
        shares = {
            f"share_{name.removeprefix('wins_')}": getattr(self, name) / self.count
            if self.count
            else None
            for name in ("wins_a", "wins_b", "ties")
        }
        return {**dataclasses.asdict(self), **shares}


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Holds the scores of two models on the same images.

    Attributes:
        protocol: The `Protocol` by which they were scored.
        names: What A and B are called.
        first: `Evaluation` of A, of the images that both could score.
        second: `Evaluation` of B, of the same images in the same order.
        failures: Dictionary from the names of the other pairs to what went wrong.
        facts: Dictionary of the facts that the figures depend on.
    """

    protocol: Protocol
    names: tuple
    first: Evaluation
    second: Evaluation
    failures: dict
    facts: dict

    def scores(self, figure):
        """Collects one figure of all images.

        Args:
            figure: A `Figure` of the protocol.

        Returns:
            Float array ``(3, images)``: blurred, A, B. SSIM is NaN below 11x11 pixels, PSNR
            infinite for an image that equals the sharp one.
        """
        left, right = self.first.rows, self.second.rows
        return np.array(
            [
                [row.blurred[figure.name] for row in left],
                [row.restored[figure.name] for row in left],
                [row.restored[figure.name] for row in right],
            ],
            dtype=float,
        )

    def advantages(self, figure):
        """Tells by how much B is better than A on each image.

        Args:
            figure: A `Figure` of the protocol.

        Returns:
            Float array ``(images,)``, positive where B is better whichever way the figure points;
            0 where both are the same, both infinite included; NaN where there is no figure.
        """
        _, left, right = self.scores(figure)
        with np.errstate(invalid="ignore"):  # inf - inf
            difference = np.where(left == right, 0.0, right - left)
        return difference if figure.higher_is_better else -difference

    def outcome(self, figure):
        """Compares A and B in one figure.

        Args:
            figure: A `Figure` of the protocol.

        Returns:
            An `Outcome`.
        """
        scores, advantages = self.scores(figure), self.advantages(figure)
        advantages = advantages[~np.isnan(advantages)]
        averaged = scores[:, np.isfinite(scores).all(axis=0)]
        means = averaged.mean(axis=1).tolist() if averaged.size else [None] * 3
        wins = [int(np.sum(advantages < 0)), int(np.sum(advantages > 0))]
        p, method = signed_rank_test(advantages)
        ties = advantages.size - sum(wins)
        return Outcome(advantages.size, averaged.shape[1], *means, *wins, ties, p, method)

    def table(self):
        """Lays out means, wins and p-values, a line for each figure.

        Returns:
            A ``rich.table.Table``, to be printed on a ``rich.console.Console``.
        """
        titles = ("blurred", "A", "B", "A better", "B better", "equal", "p")
        table = score_table("mean of", titles)
        for figure in self.protocol.figures:
            outcome = self.outcome(figure)
            means = (outcome.mean_blurred, outcome.mean_a, outcome.mean_b)
            table.add_row(
                figure.heading,
                *map(figure.text, means),
                *(
                    f"{wins} ({100 * wins / max(outcome.count, 1):.0f} %)"
                    for wins in (outcome.wins_a, outcome.wins_b, outcome.ties)
                ),
                p_text(outcome.p),
            )
        return table

    def lines(self):
        """Words how the table is to be read: the test, what was left out, and what p cannot tell.

        Returns:
            List of lines of text.
        """
        rows = self.first.rows
        if not rows:
            return ["no image could be scored with both models"]
        outcomes = {figure: self.outcome(figure) for figure in self.protocol.figures}
        methods = sorted({outcome.method for outcome in outcomes.values() if outcome.p is not None})
        lines = []
        if methods:
            lines.append(
                "p: two-sided Wilcoxon signed-rank test over the images on which A and B differ "
                f"({'; '.join(methods)})"
            )
        alike = [
            figure.title
            for figure, outcome in outcomes.items()
            if outcome.count and outcome.ties == outcome.count
        ]
        if alike:
            lines.append(
                f"{', '.join(alike)}: A and B score the same on every image; p is not defined"
            )
        for figure, outcome in outcomes.items():
            if without := len(rows) - outcome.count:
                lines.append(
                    f"{figure.title}: left out for {without} of {len(rows)} images, below "
                    f"{figure.least}x{figure.least} pixels"
                )
            if exact := outcome.count - outcome.averaged:
                lines.append(
                    f"{figure.title}: the means leave out {exact} of {len(rows)} images, where "
                    "blurred, A or B equals the sharp image; wins and p count them"
                )
        if methods and len(rows) < _FEWEST:
            lines.append(
                f"{len(rows)} image{'s' * (len(rows) > 1)} cannot show much: p is at least "
                f"{0.5 ** (len(rows) - 1):.2g} however they come out; below 0.05 takes {_FEWEST}"
            )
        scenes = len({PurePosixPath(row.name).parent for row in rows})
        if methods and 1 <= scenes < len(rows) and any("/" in row.name for row in rows):
            lines.append(
                f"p takes the images for independent, but these {len(rows)} come from {scenes} "
                f"scene{'s' * (scenes > 1)} whose frames are alike: they prove less than p says"
            )
        seconds = [
            [row.seconds for row in evaluation.rows if row.timed]
            for evaluation in (self.first, self.second)
        ]
        if all(seconds):
            a, b = map(statistics.median, seconds)
            lines.append(f"A {a:.2f} s, B {b:.2f} s per image (median, alone in this process)")
        return lines

    def protocol_lines(self):
        """Words what the figures depend on, to be printed beside them.

        Returns:
            List of lines of text, one each for A and B last.
        """
        lines = Evaluation(self.protocol, self.first.rows, {}, self.facts).protocol_lines()
        for key, name in zip("ab", self.names, strict=True):
            digest = self.facts[key].get("model_sha256")
            lines.append(f"{key.upper()}: {name}" + (f", sha256 {digest}" if digest else ""))
        digests = [self.facts[key].get("model_sha256") for key in "ab"]
        if digests[0] is not None and digests[0] == digests[1]:
            lines.append("A and B are the same file, byte for byte")
        return lines

    def write(self, directory):
        """Writes the scores of each image, the summary, and a plot of each figure.

        ``comparison.csv`` has a line per image, with ``inf`` and ``nan`` where `scores` has them;
        ``comparison.json``, which knows neither, has ``null``. Without any SSIM there is no plot of
        it; one of an earlier run is removed.

        Args:
            directory: Folder to write to; made if missing. Each file is written whole or not at
                all.

        Returns:
            List of the paths written.

        Raises:
            ValueError: If no image could be scored.
        """
        from deblur_keras.evaluation import plots

        if not self.first.rows:
            raise ValueError("There is nothing to write: no image could be scored with both models")
        table, summary = (Path(directory) / name for name in (TABLE, SUMMARY))
        self._write_table(table)
        report = {
            "models": {key: {"name": name} for key, name in zip("ab", self.names, strict=True)},
            "images": len(self.first.rows),
            "metrics": {
                figure.name: self.outcome(figure).facts() for figure in self.protocol.figures
            },
            "notes": self.lines(),
            "protocol": {**self.protocol.facts(), **self.facts},
            "failures": [{"name": name, "error": text} for name, text in self.failures.items()],
        }
        text = json.dumps(report, indent=2, allow_nan=False, ensure_ascii=False, default=str)
        images.write_bytes(summary, (text + "\n").encode())
        written = [table, summary]
        for figure in self.protocol.figures:
            path = Path(directory) / f"{figure.name}.png"
            if self.outcome(figure).averaged:
                written.append(plots.plot_scores(self, figure, path))
            else:
                path.unlink(missing_ok=True)
        return written

    def _write_table(self, path):
        figures = self.protocol.figures
        scores = {figure: self.scores(figure) for figure in figures}
        advantages = {figure: self.advantages(figure) for figure in figures}
        columns = [f"{figure.name}_{side}" for figure in figures for side in ("blurred", "a", "b")]
        winners = [f"{figure.name}_winner" for figure in figures]
        with images.atomic_path(path) as temporary, temporary.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            seconds = ("seconds_a", "seconds_b")
            writer.writerow(["name", "width", "height", *columns, *winners, *seconds])
            for index, row in enumerate(self.first.rows):
                values = [value for figure in figures for value in scores[figure][:, index]]
                writer.writerow(
                    [
                        *(row.name, row.width, row.height),
                        *map(plain, map(float, values)),
                        *(_winner(advantages[figure][index]) for figure in figures),
                        *(plain(side.seconds) for side in (row, self.second.rows[index])),
                    ]
                )


def _winner(advantage):
    if math.isnan(advantage):
        return ""
    return "tie" if advantage == 0 else "B" if advantage > 0 else "A"
