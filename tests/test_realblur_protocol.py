"""RealBlur's protocol: known homographies, and the authors' steps on OpenCV and scikit-image."""

import concurrent.futures
import math

import cv2
import numpy as np
import pytest
from skimage import data
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from deblur_keras import registration
from deblur_keras.evaluation import realblur

MARGIN = 24


def inner(image):
    return np.ascontiguousarray(image[MARGIN:-MARGIN, MARGIN:-MARGIN])


def photograph():
    return data.astronaut()[40:290, 100:400]


def turned(image, degrees, right, down):
    """The image turned about its centre, then moved."""
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    matrix[:, 2] += right, down
    return cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_CUBIC)


def similarity_map(x, z):
    return structural_similarity(
        x,
        z,
        channel_axis=-1,
        gaussian_weights=True,
        use_sample_covariance=False,
        data_range=1.0,
        full=True,
    )[1]


def by_the_book(sharp, image):
    """PSNR and SSIM, step by step as in ``evaluation_RealBlur_ecc.py``."""
    x, z = (side.astype("float32") / 255 for side in (sharp, image))
    z = np.sum(x * z) / np.sum(z * z) * z
    size, greys = x.shape[1::-1], [cv2.cvtColor(side, cv2.COLOR_RGB2GRAY) for side in (x, z)]
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 100, 0)
    start = np.eye(3, dtype="float32")
    _, matrix = cv2.findTransformECC(*greys, start, cv2.MOTION_HOMOGRAPHY, criteria, None, 5)
    cubic = cv2.INTER_CUBIC + cv2.WARP_INVERSE_MAP
    nearest = cv2.INTER_NEAREST + cv2.WARP_INVERSE_MAP
    moved = cv2.warpPerspective(z, matrix, size, flags=cubic, borderMode=cv2.BORDER_REFLECT)
    mask = cv2.warpPerspective(np.ones_like(z), matrix, size, flags=nearest)
    x, moved = x * mask, moved * mask
    error = np.sum((x - moved) ** 2, dtype=float) / np.sum(mask)
    similarity = (similarity_map(x, moved) * mask)[5:-5, 5:-5]
    ssim = similarity.sum(axis=0).sum(axis=0) / mask[5:-5, 5:-5].sum(axis=0).sum(axis=0)
    return 10 * np.log10(1 / error), np.mean(ssim)


@pytest.mark.parametrize("motion", [(0, 0, 0), (1.0, 3, -2), (-1.5, 0.5, 6)])
@pytest.mark.parametrize("darker", [1.0, 0.7])
def test_the_figures_are_those_of_the_authors_steps(motion, darker):
    sharp = photograph()
    image = inner(np.rint(turned(cv2.blur(sharp, (7, 3)), *motion) * darker).astype("uint8"))
    found = realblur.score(inner(sharp), image)
    psnr, ssim = by_the_book(inner(sharp), image)
    assert found["registered"]
    assert found["psnr"] == pytest.approx(psnr, abs=1e-3)
    assert found["ssim"] == pytest.approx(ssim, abs=1e-4)
    assert type(found["psnr"]) is type(found["ssim"]) is float


@pytest.mark.parametrize("motion", [(1.0, 3, -2), (-1.5, 0.5, 6), (0, 3, 3)])
def test_a_known_movement_costs_next_to_nothing(motion):
    sharp = photograph()
    blurred = cv2.GaussianBlur(sharp, (0, 0), 2)
    unmoved = realblur.score(inner(sharp), inner(blurred))
    moved = inner(turned(blurred, *motion))
    found = realblur.score(inner(sharp), moved)
    assert found["psnr"] == pytest.approx(unmoved["psnr"], abs=0.3)
    assert found["ssim"] == pytest.approx(unmoved["ssim"], abs=0.01)
    assert peak_signal_noise_ratio(inner(sharp), moved) < unmoved["psnr"] - 3


def test_darkness_costs_nothing():
    sharp = photograph()[:120, :140]
    blurred = cv2.blur(sharp, (5, 5)) // 4 * 4
    whole, half = (realblur.score(sharp, image) for image in (blurred, blurred // 4 * 3))
    assert half["psnr"] == pytest.approx(whole["psnr"], abs=0.01)
    assert half["ssim"] == pytest.approx(whole["ssim"], abs=1e-3)


def test_equal_images():
    sharp = photograph()[:120, :140]
    found = realblur.score(sharp, sharp)
    assert found["psnr"] > 60
    assert found["ssim"] == pytest.approx(1, abs=1e-4)


def unregistered(sharp, image):
    """The plain figures after the scaling alone."""
    x, z = (side / 255 for side in (sharp, image))
    z = z * (np.sum(x * z) / max(np.sum(z * z), 1e-9))
    ssim = np.mean(similarity_map(x, z)[5:-5, 5:-5])
    return peak_signal_noise_ratio(x, z, data_range=1), ssim


@pytest.mark.parametrize("kind", ["flat", "negative", "black"])
def test_where_no_homography_is_found_the_image_is_scored_where_it_stands(kind):
    sharp = photograph()[:120, :140]
    image = {
        "flat": np.full_like(sharp, 90),
        "negative": 255 - sharp,
        "black": np.zeros_like(sharp),
    }[kind]
    found = realblur.score(sharp, image)
    psnr, ssim = unregistered(sharp, image)
    assert found["registered"] is False
    assert found["psnr"] == pytest.approx(psnr, abs=1e-4)
    assert found["ssim"] == pytest.approx(ssim, abs=1e-5)
    assert found["psnr"] < 20


def test_a_homography_that_leaves_nothing_is_none(monkeypatch):
    away = np.array([[1, 0, 500], [0, 1, 0], [0, 0, 1]], "float32")
    monkeypatch.setattr(registration, "homography", lambda x, z: away)
    sharp = photograph()[:60, :70]
    blurred = cv2.blur(sharp, (3, 3))
    found = realblur.score(sharp, blurred)
    assert found["registered"] is False
    assert (found["psnr"], found["ssim"]) == pytest.approx(unregistered(sharp, blurred), abs=1e-4)


def test_nothing_differs(monkeypatch):
    monkeypatch.setattr(registration, "homography", lambda x, z: np.eye(3, dtype="float32"))
    sharp = photograph()[:60, :70]
    assert realblur.score(sharp, sharp)["psnr"] == math.inf


def test_threads_agree():
    sharp = photograph()[:100, :120]
    images = [cv2.blur(sharp, (size, 3)) for size in (3, 5, 7)]
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        scores = list(pool.map(lambda image: realblur.score(sharp, image), images))
    for image, found in zip(images, scores, strict=True):
        assert found == pytest.approx(realblur.score(sharp, image), abs=1e-6)
    assert scores[0]["psnr"] > scores[1]["psnr"] > scores[2]["psnr"]


def test_what_cannot_be_scored_is_refused():
    sharp = photograph()
    with pytest.raises(ValueError, match=r"uint8 RGB images \(H, W, 3\); got .* float64"):
        realblur.score(sharp, sharp / 255)
    with pytest.raises(ValueError, match="uint8 RGB"):
        realblur.score(sharp[..., 0], sharp[..., 0])
    with pytest.raises(ValueError, match=r"one size, at least 11x11"):
        realblur.score(sharp, sharp[:-1])
    with pytest.raises(ValueError, match=r"one size, at least 11x11"):
        realblur.score(sharp[:10], sharp[:10])


def test_what_is_printed_beside_the_numbers():
    assert set(realblur.VARIANTS) == {"psnr", "ssim"}
    assert all(isinstance(rule, str) for rule in realblur.RULES)
