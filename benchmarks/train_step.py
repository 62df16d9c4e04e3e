"""Times one step of DeblurGAN against a plain one: `python benchmarks/train_step.py --vgg FILE`.

ResNet-9, the PatchGAN critic, VGG19's block3_conv3, WGAN-GP, five critic updates, batch 1 at
256x256. The steps take turns in one process, and ratios are taken within each round. Peak memory is
that of a process a variant (``--memory``). Without ``--vgg`` the VGG has random weights, which cost
the same.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from deblur_keras import PerceptualLoss, critics, generators
from deblur_keras.trainers import DeblurGAN, paper_adam, precision

SIZE = 256
CRITIC_STEPS = 5


def naive(generator, critic, content):
    """Writes the step as the paper's algorithm reads, and as ports of it to Keras have it.

    Sharp, restored and interpolated images go through the critic in calls of their own. The
    generator makes the images for the critic first, and runs anew for its own update, as where
    ``critic.train_on_batch`` and ``combined.train_on_batch`` alternate. The features of the sharp
    image are computed within the generator's loss. All of it is one ``tf.function``, networks and
    optimizers are the same, and it computes no scores.

    Args:
        generator: A generator.
        critic: A critic.
        content: A `PerceptualLoss`.

    Returns:
        A function of (blurred, sharp).
    """
    generator_optimizer, critic_optimizer = paper_adam(), paper_adam()
    generator_optimizer.build(generator.trainable_variables)
    critic_optimizer.build(critic.trainable_variables)

    def penalty(sharp, restored):
        alpha = tf.random.uniform((tf.shape(sharp)[0], 1, 1, 1))
        between = alpha * sharp + (1.0 - alpha) * restored
        with tf.GradientTape() as tape:
            tape.watch(between)
            score = tf.reduce_mean(critic(between, training=True), axis=(1, 2, 3))
        gradient = tape.gradient(score, between)
        norm = tf.sqrt(tf.reduce_sum(tf.square(gradient), axis=(1, 2, 3)))
        return tf.reduce_mean(tf.square(norm - 1.0))

    @tf.function(autograph=False)
    def step(blurred, sharp):
        restored = generator(blurred, training=True)
        for _ in range(CRITIC_STEPS):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(critic(restored, training=True))
                loss -= tf.reduce_mean(critic(sharp, training=True))
                loss += 10.0 * penalty(sharp, restored)
            variables = critic.trainable_variables
            critic_optimizer.apply(tape.gradient(loss, variables), variables)
        with tf.GradientTape() as tape:
            restored = generator(blurred, training=True)
            difference = content.extract(sharp) - content.extract(restored)
            loss = 100.0 * tf.reduce_mean(tf.square(difference))
            loss -= tf.reduce_mean(critic(restored, training=True))
        variables = generator.trainable_variables
        generator_optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    return step


def ours(generator, critic, content):
    """Makes the step of `DeblurGAN`, which also scores PSNR and SSIM."""
    trainer = DeblurGAN(generator, critic)
    trainer.compile(content=content, critic_steps=CRITIC_STEPS)
    return tf.function(lambda *batch: trainer.train_step(batch), autograph=False)


VARIANTS = {
    "naive": (naive, "float32"),
    "DeblurGAN": (ours, "float32"),
    "naive, bfloat16": (naive, "mixed_bfloat16"),
    "DeblurGAN, bfloat16": (ours, "mixed_bfloat16"),
}


def build(name, vgg):
    """Makes a variant's step."""
    make, policy = VARIANTS[name]
    keras.utils.set_random_seed(0)
    with precision.networks_in(policy):
        networks = generators.resnet_generator(), critics.patch_critic()
    return make(*networks, PerceptualLoss(weights=vgg))


def batch():
    """Draws a blurred and a sharp image."""
    random = np.random.default_rng(0)
    shape = (1, SIZE, SIZE, 3)
    return [tf.constant(random.uniform(-1, 1, shape), tf.float32) for _ in range(2)]


def seconds(names, vgg, rounds):
    """Times the variants in turns, after one step of each.

    Returns:
        ``{name: [(seconds, seconds of all cores), ...]}``.
    """
    steps = {name: build(name, vgg) for name in names}
    times = {name: [] for name in names}
    images = batch()
    for number in range(rounds + 1):
        for name, step in steps.items():
            begin = time.perf_counter(), time.process_time()
            tf.nest.map_structure(np.asarray, step(*images))  # waits for an accelerator, too
            end = time.perf_counter(), time.process_time()
            if number:
                times[name].append((end[0] - begin[0], end[1] - begin[1]))
    return times


def peak(name, vgg):
    """Runs a variant in a process of its own; returns its peak memory in bytes."""
    command = [sys.executable, __file__, "--only", name, *(["--vgg", vgg] if vgg else [])]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--vgg", help="weights of VGG19, .npz, .h5 or .weights.h5")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", action="store_true", help="measure peak memory instead")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        step = build(arguments.only, arguments.vgg)
        for _ in range(3):
            tf.nest.map_structure(np.asarray, step(*batch()))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    elif arguments.memory:
        peaks = {name: peak(name, arguments.vgg) for name in VARIANTS}
        for name, size in peaks.items():
            print(f"{name:22} {size / 1e9:6.2f} GB {size / peaks['naive']:6.2f}")
    else:
        times = seconds(list(VARIANTS), arguments.vgg, arguments.rounds)
        print(f"{'':22} {'s':>6} {'ratio':>6} {'cpu s':>6} {'ratio':>6}")
        for name, pairs in times.items():
            row = f"{name:22}"
            for which in (0, 1):
                own = [pair[which] for pair in pairs]
                ratios = [a / b[which] for a, b in zip(own, times["naive"], strict=True)]
                row += f" {statistics.median(own):6.2f} {statistics.median(ratios):6.3f}"
            print(row)


if __name__ == "__main__":
    main()
