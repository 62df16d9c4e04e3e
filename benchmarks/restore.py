"""Compares the engines with a plain `tf.function`, in one run: `python benchmarks/restore.py`.

    speed    one 1280x720 photograph by each engine, ResNet-9 and the weights that ship: ratios to a
             plain `tf.function` of the model, difference to it, share of the processor's own matrix
             rate
    memory   the peak of a process that restores it, and a 7680x4320 one
    process  `deblur-keras deblur photo.jpg` as a whole, by each engine
    folder   100 photographs from file to file, against the network alone (benchmarks/folder.py)
    batch    several photographs at once, or several processes, against one after the other
    quality  the PSNR that bf16 costs on a folder of pairs, with --pairs FOLDER

Times are medians over rounds in which all take turns, ratios are taken within a round, since a
machine is rarely quiet. Give names of parts to run these alone.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

HEIGHT, WIDTH = 720, 1280
ENGINES = (
    ("tensorflow", "float32"),
    ("onnxruntime", "float32"),
    ("openvino", "float32"),
    ("openvino", "bf16"),
)
PARTS = ("speed", "memory", "process", "folder", "batch", "quality")

# In a process of its own: restores one image and prints by how much its memory grew at most.
_PEAK = """
import json, sys
import numpy as np
from deblur_keras import Restorer

model, engine, precision, height, width = sys.argv[1:]
image = np.random.default_rng(0).integers(0, 256, (int(height), int(width), 3), np.uint8)
restorer = Restorer(model, engine=engine, precision=precision)
small = np.ascontiguousarray(image[:64, :64])
restorer(small)
def kilobytes(label):  # not ru_maxrss, which a process inherits
    lines = dict(line.split(":") for line in open("/proc/self/status"))
    return int(lines[label].split()[0])
before = 1024 * kilobytes("VmRSS")
restorer(image)
peak = 1024 * kilobytes("VmHWM")
network = restorer._engine.network
print(json.dumps([peak, (peak - before) / (int(height) * int(width) * network.bytes_per_pixel)]))
"""

# In a process of its own: restores N images after a start that all wait for, and prints the time.
_WORKER = """
import os, sys
import numpy as np
from deblur_keras import Restorer

engine, count, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
if threads:
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, set(cores[int(sys.argv[4]) % len(cores):][:threads]))
image = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), np.uint8)
restorer = Restorer("default", engine=engine)
restorer(image)
print("ready", flush=True)
sys.stdin.readline()
for _ in range(count):
    restorer(image)
print("done", flush=True)
"""


def networks(folder):
    """Saves what is measured, and returns {name: path}; the weights do not matter for the time."""
    import keras

    from deblur_keras import generators
    from deblur_keras.export import export_onnx
    from deblur_keras.restorer import pretrained_path

    keras.utils.set_random_seed(0)
    path = folder / "resnet.keras"
    generators.resnet_generator().save(path)
    export_onnx(path, path.with_suffix(".onnx"))
    return {"ResNet-9": path, "default": pretrained_path("default")}


def interleaved(runs, rounds):
    """Times callables in turns, after one call each: {name: [seconds]}."""
    times = {name: [] for name in runs}
    for index in range(rounds + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if index:
                times[name].append(time.perf_counter() - start)
    return times


def ratio(times, name, reference):
    return statistics.median(a / b for a, b in zip(times[name], times[reference], strict=True))


def speed(paths, rounds):
    import tensorflow as tf

    from deblur_keras import engines, generators, images, models

    random = np.random.default_rng(0)
    matrix = random.uniform(-1, 1, (3072, 3072)).astype(np.float32)
    tensor = tf.constant(matrix)
    for name, path in paths.items():
        source = models.Source(path)
        multiple = generators.size_multiple(source.model)
        size = [-(-side // multiple) * multiple for side in (HEIGHT, WIDTH)]
        # Smooth, as photographs are: noise is not what networks are for.
        coarse = random.integers(0, 256, (1, size[0] // 8, size[1] // 8, 3)).astype(np.float32)
        image = tf.image.resize(coarse, size, "bicubic").numpy().clip(0, 255).astype(np.uint8)
        values = tf.constant(images.to_float(image))
        plain = tf.function(lambda x, model=source.model: model(x, training=False))
        runs = {
            "plain tf.function": lambda plain=plain, values=values: plain(values).numpy(),
            "matrix, numpy": lambda: matrix @ matrix,
            "matrix, tensorflow": lambda: tf.matmul(tensor, tensor).numpy(),
        }
        expected, differences = plain(values).numpy(), {}
        for engine, precision in ENGINES:
            made = engines.make(source, engine, precision)
            label = f"{engine} {precision}"
            differences[label] = np.abs(made.values(images.to_float(image)) - expected)
            runs[label] = lambda made=made, image=image: made(image)
        times = interleaved(runs, rounds)
        rate = 2 * 3072**3 / min(min(times[f"matrix, {one}"]) for one in ("numpy", "tensorflow"))
        work = 2 * generators.multiply_adds(source.model, *size)
        print(
            f"\n{name}, {WIDTH}x{HEIGHT}, {work / 2e9:.0f} GMAC; the processor multiplies ", end=""
        )
        print(f"float32 matrices at {rate / 1e9:.0f} GFLOPS")
        print(
            f"{'':22} {'seconds':>8} {'ratio':>6} {'of rate':>8} {'largest':>9} {'mean diff.':>10}"
        )
        for label in ("plain tf.function", *differences):
            seconds = statistics.median(times[label])
            line = f"{label:22} {seconds:8.3f} {ratio(times, label, 'plain tf.function'):6.2f}"
            line += f" {work / seconds / rate:8.0%}"
            if label in differences:
                found = differences[label]
                line += f" {found.max():9.1e} {found.mean():10.1e}"
            print(line, flush=True)


def memory(paths, rounds):
    print("\nPeak memory of a process, and what restoring took over the network's own tensors")
    cases = [("ResNet-9", HEIGHT, WIDTH), ("default", HEIGHT, WIDTH), ("default", 2160, 3840)]
    cases.append(("default", 4320, 7680))
    for name, height, width in (case for case in cases if case[0] in paths):
        for engine, precision in ENGINES:
            command = [sys.executable, "-c", _PEAK, str(paths[name]), engine, precision]
            command += [str(height), str(width)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            peak, factor = json.loads(done.stdout)
            print(f"{name:9} {width}x{height} {engine:12} {precision:8} ", end="")
            print(f"{peak / 1e9:5.2f} GB {factor:5.2f}", flush=True)


def process(paths, rounds):
    from deblur_keras import images

    print("\n`deblur-keras deblur photo.jpg`, default weights, 1280x720, whole process")
    with tempfile.TemporaryDirectory() as folder:
        small = np.random.default_rng(0).integers(0, 256, (45, 80, 3), np.uint8)
        photo = images.write(Path(folder) / "photo.jpg", images.resize(small, 16))
        runs = {}
        for engine, precision in ENGINES:
            command = [
                sys.executable,
                "-m",
                "deblur_keras.cli",
                "deblur",
                str(photo),
                "--overwrite",
            ]
            command += ["--engine", engine, "--precision", precision]
            runs[f"{engine} {precision}"] = lambda command=command: subprocess.run(
                command, capture_output=True, check=True
            )
        times = interleaved(runs, rounds)
    for label, seconds in times.items():
        print(f"{label:22} {statistics.median(seconds):6.2f} s ", end="")
        print(f"{ratio(times, label, 'tensorflow float32'):6.2f}")


def batch(paths, rounds):
    from deblur_keras import engines, models

    print("\nSeveral 1280x720 photographs, default weights: time for each, against one at a time")
    source = models.Source(paths["default"])
    random = np.random.default_rng(0)
    for name in ("tensorflow", "openvino"):
        runs = {}
        for count in (1, 2, 4):
            engine = engines.make(source, name)
            shape = (count, HEIGHT, WIDTH, 3)
            pixels = random.integers(0, 256, shape, np.uint8)
            runs[count] = lambda engine=engine, pixels=pixels: engine(pixels)
        times = interleaved(runs, rounds)
        for count in (2, 4):
            ratios = [a / count / b for a, b in zip(times[count], times[1], strict=True)]
            print(f"{name:12} {count} in a batch   {statistics.median(ratios):5.2f}", flush=True)
        each = {}
        for workers, threads in ((1, 0), (2, 1)):
            command = [sys.executable, "-c", _WORKER, name, str(8 // workers), str(threads)]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            started = [
                subprocess.Popen([*command, str(index)], stderr=subprocess.DEVNULL, **pipes)
                for index in range(workers)
            ]
            for worker in started:
                worker.stdout.readline()
            start = time.perf_counter()
            for worker in started:
                worker.stdin.write("go\n")
                worker.stdin.flush()
            for worker in started:
                worker.stdout.readline()
            each[workers] = time.perf_counter() - start
            for worker in started:
                worker.communicate()
        print(f"{name:12} 2 processes    {each[2] / each[1]:5.2f}", flush=True)


def folder(paths, rounds):
    """The default engine on a folder of JPEG files, which has a script of its own."""
    script = Path(__file__).with_name("folder.py")
    arguments = ("--networks", "default", "--kinds", "jpg", "--rounds", str(rounds))
    print(f"\n{script.name} {' '.join(arguments)}", flush=True)
    subprocess.run([sys.executable, script, *arguments], check=True)


def quality(paths, rounds, pairs_folder=None):
    """Mean PSNR of the whole uint8 images, with both precisions and with none."""
    from deblur_keras import Restorer, datasets, images

    if pairs_folder is None:
        print("\nquality needs --pairs FOLDER: left out")
        return
    pairs = datasets.pairs(pairs_folder)
    print(f"\nPSNR of {len(pairs)} pairs, whole uint8 images, default weights")
    restorers = {
        f"{engine} {precision}": Restorer("default", engine=engine, precision=precision)
        for engine, precision in ENGINES
    }
    scores = {name: [] for name in ("blurred", *restorers)}
    most = dict.fromkeys(restorers, 0)
    for pair in pairs:
        blurred, sharp = images.read(pair.blurred), images.read(pair.sharp)
        scores["blurred"].append(_psnr(sharp, blurred))
        reference = None
        for name, restorer in restorers.items():
            restored = restorer(blurred)
            reference = restored if reference is None else reference
            most[name] = max(most[name], int(np.abs(restored.astype(int) - reference).max()))
            scores[name].append(_psnr(sharp, restored))
    first = statistics.mean(scores[next(iter(restorers))])
    for name, found in scores.items():
        mean = statistics.mean(found)
        line = f"{name:22} {mean:8.4f} dB {mean - first:+8.4f}"
        print(line + (f", {most[name]} grey levels at most" if name in most else ""))


def _psnr(sharp, restored):
    error = np.mean((sharp.astype(float) - restored) ** 2)
    return 10 * np.log10(255**2 / error)


def main():
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("parts", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--pairs", help="folder of pairs of blurred and sharp photographs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="the weights that ship alone")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        paths = networks(Path(temporary))
        if options.quick:
            del paths["ResNet-9"]
        for part in options.parts:
            more = {"pairs_folder": options.pairs} if part == "quality" else {}
            globals()[part](paths, options.rounds, **more)


if __name__ == "__main__":
    main()
