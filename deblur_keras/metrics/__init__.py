"""Scores of restored images: pure functions per image, and ``keras.metrics`` over them.

Published deblurring figures differ by several decibels for one set of weights because the protocol
is left unsaid. Here each function takes the range of its values explicitly, and each variant has a
sentence, such as ``SSIM_VARIANT``, which every report of this library prints beside the number.

All functions ``(sharp, restored, *, data_range) -> (B,)`` are written in ``keras.ops``: they run on
any Keras backend, eagerly or inside a compiled function, with a height and width that are known
only at run time. NIQE needs no sharp partner, and works on the host, in NumPy.
"""

from deblur_keras.metrics.averages import MAE, MSE, MSSSIM, PSNR, SSIM, SSIMY
from deblur_keras.metrics.errors import MAE_VARIANT, MSE_VARIANT, PSNR_VARIANT, mae, mse, psnr
from deblur_keras.metrics.legacy import CW_SSIM_PYSSIM_VARIANT, cw_ssim_pyssim
from deblur_keras.metrics.niqe import BLOCK as NIQE_BLOCK
from deblur_keras.metrics.niqe import NIQE_VARIANT, niqe
from deblur_keras.metrics.pixels import luma, to_pixels
from deblur_keras.metrics.structure import (
    MS_SSIM_SIZE,
    MS_SSIM_VARIANT,
    SSIM_VARIANT,
    SSIM_Y_VARIANT,
    WINDOW,
    ms_ssim,
    ssim,
    ssim_y,
)

__all__ = [
    "CW_SSIM_PYSSIM_VARIANT",
    "MAE",
    "MAE_VARIANT",
    "MSE",
    "MSE_VARIANT",
    "MSSSIM",
    "MS_SSIM_SIZE",
    "MS_SSIM_VARIANT",
    "NIQE_BLOCK",
    "NIQE_VARIANT",
    "PSNR",
    "PSNR_VARIANT",
    "SSIM",
    "SSIMY",
    "SSIM_VARIANT",
    "SSIM_Y_VARIANT",
    "WINDOW",
    "cw_ssim_pyssim",
    "luma",
    "mae",
    "ms_ssim",
    "mse",
    "niqe",
    "psnr",
    "ssim",
    "ssim_y",
    "to_pixels",
]
