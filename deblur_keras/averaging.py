"""Makes pairs with real motion blur out of the frames of a fast camera, as GoPro was made.

Consecutive sharp frames, averaged in linear light, are what a slower shutter would have seen; the
frame in the middle is the sharp side. `frames.scenes` finds the frames, in videos and in folders;
`Averager` takes them one after the other and gives the pairs. It holds one window of frames at a
time, so that the length of a video does not matter.
"""

import collections
import dataclasses
import itertools

import cv2
import numpy as np

from deblur_keras import images
from deblur_keras.blur import average_frames

_BLOCK = 16  # pixels, in which repeated frames are looked for
_THUMBNAIL = 32  # pixels of the longer side, on which cuts are looked for
_LEAST_CONTRAST = 2.0  # grey levels; the noise of a black picture is no change of scene
_FLOW_SIDES = 64, 640  # pixels, least and most, on which motion is measured
_MOVING = 95  # percentile: what moves most, if it fills a twentieth of the picture
_AROUND = 31  # pixels a side, over which it is told whether something moved
_SMOOTHED = 1.5  # pixels, so that interpolating between pixels does not smooth any further
_EXPLAINED = 2.0  # times by which motion must lower the difference; chance manages 1.5 in noise
_LEAST_DIFFERENCE = 0.1  # squared grey levels; rounding is no motion


@dataclasses.dataclass(frozen=True)
class AveragedPair:
    """Holds a pair and where it came from.

    Attributes:
        blurred: mean of the frames, uint8 (H, W, 3).
        sharp: the frame in the middle, uint8 (H, W, 3).
        first: label of the first frame.
        middle: label of the sharp frame.
        last: label of the last frame.
        frames: how many frames were averaged, an odd number.
        motion: what `motion` says, in pixels.
        psnr: of blurred against sharp, in dB; infinite when they are equal.
    """

    blurred: np.ndarray
    sharp: np.ndarray
    first: str
    middle: str
    last: str
    frames: int
    motion: float
    psnr: float


class Averager:
    """Averages windows of consecutive frames, one frame at a time.

    A window takes an odd number of frames, so that the sharp one lies exactly in the middle of the
    exposure. No window spans a cut, a frame that cannot be read or a change of size; after one of
    these a new window begins. Frames that repeat the one before (`block_change`) are passed over,
    and windows without motion (`motion`) make no pair. Where a scene ends before a window is full,
    the longest of `lengths` that fits is taken.

    Args:
        lengths: the numbers of frames that a window may have, odd and from 3 on; one is drawn for
            each window, all equally likely.
        stride: frames from the start of a window to the start of the next; less than a window makes
            them overlap, more leaves frames between them unread. None: windows follow each other.
        gamma: light is `level ** gamma`; 1 averages the levels themselves.
        scale: reduces the frames first, by area averaging; 0 < scale <= 1.
        min_motion: pixels of `motion`, after scaling, below which a window is left out.
        max_change: `scene_change` above which a frame starts a new scene.
        repeat_change: `block_change` up to which a frame counts as repeated; below 0, none does.
        seed: of the lengths; anything that `numpy.random.default_rng` takes.

    Attributes:
        seen: how many frames were given so far.
        left_out: `collections.Counter` of what was left out or ended a window: `"repeated"`
            frames, `"broken"` frames, `"cuts"`, changes of `"size"`, `"still"` windows.
        first: of each of these, where it was first, for messages.

    Raises:
        ValueError: an argument out of range.

    Example:
        >>> from deblur_keras.frames import Frame
        >>> still = np.random.default_rng(0).integers(0, 256, (64, 64, 3), "uint8")
        >>> still = cv2.GaussianBlur(still, (0, 0), 2)
        >>> moving = (np.roll(still, step, axis=1) for step in range(10))
        >>> frames = [Frame(str(number), lambda p=p: p) for number, p in enumerate(moving)]
        >>> for pair in Averager([5]).pairs(frames):
        ...     print(pair.first, pair.middle, pair.last, pair.frames, round(pair.motion))
        0 2 4 5 4
        5 7 9 5 4

    Reference:
        Nah et al., "Deep multi-scale CNN for dynamic scene deblurring", 2017, section 2.1 (7 to 13
        frames at 240 per second); Kupyn et al., "DeblurGAN", 2018, section 6.3 (5 to 25 frames).

    Note:
        GoPro has windows of an even number of frames too, whose sharp side is half a frame off the
        middle of the blur; here there are none. How windows are left out is not the papers': they
        do not say.
    """

    def __init__(
        self,
        lengths,
        stride=None,
        gamma=2.2,
        scale=1.0,
        min_motion=2.0,
        max_change=0.6,
        repeat_change=1.0,
        seed=0,
    ):
        self.lengths = sorted(set(lengths))
        if not self.lengths or any(length < 3 or length % 2 == 0 for length in self.lengths):
            raise ValueError(
                f"lengths must be odd numbers from 3 on, so that a frame lies in the middle, got "
                f"{self.lengths}"
            )
        if stride is not None and stride < 1:
            raise ValueError(f"stride must be at least 1 frame, got {stride}")
        if not 0 < gamma < np.inf or not 0 < scale <= 1:
            raise ValueError(f"expected gamma > 0 and 0 < scale <= 1, got {gamma} and {scale}")
        for name, limit in (
            ("min_motion", min_motion),
            ("max_change", max_change),
            ("repeat_change", repeat_change),
        ):
            if np.isnan(limit):
                raise ValueError(f"{name} must be a number, got {limit}")
        self.stride, self.gamma, self.scale = stride, gamma, scale
        self.min_motion, self.max_change = min_motion, max_change
        self.repeat_change = repeat_change
        self.seen = 0
        self.left_out = collections.Counter()
        self.first = {}
        self._generator = np.random.default_rng(seed)
        self._window = collections.deque()  # (label, pixels)
        self._previous = None  # pixels of the last frame that was not passed over
        self._skip = 0  # frames up to the next window, not to be read
        self._length = self._draw()

    def pairs(self, frames):
        """Gives the pairs of one scene as its frames come.

        Args:
            frames: iterable of `frames.Frame`, in order. Not more of them than the longest window
                has are held at a time.

        Yields:
            `AveragedPair`.

        Raises:
            ValueError: a frame is not uint8 (H, W, 3).

        Example:
            >>> list(Averager([3]).pairs([]))
            []
        """
        for frame in frames:
            self.seen += 1
            if self._skip:
                self._skip -= 1
                continue
            pixels = self._read(frame)
            if pixels is None or self._starts_anew(frame, pixels):
                yield from self._finish()
            elif self._repeats(frame, pixels):
                continue
            if pixels is not None:
                self._previous = pixels
                self._window.append((frame.label, pixels))
                yield from self._complete()
        yield from self._finish()

    def _read(self, frame):
        """The pixels, or None for a frame that cannot be read."""
        try:
            pixels = np.asarray(frame.read())
        except images.ImageError as error:
            self._count("broken", str(error))
            return None
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            raise ValueError(
                f"frames must be uint8 (H, W, 3), got {pixels.dtype} {pixels.shape} at frame "
                f"{frame.label}"
            )
        return images.resize(pixels, self.scale)

    def _starts_anew(self, frame, pixels):
        """Whether there is a cut or a change of size in front of a frame."""
        if self._previous is None:
            return False
        if self._previous.shape != pixels.shape:
            (height, width), (before, wide) = pixels.shape[:2], self._previous.shape[:2]
            self._count("size", f"{frame.label}: {width}x{height} after {wide}x{before}")
            return True
        if scene_change(self._previous, pixels) > self.max_change:
            self._count("cuts", frame.label)
            return True
        return False

    def _repeats(self, frame, pixels):
        if self._previous is None or block_change(self._previous, pixels) > self.repeat_change:
            return False
        self._count("repeated", frame.label)
        return True

    def _complete(self):
        """Gives the pairs of the windows that are full, and goes on to the next window."""
        while len(self._window) >= self._length:
            yield from self._pair(self._length)
            stride = self.stride or self._length
            dropped = min(stride, len(self._window))
            for _ in range(dropped):
                self._window.popleft()
            self._skip = stride - dropped
            if self._skip:
                self._previous = None  # what comes next is not its neighbour
            self._length = self._draw()

    def _finish(self):
        """Gives the pair of the longest window that fits in what is left, and starts anew."""
        fitting = [length for length in self.lengths if length <= len(self._window)]
        if fitting:
            yield from self._pair(fitting[-1])
        self._window.clear()
        self._previous = None
        self._length = self._draw()

    def _pair(self, length):
        window = list(itertools.islice(self._window, length))
        (first, start), (middle, sharp), (last, end) = window[0], window[length // 2], window[-1]
        moved = motion(start, sharp, end)
        if moved < self.min_motion:
            self._count("still", first)
            return
        blurred = average_frames((pixels for _, pixels in window), self.gamma)
        error = np.mean((blurred.astype(np.float32) - sharp) ** 2, dtype=np.float64)
        psnr = float(10 * np.log10(255**2 / error)) if error else np.inf
        yield AveragedPair(blurred, sharp, first, middle, last, length, moved, psnr)

    def _draw(self):
        return int(self._generator.choice(self.lengths))

    def _count(self, reason, where):
        self.left_out[reason] += 1
        self.first.setdefault(reason, where)


def scene_change(frame, following):
    """Measures how much a frame differs from the one before it, to find cuts.

    `mean(|a - b|) / c` of both frames in grey, reduced to 32 pixels on the longer side, where a few
    pixels of motion do not show; `c` is the larger of their contrasts `mean(|a - mean(a)|)`, so
    that dark scenes count as bright ones do. Neighbours at 240 frames a second have 0.05 to 0.2, at
    30 a second up to 0.6, and unrelated photographs about 1.

    Args:
        frame: uint8 (H, W, 3).
        following: uint8, the same shape.

    Returns:
        A float from 0, for equal frames.

    Example:
        >>> frame = np.zeros((4, 4, 3), "uint8")
        >>> frame[:, 2:] = 200
        >>> scene_change(frame, frame), scene_change(frame, 200 - frame)
        (0.0, 2.0)
    """
    small = [
        _reduced(_grey(image), _THUMBNAIL)[0].astype(np.float32) for image in (frame, following)
    ]
    contrast = max(np.abs(image - image.mean()).mean() for image in small)
    return float(np.abs(small[0] - small[1]).mean() / max(contrast, _LEAST_CONTRAST))


def block_change(frame, following):
    """Measures the largest change of any small part of the picture, to find repeated frames.

    The mean absolute difference in grey levels, of the block of about 16x16 pixels where it is
    largest. A repeated frame has 0, or little after lossy compression; the noise of a sensor alone
    gives more than 1.

    Args:
        frame: uint8 (H, W, 3).
        following: uint8, the same shape.

    Returns:
        A float in [0, 255].

    Example:
        >>> frame = np.zeros((32, 32, 3), "uint8")
        >>> changed = frame.copy()
        >>> changed[:8, :16] = 10
        >>> block_change(frame, changed)
        5.0
    """
    difference = cv2.absdiff(_grey(frame), _grey(following)).astype(np.float32)
    height, width = (max(side // _BLOCK, 1) for side in difference.shape)
    return float(cv2.resize(difference, (width, height), interpolation=cv2.INTER_AREA).max())


def motion(first, middle, last):
    """Measures how far things move over a window: about the length of the blur.

    Optical flow from the middle frame to the first and to the last; the sum of both lengths, at the
    95th percentile of the pixels, so that what moves counts if it fills a twentieth of the picture.
    Flow counts only where it explains why the frames differ: where the squared difference, smoothed
    and averaged over 31x31 pixels, is at least halved by undoing it. The noise of a still picture
    differs as much afterwards as before, and counts as 0.

    Args:
        first: uint8 (H, W, 3).
        middle: uint8, the same shape.
        last: uint8, the same shape.

    Returns:
        Length in pixels of the frames.

    Reference:
        Kroeger et al., "Fast optical flow using dense inverse search", 2016; OpenCV's preset FAST.
        That the difference has to be explained is not from there.

    Note:
        Of stills with noise of a standard deviation up to 5 grey levels, white, grown with the
        light or compressed as JPEG, none of twelve pictures read above 0. The price: a motion of a
        pixel or two whose changes drown in the noise is not seen either.

    Example:
        >>> frame = np.random.default_rng(0).integers(0, 256, (64, 64, 3), "uint8")
        >>> frame = cv2.GaussianBlur(frame, (0, 0), 2)
        >>> round(motion(np.roll(frame, -3, axis=1), frame, np.roll(frame, 3, axis=1)))
        6
    """
    (start, _), (centre, reduction), (end, _) = map(_for_flow, (first, middle, last))
    lengths = _flow_length(centre, start) + _flow_length(centre, end)
    return float(np.percentile(lengths, _MOVING) * reduction)


def _flow_length(centre, other):
    """How far each pixel of a grey frame has moved in another one; 0 where noise may do as well."""
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST).calc(centre, other, None)
    places = flow + np.stack(np.meshgrid(*map(np.arange, centre.shape[::-1])), axis=-1)
    here, there = (
        cv2.GaussianBlur(grey.astype(np.float32), (0, 0), _SMOOTHED) for grey in (centre, other)
    )
    undone = cv2.remap(
        there, places.astype(np.float32), None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )
    before, after = (cv2.blur((image - here) ** 2, (_AROUND, _AROUND)) for image in (there, undone))
    moved = before > _EXPLAINED * after + _LEAST_DIFFERENCE
    return np.linalg.norm(flow, axis=2) * moved


def _for_flow(frame):
    """A frame in grey, of a size that optical flow is quick on and safe on, and its reduction."""
    least, most = _FLOW_SIDES
    grey, reduction = _reduced(_grey(frame), most)
    below, beside = (max(least - side, 0) for side in grey.shape)  # OpenCV crashes on narrow strips
    return cv2.copyMakeBorder(grey, 0, below, 0, beside, cv2.BORDER_REFLECT), reduction


def _reduced(grey, most):
    """An image whose longer side is at most `most`, and by what factor it was reduced."""
    reduction = max(max(grey.shape) / most, 1)
    if reduction == 1:
        return grey, 1
    height, width = (max(round(side / reduction), 1) for side in grey.shape)
    return cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA), reduction


def _grey(frame):
    return cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
