"""Streams whose blurred side is made from sharp pictures: by synthetic motion, or by averaging.

As in `pipelines`, each visit is one function of a generator seeded by (seed, epoch, photograph).
"""

import collections

import numpy as np

from deblur_keras import blur, images
from deblur_keras.datasets import layouts, pictures, shots, streams
from deblur_keras.frames import natural_key

_CALM = (0.5, 3.0)  # length in pixels of the path of a camera that hardly moves
_CALM_SIDE = 10  # of a kernel that holds it, however late the sharp side is


def synthetic(
    photographs,
    crop=256,
    batch=1,
    scale=1.0,
    flip=True,
    seed=0,
    gamma=2.2,
    noise=0.0,
    max_length=60.0,
    kernel_size=None,
    shuffle=True,
    repeat=False,
    *,
    cache=False,
    fixed=False,
    first_epoch=0,
    first_batch=None,
    crops_per_image=1,
    deterministic=True,
    max_bad=10,
    rotation=0.0,
    grid=1,
    highlights=1.0,
    shot_noise=0.0,
    read_noise=0.0,
    jpeg=None,
    objects=0.0,
    defocus=0.0,
    intensity=None,
    late=0.0,
    frames=1,
    duty=1.0,
    paths="shake",
):
    """Streams crops of sharp photographs with a fresh random camera shake on each visit.

    The crop is cut with a margin of half the kernel, blurred, and trimmed, so that what blurs into
    it from outside is the real photograph; only at the photograph's own border is it reflected.

    What a real camera adds is off unless asked for: blur that differs over the photograph
    (``rotation`` or ``grid``), ``highlights`` that leave streaks, the sensor's noise, JPEG. The
    steps and their order are those of `blur.motion_blur`.

    Args:
        photographs: Folder, file, pattern, or list of these, as `images.find` takes them.
        crop: As in `paired`.
        batch: As in `paired`.
        scale: As in `paired`.
        flip: As in `paired`.
        seed: As in `paired`.
        gamma: Exponent between pixel values and linear light, in which the blur happens; 1 blurs
            the pixel values themselves.
        noise: Standard deviation of the noise on the blurred side in grey levels of 255, or
            ``(low, high)`` to draw one uniformly each visit.
        max_length: Length of the whole trajectory in pixels, or ``(low, high)`` to draw one each
            visit, as often between 5 and 10 as between 10 and 20.
        kernel_size: Side of the kernels in pixels; None for 64, or as many as the longest path
            needs.
        shuffle: As in `paired`.
        repeat: As in `paired`.
        cache: As in `paired`.
        fixed: As in `paired`; the blurs are repeated as well.
        first_epoch: As in `paired`.
        first_batch: As in `paired`.
        crops_per_image: As in `paired`.
        deterministic: As in `paired`.
        max_bad: As in `paired`.
        rotation: Degrees that the camera rolls while it shakes, at most, forth and back added up
            over the whole path; the photograph's middle is the centre. 1 is a shaky hand.
        grid: Kernels along each side of the photograph, half of whose path is their own, blended
            in between (`blur.random_psf_grids`); 1 is one kernel for all.
        highlights: How many times brighter than white the white parts really were, at least 1, or
            ``(low, high)``: 2 to 5 by day, 10 for lamps at night. White surfaces bleed over their
            edges, lamps leave streaks.
        shot_noise: Standard deviation of the noise in white, as a part of white in linear light, or
            ``(low, high)``; 0.03 is visible, 0.1 much.
        read_noise: Standard deviation of the noise in black, as a part of white, or
            ``(low, high)``; 0.005 is visible, 0.02 much.
        jpeg: Quality, 1 to 100, of a JPEG that the blurred side goes through, or ``(low, high)``;
            None for none. Its blocks lie as in the whole photograph.
        objects: Share of the visits at which something moves by itself: a piece of another of the
            photographs, of random outline, is pasted over the crop with a motion of its own, while
            the camera, in half of these, hardly moves.
        defocus: Share of the visits at which part of the photograph is out of focus, on the sharp
            side too: motion blur is to be undone, a shallow depth of field is not.
        intensity: How crooked the paths are, 0 to 1, or ``(low, high)`` to draw one each visit: 0
            is a straight line, up to 0.0005 the short exposure of a moving camera such as GoPro's,
            0.003 to 0.01 a knot, a quarter as wide as the path is long. None picks those of
            DeblurGAN's script, 0.003 to 0.01.
        late: Part of the exposure by which the sharp side comes after the middle of the blurred
            one, 0 to 0.5, or ``(low, high)``; not with `rotation`. Half a frame, 0.05 to 0.0625, is
            what GoPro's pairs are off that are means of 10 or 8 frames.
        frames: Frames that the blurred side is the mean of, or ``(low, high)`` to draw a whole
            number each visit; not with `rotation`. Matters where the shutter is not open all the
            time (``duty``).
        duty: Part of each frame's time in which the shutter is open, above 0 to 1, or ``(low,
            high)``. In a mean of frames that are each sharp, as GoPro's by day, what moves quickly
            is a row of copies: ``frames=(7, 13), duty=(0.05, 1.0)``.
        paths: "shake" for those of DeblurGAN's script, where the sharp side is in the middle of
            what the camera saw, or "smooth" for lines, bows and ways there and back, as a camera
            moves in a moment (`blur.smooth_trajectories`), where it is what the camera saw in the
            middle of the time. Without `intensity` and `rotation`.

    Returns:
        `tf.data.Dataset`, as from `paired`. The sharp crops are untouched pixels, but for things
        (`objects`) and for what is out of focus (`defocus`): they keep no noise or JPEG from here,
        and show white where light was brighter.

    Raises:
        ImageError: Something in ``photographs`` does not exist.
        DatasetError: There are no images in it.
        ValueError: An argument is out of range.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from deblur_keras import datasets, images
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = images.write(Path(folder) / "1.png", np.zeros((96, 96, 3), np.uint8))
        ...     blurred, sharp = next(iter(datasets.synthetic(folder, crop=32)))
        >>> float(blurred.numpy().max())
        -1.0

    Reference:
        Kupyn et al., "DeblurGAN", section 4 and algorithm 1: random trajectories. Rim et al.,
        "Realistic blur synthesis for learning image deblurring": what a camera adds.
    """
    options = streams.Options(
        crop,
        batch,
        scale,
        flip,
        seed,
        shuffle,
        repeat,
        cache,
        fixed,
        first_epoch,
        first_batch,
        crops_per_image,
        deterministic,
        max_bad,
    )
    effects = shots.Effects(noise, highlights, shot_noise, read_noise, jpeg)
    shots.check_gamma(gamma)
    shots.check_share("objects", objects)
    shots.check_share("defocus", defocus)
    video = {"late": late, "frames": frames, "duty": duty, "paths": paths}
    path = {"intensity": intensity, **video}
    side = shots.kernel_side(kernel_size, max_length, late, paths)
    motions = shots.Motions(seed, rotation, grid, side, max_length, **path)
    things = shots.Motions(seed, 0.0, 1, side, max_length, **path, things=True)
    calm = shots.Motions(seed, 0.0, 1, max(side, _CALM_SIDE), _CALM, **video)
    files = [source.path for source in images.find(photographs)]
    sources = pictures.of_files(files, options, together=2 if objects else 1)

    def visit(generator, ticket):
        scale = options.draw_scale(generator)
        (photograph,) = sources.read(ticket.index, scale)
        region = streams.draw_region(generator, photograph.shape, crop)
        motion, moving = motions[ticket.number], None
        thing = objects and generator.random() < objects
        if thing and generator.random() < 0.5:
            motion = calm[ticket.number]
        wide = shots.grown(region, photograph.shape, motion, whole_blocks=jpeg is not None)
        image = wide.of(photograph)
        if defocus and generator.random() < defocus:
            image = shots.defocused(generator, image)
        sharp = image
        if thing:
            (other,) = sources.read(int(generator.integers(len(files))), scale)
            front = shots.fitted(generator, other, image.shape)
            mask = shots.draw_mask(generator, *image.shape[:2])
            moving = front, mask, things[ticket.number]
            sharp = blur.paste(image, front, mask)
        blurred = blur.motion_blur(
            image,
            motion,
            gamma=gamma,
            place=(wide.top, wide.left, *photograph.shape[:2]),
            **effects.draw(generator),
            seed=generator,
            moving=moving,
        )
        inner = region.relative_to(wide)
        return inner.of(blurred), inner.of(sharp)

    return streams.stream(visit, len(files), options)


def averaged(
    frames,
    window=(7, 21),
    crop=256,
    batch=1,
    scale=1.0,
    flip=True,
    seed=0,
    gamma=2.2,
    shuffle=True,
    repeat=False,
    *,
    cache=False,
    fixed=False,
    first_epoch=0,
    first_batch=None,
    crops_per_image=1,
    deterministic=True,
    max_bad=10,
    even=0.0,
    step=1,
):
    """Streams real motion blur: consecutive frames of a high-speed video, averaged.

    Each frame (but the first and last few) is the sharp side once an epoch, and the blurred side is
    the mean of a window around it, of a random odd length each visit. This is how GoPro was made.

    Args:
        frames: Folder of the frames of one video, numbered in their names, or a tree of such
            folders.
        window: Frames to average: ``(shortest, longest)``, of which odd lengths are drawn, or one
            odd number. Near the ends of a video only the shorter ones fit.
        crop: As in `paired`.
        batch: As in `paired`.
        scale: As in `paired`.
        flip: As in `paired`.
        seed: As in `paired`.
        gamma: Exponent between pixel values and linear light, in which frames are averaged.
        shuffle: As in `paired`.
        repeat: As in `paired`.
        cache: As in `paired`. Worth it when the frames fit (0.7 MB a frame of 640x360): a visit
            decodes the whole window otherwise.
        fixed: As in `paired`; the windows are repeated as well.
        first_epoch: As in `paired`.
        first_batch: As in `paired`.
        crops_per_image: As in `paired`.
        deterministic: As in `paired`.
        max_bad: As in `paired`.
        even: Share of the visits that leave out the first frame of the window. The sharp frame then
            is the later of the middle two, half a frame's motion off the middle of the blur, as in
            those of GoPro's pairs that are means of 8 or 10 frames.
        step: Every how many frames one is averaged, or ``(low, high)`` to draw a whole number each
            visit: 3 makes of a slow motion one three times as fast. Near the ends of a video only
            smaller steps fit.

    Returns:
        `tf.data.Dataset`, as from `paired`. The sharp crops are untouched pixels.

    Raises:
        ImageError: ``frames`` does not exist.
        DatasetError: No folder holds as many frames as the shortest window.
        ValueError: An argument is out of range.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from deblur_keras import datasets, images
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for number in range(9):
        ...         picture = np.zeros((64, 64, 3), np.uint8)
        ...         _ = images.write(Path(folder) / f"{number}.png", picture)
        ...     len(datasets.averaged(folder, window=7, crop=32))
        3

    Reference:
        Nah et al., "Deep Multi-scale Convolutional Neural Network for Dynamic Scene Deblurring",
        section 2.
    """
    options = streams.Options(
        crop,
        batch,
        scale,
        flip,
        seed,
        shuffle,
        repeat,
        cache,
        fixed,
        first_epoch,
        first_batch,
        crops_per_image,
        deterministic,
        max_bad,
    )
    shortest, longest = (window, window) if np.isscalar(window) else window
    least, most = shortest // 2, (longest - 1) // 2  # frames on either side of the middle one
    if not 1 <= least <= most:
        raise ValueError(f"window must hold an odd number of frames of at least 3, got {window}")
    shots.check_share("even", even)
    shots.check_gamma(gamma)
    slowest, fastest = shots.low_high("step", step, 1, whole=True)
    videos = collections.defaultdict(list)
    for source in images.find(frames):
        videos[source.path.parent].append(source.path)
    beside = least * slowest
    files, middles = [], []  # a middle: its place in files, frames there are on either side
    for folder in sorted(videos):
        ordered = sorted(videos[folder], key=natural_key)
        middles += [
            (len(files) + place, min(place, len(ordered) - 1 - place))
            for place in range(beside, len(ordered) - beside)
        ]
        files += ordered
    if not middles:
        raise layouts.DatasetError(
            f"{frames}: expected folders of at least {2 * beside + 1} consecutive frames; found"
            f" {len(files)} images in {len(videos)} folders"
        )
    sources = pictures.of_files(files, options, together=2 * most + 1)

    def visit(generator, ticket):
        middle, room = middles[ticket.index]
        pace = slowest
        if fastest > slowest:  # else no random number, so that such a stream never changes
            pace = int(generator.integers(slowest, min(fastest, room // least), endpoint=True))
        reach = generator.integers(least, min(most, room // pace), endpoint=True)
        chosen = options.draw_scale(generator)
        (sharp,) = sources.read(middle, chosen)
        region = streams.draw_region(generator, sharp.shape, crop)
        first = middle - pace * (reach - bool(even and generator.random() < even))

        def crops():  # one frame in memory at a time, and no more of it averaged than is shown
            for place in range(first, middle + pace * reach + 1, pace):
                (frame,) = sources.read(place, chosen)
                if frame.shape != sharp.shape:
                    raise layouts.DatasetError(
                        f"{files[place]} and {files[middle]} differ in size; expected the frames of"
                        " one video in a folder of their own",
                        files[place],
                    )
                yield region.of(frame)

        return blur.average_frames(crops(), gamma=gamma), region.of(sharp)

    return streams.stream(visit, len(middles), options)
