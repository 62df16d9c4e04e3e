"""Scores that are kept to compare with published figures, and are not for new ones."""

import numpy as np
from keras import ops

from deblur_keras.metrics.graphs import compiled
from deblur_keras.metrics.pixels import check_channels, prepare

CW_SSIM_PYSSIM_VARIANT = (
    "CW-SSIM of pyssim before 0.7 (legacy; real one-dimensional wavelets of widths 1 to 30 over "
    "the grey levels row after row; neither SSIM nor what CW-SSIM is elsewhere)"
)

_WIDTHS = 30
_REACH = 5 * _WIDTHS  # of the widest wavelet, to either side
_K = 0.01
_GREY = (19595, 38470, 7471)  # 65536ths of R, G and B, as Pillow's conversion to "L" has them
_CHUNK = 2**16  # samples that are worked on at once, with 30 coefficients each


def cw_ssim_pyssim(sharp, restored, *, data_range):
    """Computes the "CW-SSIM" of the package pyssim for each image. Legacy: not for new figures.

    ``mean((2 |sum_w a_w b_w| + K) / (sum_w a_w^2 + sum_w b_w^2 + K))`` over all pixels, where a and
    b are the continuous wavelet transforms of both images' grey levels, flattened row after row
    into one signal, with Mexican hats of widths w = 1 to 30, each 10 w samples long, and K = 0.01.

    It is the measure behind the SSIM of 0.958 that DeblurGAN reports on GoPro; the same images have
    0.86 by `ssim`. It sees structure along rows alone. Blurred GoPro photographs at the 640x360 of
    that figure score 0.08 to 0.25 more by it than by `ssim`.

    Args:
        sharp: Reference images, ``(B, H, W, 3)`` or grey ``(B, H, W, 1)``, from 0 to
            ``data_range``, integers or floats; at least 300 pixels in all.
        restored: Images to judge, of the same shape.
        data_range: As in `mse`: 255 for uint8. Other ranges are brought to 8-bit levels first.

    Returns:
        A float32 tensor ``(B,)`` from 0 to 1, which equal images reach.

    Raises:
        ValueError: As in `mse`, for other numbers of channels, and for images known to have less
            than 300 pixels, the length of the widest wavelet.

    Example:
        >>> import numpy as np
        >>> photo = np.random.default_rng(0).integers(0, 256, (1, 16, 20, 3), "uint8")
        >>> round(float(cw_ssim_pyssim(photo, photo, data_range=255)[0]), 4)
        1.0

    Reference:
        pyssim, ``SSIM.cw_ssim_value``, on the ``cwt`` and ``ricker`` of scipy.signal before 1.15.
        Sampat et al., "Complex Wavelet Structural Similarity", IEEE Transactions on Image
        Processing 18(11), 2009, equation (6), is what it is named after; there the wavelets are
        complex and two-dimensional.

    Note:
        pyssim multiplies this by ``(2 sum |a| |b| + K) / (2 sum |a b*| + K)``, which is 1 for real
        wavelets. Its releases from 0.7 on call PyWavelets, and give other numbers.
    """
    sharp, restored = prepare(sharp, restored, data_range)
    check_channels(sharp, (1, 3), "cw_ssim_pyssim")
    sharp, restored = _grey(sharp, data_range), _grey(restored, data_range)
    samples = sharp.shape[1]
    if samples is not None and samples < 2 * _REACH:
        raise ValueError(
            f"Expected images of at least {2 * _REACH} pixels in all for cw_ssim_pyssim, the "
            f"length of its widest wavelet; got {samples}. Score such images with psnr or mse."
        )
    # outside the image the signal is 0
    padding = ((0, 0), (_REACH, _REACH - 1), (0, 0))
    sharp, restored = ops.pad(sharp, padding), ops.pad(restored, padding)
    if samples is None:
        return _mean_similarity(sharp, restored)
    total = 0.0
    for start in range(0, samples, _CHUNK):
        stop = min(start + _CHUNK, samples)
        part = slice(start, stop + 2 * _REACH - 1)
        share = (stop - start) / samples
        total = total + share * _mean_similarity(sharp[:, part], restored[:, part])
    return total


def _grey(batch, data_range):
    """Converts to 8-bit grey levels as Pillow does, row after row: (B, H, W, C) -> (B, HW, 1)."""
    levels = ops.cast(batch, "float32") * (255.0 / data_range)
    levels = ops.clip(ops.round(levels), 0.0, 255.0)
    if batch.shape[-1] == 3:
        red, green, blue = ops.split(ops.cast(levels, "int32"), 3, axis=-1)
        grey = _GREY[0] * red + _GREY[1] * green + _GREY[2] * blue + 2**15
        levels = ops.cast(grey // 2**16, "float32")
    _, height, width, _ = ops.shape(batch)
    return ops.reshape(levels, (-1, height * width, 1))


@compiled
def _mean_similarity(sharp, restored):
    """Compares the transforms of two signals: 2 x (B, samples + 299, 1) -> (B,)."""
    bank = _mexican_hats()
    a = ops.conv(sharp, bank, padding="valid", data_format="channels_last")  # (B, samples, 30)
    b = ops.conv(restored, bank, padding="valid", data_format="channels_last")
    product = ops.abs(ops.sum(a * b, axis=-1))
    energy = ops.sum(ops.square(a) + ops.square(b), axis=-1)
    return ops.mean((2.0 * product + _K) / (energy + _K), axis=1)


def _mexican_hats():
    """Samples the wavelets of all widths about one centre: (300, 1, 30)."""
    positions = np.arange(2 * _REACH) - (2 * _REACH - 1) / 2
    hats = []
    for width in range(1, _WIDTHS + 1):
        ratio = (positions / width) ** 2
        hat = 2.0 / (np.sqrt(3.0 * width) * np.pi**0.25) * (1.0 - ratio) * np.exp(-ratio / 2.0)
        hats.append(np.where(np.abs(positions) < 5 * width, hat, 0.0))
    return np.stack(hats, axis=-1)[:, None].astype("float32")
