"""Measures what opening and saving photographs costs beside restoring them.

    python benchmarks/folder.py [--networks default resnet] [--kinds jpg png] [--images 100]

The reference is the network alone: the same restorer called on the same photographs, which are in
memory already. Beside it `Restorer.restore_files`, which opens and saves while the network works,
and `Restorer.restore_file` one after the other; all in the same process, in turn, `--images` in all
over the rounds, medians of the ratios. Photographs are 1280x720, read and written in one kind,
repeated under names of their own. `cost` is the processor time of opening and saving one, as a
share of the processor time that the network takes for one: where the network keeps all cores busy,
the ratio cannot be less than 1 + cost.

Target: `restore_files` at most 1.1 times the network alone, for JPEG.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from data import PHOTOGRAPHS, write_photographs

LIMIT = 1.1
SHARE = {"default": 1.0, "resnet": 0.12}  # of the photographs; the slow network gets fewer


def timed(work):
    """Returns the wall and the processor seconds of a call."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


def measure(restorer, sources, results, kind, count, rounds):
    """Returns a round's (network alone, overlapped, one by one, cost) for each round."""
    from deblur_keras import images

    photographs = [images.open_photograph(source) for source in sources]
    restored = [photograph.restored(restorer(photograph.pixels)) for photograph in photographs]
    jobs = [(sources[index % len(sources)], results / f"{index}.{kind}") for index in range(count)]

    def alone():
        for index in range(count):
            restorer(photographs[index % len(sources)].pixels)

    def overlapped():
        errors = [done.error for done in restorer.restore_files(jobs, overwrite=True)]
        assert not any(errors), errors

    def one_by_one():
        for source, result in jobs:
            restorer.restore_file(source, result, overwrite=True)

    def files():
        for source, result, made in zip(sources, results.iterdir(), restored, strict=False):
            images.open_photograph(source)
            images.save_photograph(result, made)

    found = []
    for _ in range(rounds):
        reference, busy = timed(alone)
        together, apart = timed(overlapped)[0], timed(one_by_one)[0]
        cost = timed(files)[1] / min(len(sources), count) / (busy / count)
        found.append((reference, together / reference, apart / reference, cost))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--networks", nargs="+", choices=SHARE, default=list(SHARE))
    parser.add_argument("--kinds", nargs="+", default=["jpg", "png"])
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    from deblur_keras import generators, images
    from deblur_keras.restorer import Restorer

    print(f"{'network':10}{'kind':6}{'images':>8}{'alone, s':>10}", end="")
    print(f"{'overlapped':>12}{'one by one':>12}{'cost':>8}")
    for name in arguments.networks:
        restorer = Restorer(name if name == "default" else generators.resnet_generator())
        count = max(1, round(arguments.images * SHARE[name] / arguments.rounds))
        for kind in arguments.kinds:
            with tempfile.TemporaryDirectory() as folder:
                write_photographs(Path(folder))
                sources = [
                    images.save_photograph(
                        Path(folder, f"{photograph}.{kind}"),
                        images.open_photograph(Path(folder, "blur", f"{photograph}0.png")),
                    )
                    for photograph in PHOTOGRAPHS
                ]
                results = Path(folder, "results")
                found = measure(restorer, sources, results, kind, count, arguments.rounds)
            alone, together, apart, cost = map(statistics.median, zip(*found, strict=True))
            said = "ok" if together <= LIMIT else f"above {LIMIT}"
            print(f"{name:10}{kind:6}{count * arguments.rounds:8}{alone:10.2f}", end="")
            print(f"{together:12.3f}{apart:12.3f}{cost:8.3f}  {said}", flush=True)


if __name__ == "__main__":
    main()
