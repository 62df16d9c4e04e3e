"""Koehler's protocol: sets whose best frame, scale and shift are known, and the authors' steps."""

import concurrent.futures
import math

import cv2
import numpy as np
import pytest
from scipy import ndimage
from skimage import data

from deblur_keras import metrics
from deblur_keras.evaluation import kohler

WEIGHTS = np.array([0.299, 0.587, 0.114])
LOW_PASS = np.array(  # of the biorthogonal 9/7 wavelet
    [
        *(0.037828455507260, -0.023849465019560, -0.110624404418440, 0.377402855612830),
        *(0.852698679008890, 0.377402855612830),
        *(-0.110624404418440, -0.023849465019560, 0.037828455507260),
    ]
)


def frames_of(count=9, size=190):
    """Frames as a shaking camera takes them: a photograph, moved by some pixels and turned.

    All levels are multiples of 5, so that four fifths of them are whole.
    """
    generator, frames = np.random.default_rng(4), []
    for number in range(count):
        turn = cv2.getRotationMatrix2D((200, 200), 1.5 * number - 4, 1)
        turned = cv2.warpAffine(data.astronaut(), turn, (512, 512))
        top, left = generator.integers(85, 116, 2)
        frames.append(turned[top : top + size, left : left + size + 14] // 5 * 5)
    return frames


def moved(image, down, right):
    """The image moved by whole pixels, black coming in."""
    height, width = image.shape[:2]
    padded = np.pad(image, ((height, height), (width, width), (0, 0)))
    return padded[height - down : 2 * height - down, width - right : 2 * width - right]


def mssim(x, z):
    """MSSIM of two luminances as ``mssim_index.m`` computes it."""

    def smooth(image):
        return ndimage.gaussian_filter(image, 1.5, truncate=3.5)[5:-5, 5:-5]

    window = LOW_PASS / LOW_PASS.sum()
    contrasts, structures = [], []
    for level in range(5):
        if level:
            for axis in (0, 1):
                x, z = (ndimage.convolve1d(side, window, axis, mode="reflect") for side in (x, z))
            x, z = x[::2, ::2], z[::2, ::2]
        c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
        mean_x, mean_z = smooth(x), smooth(z)
        spread_x = np.sqrt(np.maximum(smooth(x * x) - mean_x**2, 0))
        spread_z = np.sqrt(np.maximum(smooth(z * z) - mean_z**2, 0))
        covariance = smooth(x * z) - mean_x * mean_z
        lights = (2 * mean_x * mean_z + c1) / (mean_x**2 + mean_z**2 + c1)
        contrasts.append(np.mean((2 * spread_x * spread_z + c2) / (spread_x**2 + spread_z**2 + c2)))
        structures.append(np.mean((covariance + c2 / 2) / (spread_x * spread_z + c2 / 2)))
    powers = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])
    return np.mean(lights) ** 0.1333 * np.prod(np.array([contrasts, structures]) ** powers)


def by_the_book(frames, image):
    """PSNR, MSSIM, MSE and MAE against each frame, step by step as in ``eval_image.m``."""
    figures, z = [], image.astype(float)
    for frame in frames:
        x = frame.astype(float)
        scaled = np.sum(x * z) / np.sum(z * z) * z
        spectra = (np.fft.fft2(side.mean(axis=2)) for side in (x, scaled))
        correlation = np.fft.ifft2(next(spectra) * np.conj(next(spectra)))
        place = np.unravel_index(np.argmax(np.abs(correlation)), correlation.shape)
        step = [
            index - size if index + 1 > size // 2 else index
            for index, size in zip(place, correlation.shape, strict=True)
        ]
        kept, placed = moved(np.ones_like(z), *step), moved(scaled, *step)
        x, y = (x * kept) @ WEIGHTS, placed @ WEIGHTS
        mse = np.mean((x - y) ** 2)
        figures.append((10 * np.log10(255**2 / mse), mssim(x, y), mse, np.mean(np.abs(x - y))))
    return np.array(figures)


@pytest.mark.parametrize(("down", "right"), [(3, -2), (-5, 4), (0, 7)])
def test_the_best_frame_scale_and_shift_are_found(down, right):
    frames = frames_of()
    restored = moved(frames[7] // 5 * 4, down, right)
    (found,) = kohler.score_shot(frames, [restored])
    assert found["best_frame"] == 7
    # The factor is fitted before the shift is known; what it leaves of the light is the error.
    x, z = frames[7].astype(float), restored.astype(float)
    factor = 0.8 * np.sum(x * z) / np.sum(z * z)
    seen = moved(x, down, right)  # what left the frame here, and comes back as black
    seen = moved(seen, -down, -right) @ WEIGHTS
    assert found["mse"] == pytest.approx((1 - factor) ** 2 * np.mean(seen**2), rel=1e-9)
    assert found["mae"] == pytest.approx(abs(1 - factor) * np.mean(seen), rel=1e-9)
    assert found["psnr"] == pytest.approx(10 * math.log10(255**2 / found["mse"]))
    assert found["ms_ssim"] == pytest.approx(mssim(seen, factor * seen), abs=1e-4)
    others = [frame for number, frame in enumerate(frames) if number != 7]
    assert kohler.score_shot(others, [restored])[0]["psnr"] < found["psnr"] - 5


def test_a_darker_frame_is_perfect():
    frames = frames_of(4)
    (found,) = kohler.score_shot(frames, [frames[2] // 5 * 4])
    assert found["best_frame"] == 2
    assert found["mse"] == pytest.approx(0, abs=1e-20)
    assert found["mae"] == pytest.approx(0, abs=1e-10)
    assert found["psnr"] > 200
    assert found["ms_ssim"] == pytest.approx(1, abs=1e-5)
    (found,) = kohler.score_shot(frames, [frames[1]])
    assert (found["psnr"], found["mse"], found["best_frame"]) == (math.inf, 0, 1)


def test_the_figures_are_those_of_the_authors_steps():
    frames = frames_of(6)
    generator = np.random.default_rng(0)
    blurred = cv2.blur(frames[3], (13, 5))
    noise = generator.normal(0, 12, blurred.shape)
    restored = np.clip(cv2.blur(frames[1], (3, 3)) * 0.9 + noise, 0, 255).astype("uint8")
    found = kohler.score_shot(iter(frames), [blurred, restored])
    for image, figures in zip((blurred, restored), found, strict=True):
        expected = by_the_book(frames, image)
        assert figures["psnr"] == pytest.approx(expected[:, 0].max(), abs=1e-9)
        assert figures["ms_ssim"] == pytest.approx(expected[:, 1].max(), abs=1e-4)
        assert figures["mse"] == pytest.approx(expected[:, 2].min(), rel=1e-9)
        assert figures["mae"] == pytest.approx(expected[:, 3].min(), rel=1e-9)
        assert figures["best_frame"] == expected[:, 0].argmax()
        assert type(figures["psnr"]) is type(figures["ms_ssim"]) is float


def test_each_figure_has_its_own_best_frame():
    """A frame with few large errors against one with small errors everywhere."""
    frame = np.full((40, 48, 3), 100, "uint8")
    frame[::2, ::2] = 140
    outlier, rough = frame.copy(), frame.copy()
    outlier[20, 20] = 255
    rough[::2] += 2
    (found,) = kohler.score_shot([outlier, rough], [frame])
    expected = by_the_book_small([outlier, rough], frame)
    assert found["best_frame"] == expected[:, 0].argmin() == 1
    assert expected[:, 1].argmin() == 0
    assert found["mse"] == pytest.approx(expected[1, 0])
    assert found["mae"] == pytest.approx(expected[0, 1])


def by_the_book_small(frames, image):
    """MSE and MAE where nothing has to be moved."""
    z, figures = image.astype(float), []
    for x in np.asarray(frames, float):
        difference = (x - np.sum(x * z) / np.sum(z * z) * z) @ WEIGHTS
        figures.append((np.mean(difference**2), np.mean(np.abs(difference))))
    return np.array(figures)


def test_images_score_the_same_alone_together_and_in_threads():
    frames = frames_of(3)
    images = [cv2.blur(frames[0], (5, 5)), cv2.blur(frames[2], (1, 9))]
    together = kohler.score_shot(frames, images)
    alone = [kohler.score_shot(frames, [image])[0] for image in images]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        threads = list(pool.map(lambda image: kohler.score_shot(frames, [image])[0], images))
    for one, other, third in zip(together, alone, threads, strict=True):
        assert one == pytest.approx(other)
        assert one == pytest.approx(third)


class Shot:
    """A shot in memory, that counts what is read of it."""

    def __init__(self, name, frames):
        self.name, self.frames, self.read = name, frames, []

    def read_frame(self, number):
        self.read.append(number)
        return self.frames[number]


def test_a_shot_is_read_once_for_all_images():
    frames = [frame[:40, :50] for frame in frames_of(5)]
    shot = Shot("image1/trajectory02", frames)
    scores = kohler.score(shot, [frames[4], frames[1]])
    assert shot.read == [0, 1, 2, 3, 4]
    assert [found["best_frame"] for found in scores] == [4, 1]


def test_the_gap_of_image_1_trajectory_3():
    assert kohler.frame_numbers("image1/trajectory03", 199) == [*range(29), *range(30, 198)]
    assert kohler.frame_numbers("image1/trajectory03", 5) == [0, 1, 2, 3, 4]
    assert kohler.frame_numbers("image2/trajectory03", 199) == list(range(199))
    photo = data.astronaut()[:20, :24]
    frames = [np.clip(photo + np.uint8(number), 0, 255) for number in range(199)]
    shot = Shot("image1/trajectory03", frames)
    (found,) = kohler.score(shot, [frames[190]])
    assert found["best_frame"] == 190  # the shot's own number
    assert len(shot.read) == 197


def test_small_images_have_no_ms_ssim():
    frames = [frame[: metrics.MS_SSIM_SIZE - 1] for frame in frames_of(2)]
    (found,) = kohler.score_shot(frames, [frames[0] // 2])
    assert math.isnan(found["ms_ssim"])
    assert found["psnr"] > 40
    frames = [frame[: metrics.MS_SSIM_SIZE] for frame in frames_of(2)]
    (found,) = kohler.score_shot(frames, [frames[0] // 2])
    assert found["ms_ssim"] > 0.99


def test_a_black_result_gets_the_worst_score_and_no_error():
    frames = [frame[:40, :50] for frame in frames_of(2)]
    (found,) = kohler.score_shot(frames, [np.zeros_like(frames[0])])
    lights = [np.mean((frame @ WEIGHTS) ** 2) for frame in frames]
    assert found["mse"] == pytest.approx(min(lights))


def test_what_cannot_be_scored_is_refused():
    frame = frames_of(1)[0]
    with pytest.raises(ValueError, match="expected the sharp frames of a shot"):
        kohler.score_shot([], [frame])
    with pytest.raises(ValueError, match=r"got float64"):
        kohler.score_shot([frame], [frame / 255])
    with pytest.raises(ValueError, match=r"here \(190, 204, 3\); got uint8 \(50, 204, 3\)"):
        kohler.score_shot([frame[:50]], [frame])
    with pytest.raises(ValueError, match=r"\(H, W, 3\)"):
        kohler.score_shot([frame], [frame[..., 0]])
    with pytest.raises(ValueError, match=r"scene/1: expected all sharp frames .* gopro protocol"):
        kohler.score(Shot("scene/1", ()), [frame])


def test_what_is_printed_beside_the_numbers():
    assert set(kohler.VARIANTS) == {"psnr", "ms_ssim", "mse", "mae"}
    assert all(isinstance(rule, str) for rule in kohler.RULES)
    (published,) = (entry for entry in kohler.PUBLISHED if entry[0] == "DeblurGAN")
    assert published[1] == {"psnr": 26.10, "ms_ssim": 0.816}
