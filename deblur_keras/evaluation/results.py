"""What an evaluation found: means of its figures, tables and files."""

import dataclasses
import json
import math
import statistics
from pathlib import Path, PurePosixPath

from deblur_keras import images
from deblur_keras.evaluation.protocols import Protocol
from deblur_keras.evaluation.scores import improvement
from deblur_keras.evaluation.sets import TABLES
from deblur_keras.evaluation.tables import score_table

SCORES, SUMMARY = TABLES[0], "summary.json"
"""Names of the files that `evaluate_pairs` writes."""

_MOST_ROWS = 40  # above which `Evaluation.table` has a line per scene, not per image
_SHOWN = 2  # figures in the table, which has to fit 80 columns


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Holds the scores of a set of pairs, and how they came about.

    Attributes:
        protocol: The `Protocol` by which they were scored.
        rows: List of `Score`, one for each pair that could be scored.
        failures: Dictionary from the names of the other pairs to what went wrong.
        facts: Dictionary of the facts that the figures depend on.
    """

    protocol: Protocol
    rows: list
    failures: dict
    facts: dict

    def summary(self):
        """Averages the scores.

        An image that equals its sharp partner has an infinite PSNR, which would make every mean
        infinite. Such images are left out of the PSNR's statistics, the same images for blurred and
        restored, and counted in ``exact_blurred`` and ``exact_restored``; they stay in all other
        figures. Likewise images that are too small for a figure.

        Returns:
            Dictionary: ``count``, ``failed``; for each figure of the protocol a dictionary of
            ``count``, the images it was averaged over, ``blurred``, ``restored`` and ``gain``
            (restored minus blurred), which are means, and of ``lowest`` and ``highest``, each
            ``blurred`` and ``restored``; ``improved``, the share of the images that have the first
            figure in which it became better; ``worst_gain``, the least change for the better in
            that figure, and ``worst_image``; ``exact_blurred``, ``exact_restored``; ``seconds``, a
            dictionary of ``median``, ``mean``, ``lowest``, ``highest`` and ``images``, of the
            images that were restored with nothing else at work. Figures without any image behind
            them are None.

        Example:
            >>> from deblur_keras.evaluation import Score, protocols
            >>> row = Score("a", 8, 8, {"ssim": 0.5, "mse": 650.0}, {"ssim": 0.75, "mse": 326.0})
            >>> found = Evaluation(protocols.find("paper-000"), [row], {}, {}).summary()
            >>> found["ssim"]["gain"], found["mse"]["restored"], found["improved"]
            (0.25, 326.0, 1.0)
        """
        leading = self.protocol.figures[0]
        gains = [(improvement(row, leading), row.name) for row in _measured(self.rows, leading)]
        worst = min(gains, default=(None, None))
        better = [
            improvement(row, leading) > 0
            for row in self.rows
            if not math.isnan(row.restored[leading.name])
        ]
        psnr = [
            (math.isinf(row.blurred["psnr"]), math.isinf(row.restored["psnr"]))
            for row in self.rows
            if "psnr" in row.blurred
        ]
        seconds = [row.seconds for row in self.rows if row.timed]
        return {
            "count": len(self.rows),
            "failed": len(self.failures),
            **{
                figure.name: _statistics(_measured(self.rows, figure), figure.name)
                for figure in self.protocol.figures
            },
            "improved": statistics.fmean(better) if better else None,
            "worst_gain": worst[0],
            "worst_image": worst[1],
            "exact_blurred": sum(blurred for blurred, _ in psnr),
            "exact_restored": sum(restored for _, restored in psnr),
            "seconds": {
                "median": statistics.median(seconds) if seconds else None,
                "mean": _mean(seconds),
                "lowest": min(seconds, default=None),
                "highest": max(seconds, default=None),
                "images": len(seconds),
            },
        }

    def scenes(self):
        """Groups the rows by scene: what stands before the last slash of their names.

        Returns:
            Dictionary from scenes, in order, to lists of `Score`; ``"all"`` for names without one.

        Example:
            >>> from deblur_keras.evaluation import Score, protocols
            >>> rows = [Score(name, 8, 8, {}, {}) for name in ("a/1", "b/1", "a/2", "c")]
            >>> found = Evaluation(protocols.find("gopro"), rows, {}, {}).scenes()
            >>> {scene: len(rows) for scene, rows in found.items()}
            {'a': 2, 'b': 1, 'all': 1}
        """
        groups = {}
        for row in self.rows:
            scene = str(PurePosixPath(row.name).parent)
            groups.setdefault("all" if scene == "." else scene, []).append(row)
        return groups

    def table(self):
        """Lays the scores out: a line per image, or per scene when there are more than 40 images.

        Returns:
            A ``rich.table.Table``, to be printed on a ``rich.console.Console``.
        """
        from rich.text import Text

        by_scene = len(self.rows) > _MOST_ROWS
        groups = self.scenes() if by_scene else {row.name: [row] for row in self.rows}
        figures = self.protocol.figures[:_SHOWN]
        titles = [title for figure in figures for title in (figure.heading, "gain")]
        timed = any(row.timed for row in self.rows)
        titles += ["time"] * timed
        first = "scene (images)" if by_scene else "image"
        table = score_table(first, titles, overflow="fold")
        for name, rows in groups.items():
            means = dataclasses.replace(self, rows=rows).summary()
            cells = []
            for figure in figures:
                mean = means[figure.name]
                before, after = (
                    _exact_or(rows, side, figure, mean[side]) for side in ("blurred", "restored")
                )
                cells += [f"{before} -> {after}", figure.text(mean["gain"], signed=True)]
            if timed:
                median = means["seconds"]["median"]
                cells.append("-" if median is None else f"{median:.2f} s")
            shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in name)
            table.add_row(Text(f"{shown} ({len(rows)})" if by_scene else shown), *cells)
        return table

    def lines(self):
        """Words the summary, blurred -> restored with the gains.

        Returns:
            List of lines of text.
        """
        if not self.rows:
            return ["no image could be scored"]
        summary, lines = self.summary(), []
        for figure in self.protocol.figures:
            lines += _figure_lines(figure, summary[figure.name], self.protocol.extremes)
        leading = self.protocol.figures[0]
        count = sum(not math.isnan(row.restored[leading.name]) for row in self.rows)
        if count:
            improved = round(summary["improved"] * count)
            line = f"{improved} of {count} images improved by {leading.title}"
            if summary["worst_image"] is not None:
                # shown as the gains are, which fall where less is better
                gain = summary["worst_gain"] * (1 if leading.higher_is_better else -1)
                worst = " ".join(filter(None, [leading.text(gain, signed=True), leading.unit]))
                line += f"; worst gain {worst} ({summary['worst_image']})"
            lines.append(line)
        for figure in self.protocol.figures:
            without = sum(math.isnan(row.restored[figure.name]) for row in self.rows)
            if without:
                lines.append(
                    f"{figure.title}: left out for {without} of {summary['count']} images, where "
                    "it is not defined"
                )
        if summary["exact_blurred"] or summary["exact_restored"]:
            lines.append(
                f"equal to the sharp image, and left out of the mean PSNR: "
                f"{summary['exact_blurred']} blurred, {summary['exact_restored']} restored"
            )
        return lines + self._seconds_lines(summary["seconds"])

    def _seconds_lines(self, seconds):
        if seconds["median"] is None:
            return []
        count = seconds["images"]
        line = f"{seconds['median']:.2f} s per image (median of {count}, alone in this process"
        device, warm_up = self.facts.get("device"), self.facts.get("warm_up_seconds")
        line += f", on {device}" if device else ""
        lines = [line + (f"; warm-up of {warm_up:.1f} s apart)" if warm_up else ")")]
        if self.protocol.extremes:
            lines.append(
                f"seconds: highest {seconds['highest']:.2f}, lowest {seconds['lowest']:.2f}, "
                f"mean {seconds['mean']:.2f}"
            )
        return lines

    def protocol_lines(self):
        """Words what the figures depend on, to be printed beside them.

        Returns:
            List of lines of text.
        """
        facts = self.facts
        sizes = facts.get("sizes", [])
        shown = ", ".join(sizes[:3]) + (f" and {len(sizes) - 3} more" if len(sizes) > 3 else "")
        noun = "pairs" if self.protocol.paired else "photographs"
        scored = f"{len(self.rows)} of {facts.get('pairs', len(self.rows))} {noun}, {shown}"
        if facts.get("resampling"):
            scored += f", scale {facts['scale']:g} by {facts['resampling']}"
        lines = [f"protocol {self.protocol.name}: {self.protocol.title}", *self.protocol.rules]
        lines += [figure.variant for figure in self.protocol.figures]
        lines.append(scored)
        if facts.get("model"):
            digest = facts.get("model_sha256")
            lines.append(f"model {facts['model']}" + (f", sha256 {digest}" if digest else ""))
        return lines

    def published_lines(self):
        """Words what was published under the same protocol.

        Returns:
            List of lines of text; empty if there is nothing.
        """
        titles = {figure.name: figure for figure in self.protocol.figures}
        lines = []
        if self.protocol.published:
            lines.append(
                f"Published, on {self.protocol.data} (to be compared only if yours are the same "
                "images, at the same size):"
            )
        for published in self.protocol.published:
            values = ", ".join(
                f"{titles[name].title if name in titles else name} {value}"
                for name, value in published.values.items()
            )
            note = f"; {published.note}" if published.note else ""
            lines.append(f"  {published.who}: {values} ({published.source}{note})")
        return lines

    def write_summary(self, directory):
        """Writes ``summary.json``: means, protocol and faults.

        Figures without a value are ``null`` there: JSON knows neither infinity nor NaN.

        Args:
            directory: Folder to write to; made if missing. The file is written whole or not at all.

        Returns:
            The path written.
        """
        report = {
            "summary": self.summary(),
            "protocol": {**self.protocol.facts(), **self.facts},
            "failures": [{"name": name, "error": text} for name, text in self.failures.items()],
        }
        text = json.dumps(report, indent=2, allow_nan=False, ensure_ascii=False, default=str)
        path = Path(directory) / SUMMARY
        images.write_bytes(path, (text + "\n").encode())
        return path


def _measured(rows, figure):
    """Returns the rows that have a finite value of a figure, blurred and restored."""
    return [
        row
        for row in rows
        if math.isfinite(row.blurred[figure.name]) and math.isfinite(row.restored[figure.name])
    ]


def _statistics(rows, name):
    sides = {"blurred": [row.blurred[name] for row in rows]}
    sides["restored"] = [row.restored[name] for row in rows]
    means = {side: _mean(values) for side, values in sides.items()}
    gain = None if means["blurred"] is None else means["restored"] - means["blurred"]
    extremes = {
        title: {side: pick(values, default=None) for side, values in sides.items()}
        for title, pick in (("lowest", min), ("highest", max))
    }
    return {"count": len(rows), **means, "gain": gain, **extremes}


def _figure_lines(figure, found, extremes):
    if found["gain"] is None:
        return []
    unit = f" {figure.short_unit}" if figure.short_unit else ""  # a long one is in the variant
    gain = figure.text(found["gain"], signed=True)
    before, after = (figure.text(found[side]) for side in ("blurred", "restored"))
    lines = [f"{figure.title:4} {before} -> {after}{unit} ({gain}{unit})"]
    if extremes:
        words = [
            f"{title} {figure.text(found[title]['blurred'])} -> "
            f"{figure.text(found[title]['restored'])}"
            for title in ("highest", "lowest")
        ]
        lines.append(f"     {', '.join(words)}")
    return lines


def _mean(values):
    return statistics.fmean(values) if values else None


def _exact_or(rows, side, figure, mean):
    """Formats a mean; the infinite PSNR of a single image is shown as what it is."""
    if mean is None and len(rows) == 1:
        value = getattr(rows[0], side)[figure.name]
        return figure.text(None if math.isnan(value) else value)
    return figure.text(mean)
