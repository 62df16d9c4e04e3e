"""Measures what scoring costs beside restoring, and whether its memory grows with the set.

    python benchmarks/evaluation.py

The reference is restoring alone: the same network on the same photographs, which are in memory
already. Beside it the whole of `evaluate_pairs`, which reads pairs of 720p PNG files, restores,
scores by PSNR, SSIM and MSE and writes the table as it goes; both in the same process, in turn,
medians of repeats. The warm-up, which restores the first image once more, is apart from both. The
images that are timed alone, with nothing else at work, are part of the whole: the more images a set
has, the less they count.

Targets: at most 1.15 times the restoring alone; memory steady over a thousand images. On two cores,
reading and scoring a 720p pair take about 0.18 s of processor time, so a network that takes 0.3 s
cannot meet the first: both cores are busy with it.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from data import resident, write_photographs

LIMIT = 1.15
GROWTH = 0.02  # of the memory, from the hundredth image to the last
NETWORKS = {"default": 64, "resnet": 12}  # and how many images


class Counted:
    """Progress that notes the memory."""

    def __init__(self):
        self.held = []

    def start(self, name):
        """Does nothing."""

    def advance(self, count=1):
        """Notes the memory."""
        self.held.append(resident())


def repeated(pairs, count):
    """Returns ``count`` pairs, over and over the same files under names of their own."""
    import dataclasses

    return [
        dataclasses.replace(pairs[index % len(pairs)], name=f"scene/{index}")
        for index in range(count)
    ]


def seconds(work, sign=1):
    """Returns the seconds that a call took, and what it returned, times a sign."""
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, sign * (found or 0)


def report_time(pairs, repeats):
    from deblur_keras import evaluation, generators
    from deblur_keras.restorer import Restorer

    print(f"{'network':14}{'images':>8}{'restoring, s':>14}{'whole, s':>10}{'ratio':>8}")
    for name, count in NETWORKS.items():
        model = name if name == "default" else generators.resnet_generator()
        restorer = Restorer(model)
        chosen = repeated(pairs, count)
        blurred = [pair.read()[0] for pair in chosen[: len(pairs)]]
        restorer(blurred[0])

        def alone(restorer=restorer, blurred=blurred, count=count):
            for index in range(count):
                restorer(blurred[index % len(blurred)])

        def whole(restorer=restorer, chosen=chosen):
            with tempfile.TemporaryDirectory() as folder:
                found = evaluation.evaluate_pairs(restorer, chosen, folder)
            assert len(found.rows) == len(chosen)
            return found.facts["warm_up_seconds"]

        rounds = [(seconds(alone)[0], sum(seconds(whole, -1))) for _ in range(repeats)]
        reference, took = (statistics.median(column) for column in zip(*rounds, strict=True))
        ratio = statistics.median(took / reference for reference, took in rounds)
        said = "ok" if ratio <= LIMIT else f"above {LIMIT}"
        print(f"{name:14}{count:8}{reference:14.2f}{took:10.2f}{ratio:8.2f}  {said}", flush=True)


def report_memory(pairs, count):
    from deblur_keras import evaluation

    progress = Counted()
    with tempfile.TemporaryDirectory() as folder:
        evaluation.evaluate_pairs(
            lambda image: image.copy(), repeated(pairs, count), folder, progress=progress
        )
    held = progress.held
    growth = held[-1] / held[99] - 1
    said = "ok" if growth < GROWTH else f"above {GROWTH:.0%}"
    print(
        f"\nmemory after 100 images {held[99]:.0f} MB, after {count} {held[-1]:.0f} MB, "
        f"growth {growth:.1%}  {said}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--images", type=int, default=1000, help="for the memory")
    arguments = parser.parse_args()
    from deblur_keras import datasets

    with tempfile.TemporaryDirectory() as folder:
        write_photographs(Path(folder))
        pairs = datasets.pairs(folder)
        report_time(pairs, arguments.repeats)
        report_memory(pairs, arguments.images)


if __name__ == "__main__":
    main()
