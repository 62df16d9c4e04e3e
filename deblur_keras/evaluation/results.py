"""What an evaluation found: the figures of each image, their means, tables and files."""

import csv
import dataclasses
import json
import math
import statistics
from pathlib import Path, PurePosixPath

from deblur_keras import images

_MOST_ROWS = 40  # above which `Evaluation.table` has a line per scene, not per image
_COLUMNS = (
    *("name", "width", "height"),
    *("psnr_blurred", "psnr_restored", "psnr_gain"),
    *("ssim_blurred", "ssim_restored", "ssim_gain"),
    *("mse_blurred", "mse_restored", "seconds"),
)


@dataclasses.dataclass(frozen=True)
class Score:
    """Holds the figures of one image.

    Attributes:
        name: Name of the pair.
        width: Width as scored, in pixels.
        height: Height as scored, in pixels.
        psnr_blurred: PSNR of the blurred input against the sharp image, in dB.
        psnr_restored: PSNR of the restored image, in dB; infinite where it equals the sharp one.
        ssim_blurred: SSIM of the blurred input; NaN for an image below 11x11 pixels.
        ssim_restored: SSIM of the restored image.
        mse_blurred: Mean squared error of the blurred input, in squared grey levels.
        mse_restored: Mean squared error of the restored image.
        seconds: Time that the restorer took, reading and scoring not included.
    """

    name: str
    width: int
    height: int
    psnr_blurred: float
    psnr_restored: float
    ssim_blurred: float
    ssim_restored: float
    mse_blurred: float
    mse_restored: float
    seconds: float

    @property
    def psnr_gain(self):
        """PSNR won by restoring, in dB; 0 where both images equal the sharp one."""
        return _difference(self.psnr_restored, self.psnr_blurred)

    @property
    def ssim_gain(self):
        """SSIM won by restoring."""
        return self.ssim_restored - self.ssim_blurred


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Holds the scores of a set of pairs, and how they came about.

    Attributes:
        rows: List of `Score`, one for each pair that could be scored.
        failures: Dictionary from the names of the other pairs to what went wrong.
        protocol: Dictionary of the facts that the figures depend on.
    """

    rows: list
    failures: dict
    protocol: dict

    def summary(self):
        """Averages the scores.

        An image that equals its sharp partner has an infinite PSNR, which would make every mean
        infinite. Such images are left out of the three PSNR means, all three over the same images,
        and counted in ``exact_blurred`` and ``exact_restored``; they stay in all other figures.
        SSIM is averaged over the images that are large enough to have one.

        Returns:
            Dictionary: ``count``, ``failed``; ``psnr``, ``ssim`` and ``mse``, each a dictionary of
            ``blurred``, ``restored`` and ``gain`` (for ``mse``, restored minus blurred: negative is
            better); ``improved``, the share of images whose PSNR rose; ``worst_gain``, in dB, and
            ``worst_image``; ``exact_blurred``, ``exact_restored``; ``seconds_median`` and
            ``seconds_mean`` per image. Figures without any image behind them are None.

        Example:
            >>> scores = [Score("a", 8, 8, 20.0, 23.0, 0.5, 0.75, 650.0, 325.9, 0.1)]
            >>> Evaluation(scores, {}, {}).summary()["psnr"]
            {'blurred': 20.0, 'restored': 23.0, 'gain': 3.0}
        """
        finite = [row for row in self.rows if math.isfinite(row.psnr_blurred + row.psnr_restored)]
        with_ssim = [row for row in self.rows if not math.isnan(row.ssim_restored)]
        worst = min(finite, key=lambda row: row.psnr_gain, default=None)
        seconds = [row.seconds for row in self.rows]
        return {
            "count": len(self.rows),
            "failed": len(self.failures),
            "psnr": _means(finite, "psnr"),
            "ssim": _means(with_ssim, "ssim"),
            "mse": _means(self.rows, "mse"),
            "improved": _mean([row.psnr_restored > row.psnr_blurred for row in self.rows]),
            "worst_gain": worst and worst.psnr_gain,
            "worst_image": worst and worst.name,
            "exact_blurred": sum(math.isinf(row.psnr_blurred) for row in self.rows),
            "exact_restored": sum(math.isinf(row.psnr_restored) for row in self.rows),
            "seconds_median": statistics.median(seconds) if seconds else None,
            "seconds_mean": _mean(seconds),
        }

    def table(self):
        """Lays the scores out: a line per image, or per scene when there are more than 40 images.

        Returns:
            A ``rich.table.Table``, to be printed on a ``rich.console.Console``.
        """
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        groups = {row.name: [row] for row in self.rows}
        if len(self.rows) > _MOST_ROWS:
            groups = {}
            for row in self.rows:
                scene = str(PurePosixPath(row.name).parent)
                groups.setdefault("all" if scene == "." else scene, []).append(row)
        table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        title = "image" if len(groups) == len(self.rows) else "scene (images)"
        table.add_column(title, overflow="fold")
        for title in ("PSNR, dB", "gain", "SSIM", "gain", "seconds"):
            table.add_column(title, justify="right", no_wrap=True)
        for name, rows in groups.items():
            means = Evaluation(rows, {}, {}).summary()
            psnr, ssim = means["psnr"], means["ssim"]
            table.add_row(
                Text(name if len(rows) == 1 else f"{name} ({len(rows)})"),  # no markup in names
                _arrow(*(_exact_or(rows, side, psnr[side]) for side in ("blurred", "restored"))),
                _text(psnr["gain"], "+.2f"),
                _arrow(_text(ssim["blurred"], ".4f"), _text(ssim["restored"], ".4f")),
                _text(ssim["gain"], "+.4f"),
                _text(means["seconds_median"], ".2f"),
            )
        return table

    def lines(self):
        """Words the summary, blurred -> restored with the gains.

        Returns:
            List of lines of text.
        """
        if not self.rows:
            return ["no image could be scored"]
        summary = self.summary()
        psnr, ssim, mse = summary["psnr"], summary["ssim"], summary["mse"]
        count, improved = summary["count"], round(summary["improved"] * summary["count"])
        lines = []
        if psnr["gain"] is not None:
            lines.append(
                f"PSNR {psnr['blurred']:.2f} -> {psnr['restored']:.2f} dB ({psnr['gain']:+.2f} dB)"
            )
        if ssim["gain"] is not None:
            lines.append(
                f"SSIM {ssim['blurred']:.4f} -> {ssim['restored']:.4f} ({ssim['gain']:+.4f})"
            )
        lines.append(f"MSE  {mse['blurred']:.1f} -> {mse['restored']:.1f} ({mse['gain']:+.1f})")
        line = f"{improved} of {count} images improved by PSNR"
        if summary["worst_image"] is not None:
            line += f"; worst gain {summary['worst_gain']:+.2f} dB ({summary['worst_image']})"
        lines.append(line)
        if summary["exact_blurred"] or summary["exact_restored"]:
            lines.append(
                f"equal to the sharp image, and left out of the mean PSNR: "
                f"{summary['exact_blurred']} blurred, {summary['exact_restored']} restored"
            )
        device, warm_up = self.protocol.get("device"), self.protocol.get("warm_up_seconds")
        line = f"{summary['seconds_median']:.2f} s per image (median, one at a time"
        line += f", on {device}" if device else ""
        lines.append(line + (f"; warm-up of {warm_up:.1f} s apart)" if warm_up else ")"))
        return lines

    def protocol_lines(self):
        """Words what the figures depend on, to be printed beside them.

        Returns:
            List of lines of text.
        """
        protocol = self.protocol
        sizes = protocol.get("sizes", [])
        shown = ", ".join(sizes[:3]) + (f" and {len(sizes) - 3} more" if len(sizes) > 3 else "")
        scored = f"{len(self.rows)} of {protocol.get('pairs', len(self.rows))} pairs, {shown}"
        if protocol.get("resampling"):
            scored += f", scale {protocol['scale']:g} by {protocol['resampling']}"
        lines = [*protocol.get("metrics", []), scored]
        if protocol.get("model"):
            digest = protocol.get("model_sha256")
            lines.append(f"model {protocol['model']}" + (f", sha256 {digest}" if digest else ""))
        return lines

    def write(self, directory):
        """Writes ``scores.csv`` (a line per image) and ``summary.json`` (means, protocol, faults).

        In the CSV, ``inf`` is the PSNR of an exact image and ``nan`` the SSIM of one below 11x11
        pixels; in the JSON, which knows neither, figures without a value are ``null``.

        Args:
            directory: Folder to write to; made if missing. Each file is written whole or not at
                all.

        Returns:
            List of the two paths written.
        """
        directory = Path(directory)
        scores, summary = directory / "scores.csv", directory / "summary.json"
        with images.atomic_path(scores) as temporary, temporary.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(_COLUMNS)
            for row in self.rows:
                writer.writerow([_plain(getattr(row, column)) for column in _COLUMNS])
        report = {
            "summary": self.summary(),
            "protocol": self.protocol,
            "failures": [{"name": name, "error": text} for name, text in self.failures.items()],
        }
        text = json.dumps(report, indent=2, allow_nan=False, ensure_ascii=False, default=str)
        images.write_bytes(summary, (text + "\n").encode())
        return [scores, summary]


def _means(rows, score):
    blurred = _mean([getattr(row, f"{score}_blurred") for row in rows])
    restored = _mean([getattr(row, f"{score}_restored") for row in rows])
    gain = None if blurred is None else restored - blurred
    return {"blurred": blurred, "restored": restored, "gain": gain}


def _mean(values):
    return statistics.fmean(values) if values else None


def _difference(left, right):
    return 0.0 if left == right else left - right  # inf - inf would be NaN


def _plain(value):
    return f"{value:.6g}" if isinstance(value, float) else value


def _exact_or(rows, side, mean):
    """Formats a PSNR; the infinite one of a single image is shown as what it is."""
    if mean is None and len(rows) == 1:
        return _text(getattr(rows[0], f"psnr_{side}"), ".2f")
    return _text(mean, ".2f")


def _text(value, form):
    return "-" if value is None else format(value, form)


def _arrow(before, after):
    return f"{before} -> {after}"
