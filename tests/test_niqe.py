"""NIQE against values of the official code, and what must hold for any photograph."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from skimage import data

from deblur_keras.metrics.niqe import _fit, niqe


def with_black_block(photo):
    photo = photo.copy()
    photo[:96, 96:192] = 0
    photo[96:130] = 0
    return photo


# Made by the NIQE release of 2012 (computequality.m, computefeature.m, estimateaggdparam.m, its
# model) under GNU Octave 7.3 with octave-image 2.14 (fspecial, imfilter, imresize); blkproc,
# nanmean and nancov, which these lack, by their definitions. The same set-up gives 3.654921523538
# for the distorted image I04 of TID2013, for which 3.65492152353770 of MATLAB is published
# (IQA-PyTorch, ResultsCalibra/results_official.csv) and niqe gives 3.65492152353797. As that image
# may not be passed on, these stand in its place.
OFFICIAL = {
    "colour": (lambda: data.coffee(), 4.058462007488),
    "sizes that are no multiples": (lambda: data.chelsea(), 2.572084043015),
    "grey": (lambda: data.coins(), 3.622678666306),
    "grey of a colour": (lambda: data.coffee()[..., 1], 4.022522211510),
    "gravel": (lambda: data.gravel(), 4.333702060508),
    "grass": (lambda: data.grass(), 6.492924797800),
    "two blocks": (lambda: data.coffee()[100:196, 100:292], 9.186136757326),
    "a black block": (lambda: with_black_block(data.chelsea()), 5.849783045551),
    "noise": (
        lambda: np.random.default_rng(0).integers(0, 256, (200, 300), "uint8"),
        78.619048761246,
    ),
}


def motion(photo, length):
    """Moves a photograph sideways over ``length`` pixels: exact means, rounded down."""
    columns = np.arange(photo.shape[1] - length + 1)
    moved = sum(photo[:, columns + step].astype(int) for step in range(length))
    return (moved // length).astype("uint8")


@pytest.mark.parametrize("name", OFFICIAL)
def test_equals_the_official_code(name):
    photograph, official = OFFICIAL[name]
    assert niqe(photograph()) == pytest.approx(official, rel=1e-9)


@pytest.mark.parametrize(
    ("name", "official", "apart"),
    [("astronaut", 3.066637499629, 6e-4), ("rocket", 7.036197615785, 2e-4)],
)
def test_where_areas_are_of_one_grey_level_the_official_code_has_rounding_errors(
    name, official, apart
):
    assert niqe(getattr(data, name)()) == pytest.approx(official, rel=apart)


@pytest.mark.parametrize("name", ["coffee", "chelsea", "astronaut", "camera", "coins"])
def test_motion_makes_it_worse(name):
    photo = getattr(data, name)()
    sharp, slightly, strongly = (niqe(motion(photo, length)) for length in (1, 3, 9))
    assert sharp + 0.2 < slightly < strongly - 0.2


@settings(max_examples=10, deadline=None)
@given(rows=st.integers(0, 95), columns=st.integers(0, 95))
def test_what_remains_after_the_last_whole_block_does_not_count(rows, columns):
    photo = data.coffee()[50:, 20:]
    whole = photo[:192, :288]
    assert niqe(photo[: 192 + rows, : 288 + columns]) == niqe(whole)


@settings(max_examples=10, deadline=None)
@given(offset=st.integers(0, 127), block=st.integers(0, 127))
def test_a_brighter_photograph_scores_the_same(offset, block):
    # also where areas of one grey level put the rounding errors of the local mean to the test
    photo = data.chelsea()[..., 1] // 2
    photo[:96, 96:192] = block
    photo[96:130, :300] = block
    assert niqe(photo + np.uint8(offset)) == pytest.approx(niqe(photo), rel=1e-9)


def test_equal_channels_are_grey():
    grey = data.coins()
    assert niqe(np.repeat(grey[..., None], 3, axis=2)) == niqe(grey)


def test_views_and_threads_give_the_same_and_the_image_stays_as_it_was():
    photo = data.chelsea()
    kept = photo.copy()
    mirrored = photo[::-1, ::-1]
    expected = [niqe(photo), niqe(np.ascontiguousarray(mirrored))]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(niqe, [photo, mirrored] * 4)) == expected * 4
    np.testing.assert_array_equal(photo, kept)


@pytest.mark.parametrize("shape", [0.5, 1.0, 2.0, 4.0])
@pytest.mark.parametrize(("left", "right"), [(1.0, 1.0), (0.5, 2.0)])
def test_the_parameters_of_generalized_gaussians_are_found(shape, left, right):
    # quantiles of scipy's distribution, one half scaled to the left and one to the right; the share
    # of each side is that of its scale
    share = left / (left + right)
    half = stats.gennorm(shape).ppf(0.5 + 0.5 * (np.arange(100_000) + 0.5) / 100_000)
    count = round(share * len(half))
    values = np.concatenate(
        [
            -left * half[np.linspace(0, len(half) - 1, count).astype(int)],
            right * half[np.linspace(0, len(half) - 1, len(half) - count).astype(int)],
        ]
    )
    found, mean, below, above = (float(parameter[0]) for parameter in _fit(values[None]))
    assert found == pytest.approx(shape, abs=0.01)
    assert (below, above) == pytest.approx((left, right), rel=0.02)
    assert mean == pytest.approx(values.mean(), abs=0.02)


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (np.zeros((200, 200, 3)), TypeError, "uint8.*got float64.*to_uint8"),
        (np.zeros((200, 200, 4), "uint8"), ValueError, r"RGB.*got the shape \(200, 200, 4\)"),
        (np.zeros((1, 200, 200, 3), "uint8"), ValueError, "one RGB"),
        (np.full((400, 400, 3), 7, "uint8"), ValueError, "of one colour; got 0 in an image"),
        (data.coffee()[:95], ValueError, r"two blocks of 96x96.*got 0.*\(95, 600, 3\)"),
        (data.coffee()[:100, :95], ValueError, "got 0"),
        (data.coffee()[:100, :100], ValueError, r"got 1 in an image of shape \(100, 100, 3\)"),
    ],
)
def test_what_it_cannot_judge_is_refused(image, error, message):
    with pytest.raises(error, match=message):
        niqe(image)
