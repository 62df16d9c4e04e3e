"""Measures what better pictures cost: averages over orientations and samples, and blends.

    python benchmarks/ensembles.py

The reference is restoring once, by the same network in the same process, in turn with the others;
medians of repeats. What each is worth is measured by `deblur-keras evaluate` with the same options,
see docs/quality.md.

Targets: each within 1.1 times its passes of the network: 8 for the orientations, N for N samples, 1
for a blend.
"""

import argparse
import statistics
import time

import numpy as np

SAMPLES = 8
LIMITS = {"strength 0.5": 1.1, "ensemble": 8.8, f"{SAMPLES} samples": 1.1 * SAMPLES}


def seconds(work, image):
    start = time.perf_counter()
    work(image)
    return time.perf_counter() - start


def report(title, ways, image, repeats):
    """Prints a line for each way; the first is the reference."""
    for work in ways.values():
        work(image)
    rounds = [{name: seconds(work, image) for name, work in ways.items()} for _ in range(repeats)]
    first = next(iter(ways))
    for name in ways:
        ratio = statistics.median(took[name] / took[first] for took in rounds)
        median = statistics.median(took[name] for took in rounds)
        said = ""
        if name in LIMITS:
            said = "ok" if ratio <= LIMITS[name] else f"above {LIMITS[name]:g}"
        print(f"{title:12}{name:16}{median:10.2f}{ratio:8.2f}  {said}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    from deblur_keras.generators import resnet_generator
    from deblur_keras.restorer import Restorer

    photograph = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), np.uint8)
    print(f"{'network':12}{'way':16}{'seconds':>10}{'ratio':>8}")
    default = {
        "once": Restorer("default"),
        "strength 0.5": Restorer("default", strength=0.5),
        "ensemble": Restorer("default", ensemble=True),
    }
    report("default", default, photograph, arguments.repeats)
    # Small, and a small image: the ratio is what counts.
    restorer = Restorer(resnet_generator(filters=16), restore_with_dropout=True, seed=0)
    resnet = {
        "once": restorer,
        f"{SAMPLES} samples": lambda image: restorer.restore_samples(image, SAMPLES),
    }
    report("resnet", resnet, photograph[:360, :640], arguments.repeats)


if __name__ == "__main__":
    main()
