"""Windows of frames: which are made, what they hold, what is left out, and how many are kept."""

import itertools
import math
import weakref

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data
from skimage.metrics import peak_signal_noise_ratio

from deblur_keras import averaging, blur, images
from deblur_keras.averaging import Averager
from deblur_keras.frames import Frame


def texture(seed, height=64, width=96, grain=None):
    """Blobs, of about a tenth of the picture if not told, over the whole range of levels."""
    noise = np.random.default_rng(seed).random((height, width, 3))
    noise = cv2.GaussianBlur(noise, (0, 0), grain or max(height, width) / 24)
    return cv2.normalize(noise, None, 0, 255, cv2.NORM_MINMAX).astype("uint8")


def moving(count, seed=0, step=1):
    """A texture that moves to the right."""
    still = texture(seed)
    return [np.roll(still, step * number, axis=1) for number in range(count)]


def listed(pictures):
    return [Frame(str(number), lambda p=p: p) for number, p in enumerate(pictures)]


def spans(averager, pictures):
    return [(int(p.first), int(p.last)) for p in averager.pairs(listed(pictures))]


def test_a_pair_is_the_mean_in_linear_light_and_the_middle_frame():
    pictures = moving(5)
    (pair,) = Averager([5], gamma=2.2).pairs(listed(pictures))
    np.testing.assert_array_equal(pair.sharp, pictures[2])
    light = np.mean([(picture / 255) ** 2.2 for picture in pictures], axis=0)
    np.testing.assert_allclose(pair.blurred, 255 * light ** (1 / 2.2), atol=0.51)
    assert (pair.first, pair.middle, pair.last, pair.frames) == ("0", "2", "4", 5)
    assert pair.motion == pytest.approx(4, abs=0.3)
    assert pair.psnr == pytest.approx(peak_signal_noise_ratio(pair.sharp, pair.blurred))
    (levels,) = Averager([5], gamma=1).pairs(listed(pictures))
    np.testing.assert_array_equal(levels.blurred, blur.average_frames(pictures, gamma=1))


@pytest.mark.parametrize(
    ("stride", "expected"),
    [
        (None, [(0, 4), (5, 9), (10, 14)]),
        (5, [(0, 4), (5, 9), (10, 14)]),
        (3, [(0, 4), (3, 7), (6, 10), (9, 13)]),
        (1, [(start, start + 4) for start in range(12)]),
        (7, [(0, 4), (7, 11)]),
        (100, [(0, 4)]),
    ],
)
def test_the_stride_says_where_windows_start(stride, expected):
    assert spans(Averager([5], stride), moving(16)) == expected


def test_frames_between_windows_are_not_read():
    def refuse():
        raise AssertionError("read")

    frames = listed(moving(20))
    frames[5:10] = [Frame(str(number), refuse) for number in range(5, 10)]
    averager = Averager([5], stride=10)
    assert [pair.first for pair in averager.pairs(frames)] == ["0", "10"]
    assert averager.seen == 20


def test_what_is_left_at_the_end_makes_the_longest_window_that_fits():
    assert spans(Averager([9]), moving(17)) == [(0, 8)]
    ends = {spans(Averager([5, 7, 9], seed=seed), moving(8))[0] for seed in range(20)}
    assert ends == {(0, 4), (0, 6)}
    assert spans(Averager([5, 7]), moving(4)) == []
    assert spans(Averager([3]), []) == []


@given(
    st.sets(st.sampled_from([3, 5, 7, 9, 11]), min_size=1),
    st.one_of(st.none(), st.integers(1, 15)),
    st.integers(0, 60),
    st.integers(0, 9),
)
@settings(max_examples=40, deadline=None)
def test_windows_of_any_lengths_and_stride(lengths, stride, count, seed):
    def made():
        averager = Averager(lengths, stride, min_motion=0, repeat_change=-1, seed=seed)
        return list(averager.pairs(listed(np.zeros((count, 4, 4, 3), "uint8"))))

    pairs = made()
    starts = [int(pair.first) for pair in pairs]
    for pair in pairs:
        first, middle, last = int(pair.first), int(pair.middle), int(pair.last)
        assert pair.frames == last - first + 1
        assert pair.frames in lengths
        assert 2 * middle == first + last
        assert last < count
        assert math.isinf(pair.psnr)
    steps = [second - first for first, second in itertools.pairwise(starts)]
    if stride:
        assert set(steps) <= {stride}
    else:
        assert steps == [pair.frames for pair in pairs][: len(steps)]
    assert bool(pairs) == (count >= min(lengths))
    assert starts == [int(pair.first) for pair in made()]


def test_lengths_are_drawn_by_the_seed_alike_often():
    def drawn(seed):
        averager = Averager([3, 5, 7], min_motion=0, repeat_change=-1, seed=seed)
        return [p.frames for p in averager.pairs(listed(np.zeros((900, 2, 2, 3), "uint8")))]

    lengths = drawn(1)
    assert lengths == drawn(1)
    assert lengths != drawn(2)
    for length in (3, 5, 7):  # of about 180 windows a third each; 4 standard deviations
        assert lengths.count(length) / len(lengths) == pytest.approx(1 / 3, abs=0.14)


def test_no_window_spans_a_cut():
    pictures = moving(7, seed=1) + moving(12, seed=2) + moving(3, seed=3)
    averager = Averager([5])
    assert spans(averager, pictures) == [(0, 4), (7, 11), (12, 16)]
    assert averager.left_out == {"cuts": 2}
    assert averager.first == {"cuts": "7"}
    assert spans(Averager([5], max_change=math.inf), pictures)[1] == (5, 9)


def test_no_window_spans_a_broken_frame_or_a_change_of_size():
    def broken():
        raise images.ImageError("3.png: broken")

    frames = listed(moving(14))
    frames[3] = Frame("3", broken)
    large = listed([np.repeat(np.repeat(p, 2, axis=0), 2, axis=1) for p in moving(5, step=2)])
    averager = Averager([5])
    pairs = list(averager.pairs([*frames, *large]))
    assert [(p.first, p.last, p.sharp.shape) for p in pairs] == [
        ("4", "8", (64, 96, 3)),
        ("9", "13", (64, 96, 3)),
        ("0", "4", (128, 192, 3)),
    ]
    assert averager.left_out == {"broken": 1, "size": 1}
    assert averager.first == {"broken": "3.png: broken", "size": "0: 192x128 after 96x64"}


def test_repeated_frames_are_passed_over():
    pictures = moving(8)
    twice = [picture for picture in pictures for _ in range(2)]
    averager = Averager([5])
    (pair,) = averager.pairs(listed(twice))
    (expected,) = Averager([5]).pairs(listed(pictures))
    np.testing.assert_array_equal(pair.blurred, expected.blurred)
    assert (pair.first, pair.middle, pair.last, pair.frames) == ("0", "4", "8", 5)
    assert averager.left_out == {"repeated": 8}
    assert averager.first == {"repeated": "1"}
    keeps = Averager([5], repeat_change=-1, min_motion=0)
    assert len(spans(keeps, twice)) == 3


def test_windows_without_motion_are_left_out():
    noise = np.random.default_rng(0)
    still = texture(0).astype(float)
    pictures = [
        np.clip(still + noise.normal(0, 2, still.shape), 0, 255).astype("uint8") for _ in range(10)
    ]
    averager = Averager([5])
    assert spans(averager, pictures + moving(5)) == [(10, 14)]
    assert averager.left_out == {"still": 2}
    assert averager.first == {"still": "0"}
    assert spans(Averager([5], min_motion=6), moving(10)) == []
    assert len(spans(Averager([5], min_motion=3), moving(10))) == 2


def test_frames_are_reduced_first():
    pictures = moving(5, step=2)
    (pair,) = Averager([5], scale=0.5).pairs(listed(pictures))
    np.testing.assert_array_equal(pair.sharp, images.resize(pictures[2], 0.5))
    small = [images.resize(picture, 0.5) for picture in pictures]
    np.testing.assert_array_equal(pair.blurred, blur.average_frames(small))
    assert pair.motion == pytest.approx(4, abs=0.5)


@pytest.mark.parametrize("stride", [None, 1, 20])
def test_no_more_than_one_window_is_held(stride):
    alive = weakref.WeakValueDictionary()
    most = 0

    class Picture(np.ndarray):
        pass

    def stream():
        nonlocal most
        still = texture(0, 32, 48)
        for number in range(150):

            def read(number=number):
                picture = np.roll(still, number, axis=1).view(Picture)
                alive[number] = picture
                return picture

            yield Frame(str(number), read)
            most = max(most, len(alive))

    class Weak(Averager):
        def _read(self, frame):  # np.asarray would hide the pictures behind plain arrays
            return frame.read()

    kept = sum(1 for _ in Weak([7, 9], stride).pairs(stream()))
    assert kept > 6
    assert 7 <= most <= 11  # a window, the frame that comes, the one before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lengths": []}, "odd numbers"),
        ({"lengths": [7, 8]}, "odd numbers from 3 on"),
        ({"lengths": [1]}, "odd numbers from 3 on"),
        ({"stride": 0}, "stride must be at least 1"),
        ({"gamma": 0}, "gamma > 0"),
        ({"gamma": math.nan}, "gamma > 0"),
        ({"gamma": math.inf}, "gamma > 0"),
        ({"scale": 0}, "0 < scale <= 1"),
        ({"scale": 1.5}, "0 < scale <= 1"),
        ({"min_motion": math.nan}, "min_motion must be a number"),
        ({"max_change": math.nan}, "max_change must be a number"),
        ({"repeat_change": math.nan}, "repeat_change must be a number"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Averager(**{"lengths": [5], **arguments})


@pytest.mark.parametrize(
    "pixels", [np.zeros((4, 4), "uint8"), np.zeros((4, 4, 3)), np.zeros((4, 4, 4), "uint8")]
)
def test_frames_of_another_kind_are_refused(pixels):
    with pytest.raises(ValueError, match=r"frames must be uint8 \(H, W, 3\), got .* at frame 0"):
        list(Averager([3]).pairs(listed([pixels])))


def test_scene_change_tells_cuts_from_motion_and_noise():
    frame, other = texture(1, 180, 320), texture(2, 180, 320)
    assert averaging.scene_change(frame, frame) == 0
    assert averaging.scene_change(frame, other) > 1
    assert averaging.scene_change(frame // 8, other // 8) > 1
    assert averaging.scene_change(frame, np.roll(frame, 4, axis=1)) < 0.3
    black = np.random.default_rng(0).integers(0, 5, (2, 180, 320, 3), "uint8")
    assert averaging.scene_change(*black) < 0.2


def test_block_change_finds_a_small_part_and_forgives_little_noise():
    frame = texture(0, 96, 128)
    changed = frame.copy()
    changed[32:48, 64:80] ^= 64
    expected = cv2.absdiff(*(cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in (frame, changed)))
    found = averaging.block_change(frame, changed)
    assert found == pytest.approx(expected[32:48, 64:80].mean(), rel=1e-5)
    assert averaging.block_change(frame, frame) == 0
    noise = np.random.default_rng(0).normal(0, 1.5, (2, *frame.shape))
    noisy = np.clip(128 + np.rint(noise), 0, 255).astype("uint8")
    assert averaging.block_change(*noisy) > 1  # a sensor's, which is no repetition


@pytest.mark.parametrize("length", [2, 4, 8])
@pytest.mark.parametrize("axis", [0, 1])
def test_motion_is_the_length_of_the_path(length, axis):
    frame = texture(0, 160, 240, grain=3)
    first, last = (np.roll(frame, sign * length // 2, axis=axis) for sign in (-1, 1))
    assert averaging.motion(first, frame, last) == pytest.approx(length, abs=0.4)
    assert averaging.motion(first, frame, first) == pytest.approx(length, abs=0.4)  # and back
    assert averaging.motion(frame, frame, frame) == 0


def noisy(picture, deviation, seed, noise="white"):
    """What a camera makes of a picture: white noise, more in the light, or compressed after it."""
    drawn = np.random.default_rng(seed).normal(0, deviation, picture.shape)
    if noise == "light":
        drawn *= np.sqrt(picture / 128 + 0.05)
    taken = np.clip(np.rint(picture + drawn), 0, 255).astype("uint8")
    if noise == "JPEG":
        taken = cv2.imdecode(cv2.imencode(".jpg", taken, [cv2.IMWRITE_JPEG_QUALITY, 80])[1], 1)
    return taken


PICTURES = {
    "fine": texture(1, 180, 320, grain=1.5),
    "blobs": texture(2, 180, 320),
    "dark": texture(3, 180, 320) // 8,
    "faint": texture(4, 180, 320, grain=5) // 10 + 110,
    "flat": np.full((180, 320, 3), 128, "uint8"),
    "astronaut": data.astronaut(),
    "camera": cv2.cvtColor(data.camera(), cv2.COLOR_GRAY2RGB),
    "coffee": data.coffee(),
}


@pytest.mark.parametrize("noise", ["white", "light", "JPEG"])
@pytest.mark.parametrize("name", PICTURES)
def test_noise_is_no_motion(name, noise):
    for deviation in (0, 0.5, 1, 2, 3, 5):
        frames = [noisy(PICTURES[name], deviation, seed, noise) for seed in range(3)]
        assert averaging.motion(*frames) < 0.5, deviation  # of 2 that make a pair


@pytest.mark.parametrize("deviation", [0, 2, 5])
@pytest.mark.parametrize("name", ["fine", "blobs", "astronaut", "camera", "coffee"])
def test_motion_is_found_in_noise(name, deviation):
    for length in (4, 10):
        steps = enumerate((-length // 2, 0, length // 2))
        frames = [
            noisy(np.roll(PICTURES[name], (0, step), (0, 1)), deviation, seed)
            for seed, step in steps
        ]
        assert averaging.motion(*frames) == pytest.approx(length, rel=0.15)


def test_what_fills_more_than_a_twentieth_counts_in_noise_too():
    frames = []
    for seed, step in enumerate((-3, 0, 3)):
        picture = PICTURES["coffee"].copy()
        picture[100:240, 100 + step : 260 + step] = PICTURES["astronaut"][:140, 150:310]
        frames.append(noisy(picture, 2, seed))
    assert averaging.motion(*frames) == pytest.approx(6, abs=0.6)


def test_motion_is_in_pixels_of_the_frame_however_large():
    frame = cv2.resize(texture(0, 160, 240), (1920, 1280), interpolation=cv2.INTER_CUBIC)
    first, last = np.roll(frame, -12, axis=1), np.roll(frame, 12, axis=1)
    assert averaging.motion(first, frame, last) == pytest.approx(24, abs=1)


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (200, 3), (16, 200), (700, 4), (20, 1500)])
def test_strips_are_measured_too(shape):
    frame = texture(0, *shape)
    assert averaging.motion(frame, frame, frame) == 0
    assert averaging.block_change(frame, frame) == 0
    assert averaging.scene_change(frame, frame) == 0
