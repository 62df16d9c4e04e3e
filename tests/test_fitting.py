import re

import pytest
from networks import CRITICS, GENERATORS

from deblur_keras.trainers import CycleGAN, DeblurGAN, fitting


@pytest.fixture(scope="module")
def deblurgan():
    trainer = DeblurGAN(GENERATORS["compact"](), CRITICS["patch-plain"]())
    trainer.compile()
    return trainer


def test_an_estimate_grows_with_the_pixels(deblurgan):
    need = fitting.estimate(deblurgan, 64)
    weights = deblurgan.generator.count_params() + deblurgan.critic.count_params()
    assert need.fixed == 16 * weights
    # At least the first features of the generator, the image and its result, in float32.
    assert need.pixel > 4 * (4 + 3 + 3)
    assert need.bytes(4, 64) - need.fixed == pytest.approx(4 * (need.bytes(1, 64) - need.fixed))
    assert fitting.estimate(deblurgan, 128).pixel == pytest.approx(need.pixel, rel=0.1)
    networks = [GENERATORS["compact"]() for _ in range(2)]
    cycle = CycleGAN(*networks, *(CRITICS["patch-plain"]() for _ in range(2)))
    cycle.compile()
    assert 3 * need.pixel < fitting.estimate(cycle, 64).pixel < 7 * need.pixel


@pytest.mark.parametrize("batch", [1, 16])
@pytest.mark.parametrize("part", [0.9, 0.05, 3.0])
def test_what_is_advised_is_less_and_fits_by_the_estimate(batch, part, deblurgan):
    need = fitting.estimate(deblurgan, 256)
    budget = need.bytes(batch, 256) * part
    advice = fitting.advice(deblurgan, batch, 256, multiple=4, budget=budget)
    assert advice.startswith(f"Out of memory with crops of 256x256 px, {batch} an update.")
    assert advice.endswith("should fit. These are estimates.")
    factor = max(1, 1.1 * part)
    options = re.findall(r"--batch (\d+)", advice), re.findall(r"--crop (\d+)", advice)
    for fewer in map(int, options[0]):
        assert fewer < batch
    for crop in map(int, options[1]):
        assert crop < 256 and crop % 32 == 0
    if options[0] and options[1] and "with" in advice:
        pairs = [(int(options[0][0]), int(options[1][0]))]
    else:
        pairs = [(int(b), 256) for b in options[0]] + [(batch, int(c)) for c in options[1]]
    assert pairs or "a smaller generator" in advice
    for fewer, crop in pairs:
        assert factor * need.bytes(fewer, crop) <= 0.9 * budget


def test_without_a_known_budget_it_is_half(deblurgan, monkeypatch):
    monkeypatch.setattr(fitting, "_budget", lambda: None)
    advice = fitting.advice(deblurgan, 8, 256, 4)
    assert "; --set accumulate=4 or --batch 4 or --crop 160 should fit" in advice
    # Each of two devices has half of it already, in two parts, but its images in one.
    divided = fitting.advice(deblurgan, 8, 256, 4, replicas=2, accumulate=2)
    assert " GB each and have about " in divided and "; --batch 4 or --crop" in divided
