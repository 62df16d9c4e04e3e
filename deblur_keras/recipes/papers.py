"""The six systems of the five papers, field by field, each with its source.

``paper(value, place)`` is what the paper states, ``code(value, place)`` what its authors' code has,
``chosen(value, reason)`` what both leave open. The notes say where they contradict each other.
"""

import dataclasses

from deblur_keras.recipes.parts import Part
from deblur_keras.recipes.recipe import CHOSEN, CODE, PAPER, Recipe, Reported, Source


@dataclasses.dataclass(frozen=True)
class _Sourced:
    value: object
    source: Source


def paper(value, place):
    """Marks a value that the paper states."""
    return _Sourced(value, Source(PAPER, place))


def code(value, place):
    """Marks a value that the authors' code has, where the paper is silent or says otherwise."""
    return _Sourced(value, Source(CODE, place))


def chosen(value, reason):
    """Marks a value that was chosen here."""
    return _Sourced(value, Source(CHOSEN, reason))


def recipe(name, authors, title, trainer, *, data, reported, notes, **fields):
    """Makes a recipe of sourced fields; a part is ``(kind, {option: sourced value})``."""
    values, sources = {}, {}
    for field, entry in fields.items():
        kind, options = entry if isinstance(entry, tuple) else (entry, None)
        sources[field] = kind.source
        values[field] = kind.value
        if options is not None:
            sources |= {f"{field}.{option}": given.source for option, given in options.items()}
            given = {option: given.value for option, given in options.items()}
            values[field] = Part(field, kind.value, given)
    return Recipe(
        name=name,
        authors=authors,
        title=title,
        trainer=trainer,
        data=data,
        reported=reported,
        notes=notes,
        sources=sources,
        **values,
    )


# Chosen in several recipes for the same reason.
_AS_DEBLURGAN = "not stated; as in DeblurGAN, on which it builds"
_ADAM = {
    "beta_1": chosen(0.5, _AS_DEBLURGAN),
    "beta_2": chosen(0.999, _AS_DEBLURGAN),
    "epsilon": chosen(1e-8, _AS_DEBLURGAN),
}
_TEXTBOOK = chosen(
    "per_sample",
    "the textbook's norm, over the whole image; DeblurGAN's authors' code takes it over the "
    "colours of each pixel ('pixelwise')",
)
_UNIT = chosen(
    1 / 127.5,
    "brings the features of Keras's VGG, fed with 0 to 255, to the unit of one fed with [-1, 1]",
)
_NO_VARIATION = chosen(0.0, "no such term is mentioned")
_ADVERSARIAL_WEIGHT = paper(1.0, "total loss: the adversarial loss has no factor")
_MIX = chosen((2, 1), "not stated; DeblurGAN's, and used only where both kinds of data are given")

_ONE_CROP = chosen(1, "one crop for each visit to a photograph; more save decoding")
# What only photographs that are blurred at random go through.
_OFF = "off: not said of the training data, nor in DeblurGAN's code"
_CAMERA = {
    "max_length": chosen(60.0, "as max_len in DeblurGAN's code"),
    "intensity": chosen("script", "those that DeblurGAN's code picks from"),
    "late": chosen(0.0, _OFF),
    "frames": chosen(1, "one exposure, as DeblurGAN's code blurs photographs"),
    "duty": chosen(1.0, _OFF),
    "paths": chosen("shake", "as DeblurGAN's code draws them"),
    "objects": chosen(0.0, _OFF),
    "defocus": chosen(0.0, _OFF),
    "rotation": chosen(0.0, _OFF),
    "grid": chosen(1, _OFF),
    "highlights": chosen(1.0, _OFF),
    "shot_noise": chosen(0.0, _OFF),
    "read_noise": chosen(0.0, _OFF),
    "jpeg": chosen(0, _OFF),
}

# How a recipe is computed; the papers' results need none of it.
_SHARED = {
    "precision": chosen("float32", "not stated; float32 was the rule"),
    "ema": chosen(0.0, "none is mentioned"),
    "clip_norm": chosen(0.0, "none is mentioned"),
}
_TRAINING = {
    **_SHARED,
    "warmup_epochs": chosen(0, "none are mentioned"),
    "accumulate": chosen(1, "the whole batch at once; more parts save memory"),
}

_DEBLURGAN_GENERATOR = {
    "filters": code(64, "ngf 64"),
    "blocks": paper(9, "section 3.2: 'nine residual blocks'"),
    "norm": paper("instance", "section 3.2; without scale and offset in the authors' code"),
    "dropout": paper(0.5, "section 3.2: after the first convolution of each block"),
    "upsampling": paper("transpose", "section 3.2: 'two transposed convolution blocks'"),
    "skip": paper("clip", "section 3.2: ResOut, IS = IB + IR; the clipping is the code's"),
}
_PATCH_CRITIC = {
    "filters": code(64, "ndf 64"),
    "layers": code(3, "n_layers_D 3, a receptive field of 70 pixels"),
    "norm": paper("instance", "section 3.2; the code leaves the first convolution without"),
}

DEBLURGAN = recipe(
    "deblurgan",
    "Kupyn et al., 2018",
    "DeblurGAN: Blind Motion Deblurring Using Conditional Adversarial Networks",
    "DeblurGAN",
    data="1000 GoPro pairs, halved (Wild), MS COCO with synthetic blur (Synth), or both (Comb)",
    generator=(paper("resnet", "section 3.2"), _DEBLURGAN_GENERATOR),
    critic=(paper("patch", "section 3.2: 'identical to PatchGAN'"), _PATCH_CRITIC),
    generator_parameters=code(11_378_179, "counted in the network of the authors' code"),
    critic_parameters=code(2_764_737, "counted in the network of the authors' code"),
    adversarial=(
        paper("wgan-gp", "section 3.1"),
        {"weight": code(10.0, "not stated; 10 in the code"), "mode": _TEXTBOOK},
    ),
    adversarial_weight=_ADVERSARIAL_WEIGHT,
    content=(
        paper("perceptual", "section 3.1"),
        {
            "network": paper("vgg19", "section 3.1"),
            "layer": paper("block3_conv3", "section 3.1: VGG3,3"),
            "activation": code(
                "pre", "the paper says 'after activation', its code takes it before"
            ),
            "feature_scale": _UNIT,
        },
    ),
    content_weight=paper(100.0, "section 3.1: lambda 'equals to 100 in all experiments'"),
    total_variation=paper(0.0, "section 3.1: tried, 27.9 dB with it against 28.7 without"),
    critic_steps=paper(5, "section 5"),
    init=code(0.02, "N(0, 0.02) for every convolution"),
    learning_rate=paper(1e-4, "section 5: 'for both generator and critic'"),
    beta_1=code(0.5, "the paper says Adam alone"),
    beta_2=code(0.999, "the paper says Adam alone"),
    epsilon=code(1e-8, "PyTorch's"),
    epochs=paper(300, "section 5: 150, then linearly to zero over the next 150"),
    constant_share=paper(0.5, "section 5"),
    batch=paper(1, "section 5: 'empirically better results on validation'"),
    crop=paper(256, "section 5"),
    scale=paper(0.5, "section 5: 'downscaled by a factor of two'"),
    crops_per_image=_ONE_CROP,
    synthetic_to_real=paper((2, 1), "section 5: DeblurGAN-Comb"),
    **_CAMERA,
    **_TRAINING,
    reported=(
        Reported(
            "GoPro",
            psnr=28.7,
            ssim=0.958,
            note="Table 1, Comb. Its SSIM is a complex-wavelet one, and the images were halved, by "
            "what users found who scored the authors' Wild weights: 28.1 dB at 640x360, with a "
            "complex-wavelet SSIM of 0.956 and a usual one of 0.856. The authors never said so",
        ),
        Reported(
            "Koehler",
            psnr=26.10,
            ssim=0.816,
            note="Table 2, the Wild model; its SSIM is the benchmark's multi-scale one",
        ),
    ),
    notes=(
        "Section 3.2 describes 'a convolution layer' a block, and dropout 'after the first' of "
        "them; the code at publication has two, a later one by mistake one.",
        "The critic is called conditional; section 3.1 and the code show it the restored or sharp "
        "image alone.",
        "Dropout stays active when restoring (section 5); here it does with "
        "--restore-with-dropout.",
        "The code keeps the full rate through epoch 151 and is at 6.7e-7 in epoch 300; so it is "
        "here.",
        "lambda stands for the penalty's factor (equation 4) and the content loss's (section 3.1) "
        "alike.",
    ),
)

SHARINGAN = recipe(
    "sharingan",
    "Chatterjee et al.",
    "SharinGAN: Image DeBlurring with Conditional GANs",
    "DeblurGAN",
    data="1000 GoPro images",
    generator=(
        paper("resnet", "section 3.1, figure 4"),
        {
            **_DEBLURGAN_GENERATOR,
            "filters": chosen(64, _AS_DEBLURGAN),
            "blocks": paper(9, "figure 4"),
            "norm": paper("instance", "figure 4"),
            "dropout": paper(0.5, "section 3.1"),
            "upsampling": paper("transpose", "figure 4"),
            "skip": paper("clip", "section 3.1: ResOut; clipping as in DeblurGAN's code"),
        },
    ),
    critic=(
        paper("patch", "section 3.1: 'identical to PatchGAN'"),
        {
            "filters": chosen(64, _AS_DEBLURGAN),
            "layers": chosen(3, _AS_DEBLURGAN),
            "norm": paper(
                "instance", "section 3.1; on the first convolution too, which is not done"
            ),
        },
    ),
    generator_parameters=chosen(11_378_179, "counted; not stated"),
    critic_parameters=chosen(2_764_737, "counted; not stated"),
    adversarial=(
        paper("wgan-gp", "section 3.2"),
        {
            "weight": paper(100.0, "section 2.5.2: 'a lambda value of 100 to penalize'"),
            "mode": paper(
                "per_sample", "section 2.5.3: 'with respect to each input independently'"
            ),
        },
    ),
    adversarial_weight=_ADVERSARIAL_WEIGHT,
    content=(
        paper("perceptual", "section 3.2"),
        {
            "network": paper("vgg19", "section 3.2"),
            "layer": paper("block3_conv3", "figure 5: 'conv3.3'; section 3.2 says layer 14"),
            "activation": chosen("pre", "layer 14 of PyTorch's list is conv3_3 before its ReLU"),
            "feature_scale": _UNIT,
        },
    ),
    content_weight=chosen(100.0, "lambda in equation 6 has no value; DeblurGAN's"),
    total_variation=_NO_VARIATION,
    critic_steps=paper(5, "section 3.3"),
    init=chosen(0.02, _AS_DEBLURGAN),
    learning_rate=chosen(1e-4, _AS_DEBLURGAN),
    **_ADAM,
    epochs=paper(300, "section 3.3"),
    constant_share=chosen(0.5, _AS_DEBLURGAN),
    batch=chosen(1, _AS_DEBLURGAN),
    crop=paper(256, "section 3.3: '256x256 RGB images'"),
    scale=paper(
        0.5, "section 3.3: 'downsampled by a factor of 2'; before the crop, as in DeblurGAN"
    ),
    crops_per_image=_ONE_CROP,
    synthetic_to_real=_MIX,
    **_CAMERA,
    **_TRAINING,
    reported=(
        Reported(
            "300 images of its own",
            psnr=38.91,
            ssim=0.857,
            note="Section 4: mostly aerial images of fields; how they were blurred is not stated",
        ),
    ),
    notes=(
        "The penalty's factor is 100 here and 10 in DeblurGAN's code; DeblurGAN's paper gives 100 "
        "to the content loss, by the same letter lambda.",
        "Layer 14 is conv3_3 only when counted from 0 in PyTorch's list; the 14th convolution is "
        "conv5_2.",
        "Figure 4 has one convolution a block and no dropout, section 3.1 dropout 'after the "
        "first'.",
        "Whether images are 256x256 before or after halving is left open.",
    ),
)

DEBLURGAN_LIGHT = recipe(
    "deblurgan-light",
    "Wang and Qiang",
    "Blind Motion Deblurring with Unpaired Dataset using Cycle-Consistent Adversarial Networks: "
    "its DeblurGAN",
    "DeblurGAN",
    data="GoPro, 'light version (9GB)'",
    generator=(
        paper("resnet", "section II.B.1"),
        {
            "filters": paper(64, "section II.B.1: ngf = 64"),
            "blocks": paper(9, "section II.B.1: n_blocks_gen = 9"),
            "norm": chosen("instance", _AS_DEBLURGAN),
            "dropout": chosen(0.5, _AS_DEBLURGAN),
            "upsampling": chosen("transpose", _AS_DEBLURGAN),
            "skip": chosen("clip", _AS_DEBLURGAN),
        },
    ),
    critic=(
        chosen(
            "dense-head",
            "section II.B.2: 'convolutional and outputs a single value'; the layers of the first "
            "Keras port of DeblurGAN",
        ),
        {
            "filters": paper(64, "section II.B.2: ndf = 64"),
            "units": chosen(1024, "the first Keras port's"),
            "norm": chosen("none", "the gradient penalty asks for a critic that sees one image"),
            "head": chosen("linear", "a Wasserstein critic gives a score, not a probability"),
        },
    ),
    generator_parameters=chosen(11_378_179, "counted; not stated"),
    critic_parameters=chosen(3_094_530, "counted at 256x256; not stated"),
    adversarial=(
        paper("wgan-gp", "section I.B, of DeblurGAN; section II.B names none"),
        {"weight": chosen(10.0, "not stated; DeblurGAN's code"), "mode": _TEXTBOOK},
    ),
    adversarial_weight=_ADVERSARIAL_WEIGHT,
    content=(
        paper("perceptual", "section I.B, of DeblurGAN; section II.B names none"),
        {
            "network": chosen("vgg19", _AS_DEBLURGAN),
            "layer": chosen("block3_conv3", _AS_DEBLURGAN),
            "activation": chosen("pre", _AS_DEBLURGAN),
            "feature_scale": _UNIT,
        },
    ),
    content_weight=chosen(100.0, _AS_DEBLURGAN),
    total_variation=_NO_VARIATION,
    critic_steps=paper(5, "section II.B: num_discri_training = 5"),
    init=chosen("own", "not stated; N(0, 0.02) in convolutions, Keras's default in the dense head"),
    learning_rate=chosen(1e-4, _AS_DEBLURGAN),
    **_ADAM,
    epochs=paper(50, "section II.B: epoch_num = 50"),
    constant_share=chosen(0.5, _AS_DEBLURGAN),
    batch=paper(16, "section II.B: batch_size = 16"),
    crop=paper(256, "section III: 'random crops of size 256x256'"),
    scale=chosen(1.0, "no reduction is mentioned"),
    crops_per_image=_ONE_CROP,
    synthetic_to_real=_MIX,
    **_CAMERA,
    **_TRAINING,
    reported=(
        Reported(
            "216 images",
            ssim=0.737,
            mse=667.3,
            note="Table I; which images, and which SSIM, is open",
        ),
    ),
    notes=(
        "Section II.B.1 has the blocks 'applied to an unsampling of the original image', where "
        "DeblurGAN reduces it first.",
        "Section II.B gives the networks and six numbers; all else is section I.B's account of "
        "DeblurGAN.",
        "A block is 'basically a convolutional layer' and, a line later, 'two convolution layers'.",
        "The light GoPro has 9 GB here, 2 GB in the paper of deblurgan-bce.",
        "One score an image, where DeblurGAN has a map of 35x35.",
    ),
)

CYCLEGAN = recipe(
    "cyclegan",
    "Wang and Qiang",
    "Blind Motion Deblurring with Unpaired Dataset using Cycle-Consistent Adversarial Networks: "
    "its CycleGAN",
    "CycleGAN",
    data="561 sharp and 560 blurred photographs of 256x256 without partners; GoPro too",
    generator=(
        paper("resnet", "section II.A.1"),
        {
            "filters": paper(64, "section II.A.1: 7x7, stride 1, 64"),
            "blocks": paper(6, "section II.A.1: '6 layers of resnet blocks'"),
            "norm": chosen("instance", "not stated; CycleGAN's"),
            "dropout": chosen(0.0, "not stated; CycleGAN's"),
            "upsampling": paper("transpose", "section II.A.1: deconvolution layers; see the notes"),
            "skip": chosen("none", "not stated; CycleGAN's generators have none"),
        },
    ),
    critic=(
        paper("cyclegan", "section II.A.2"),
        {
            "filters": paper(64, "section II.A.2: 64, 128, 256, 512"),
            "layers": paper(4, "section II.A.2: four of stride 2, then the decision"),
            "norm": chosen("instance", "not stated; CycleGAN's"),
        },
    ),
    generator_parameters=chosen(7_837_699, "counted, each; not stated"),
    critic_parameters=chosen(2_764_737, "counted, each; not stated"),
    adversarial=(paper("least-squares", "section II.A.3, labels 1 and 0"), {}),
    adversarial_weight=paper(
        1.0, "section II.A.3: the cycle losses weigh 10 'compared with other losses'"
    ),
    cycle_weight=paper(10.0, "section II.A.3, both directions"),
    identity_weight=chosen(
        0.0,
        "the paper has no such loss. 5, as in the CycleGAN authors' code, keeps the colours and "
        "takes half as long again",
    ),
    pool_size=paper(50, "section II.A.1: pool_size = 50"),
    init=paper(0.02, "section II.A.2: N(0, 0.02)"),
    learning_rate=chosen(2e-4, "not stated; the CycleGAN authors' code"),
    beta_1=chosen(0.5, "not stated; the CycleGAN authors' code"),
    beta_2=chosen(0.999, "not stated; the CycleGAN authors' code"),
    epsilon=chosen(1e-8, "not stated; the CycleGAN authors' code"),
    epochs=chosen(200, "not stated; the CycleGAN authors' code"),
    constant_share=chosen(0.5, "not stated; the CycleGAN authors' code: 100, then 100 to zero"),
    batch=paper(1, "section II.A.1: batch_size = 1"),
    crop=paper(256, "section II.A.1"),
    scale=chosen(1.0, "the paper's photographs have 256x256 pixels; for GoPro 0.5 suits"),
    crops_per_image=_ONE_CROP,
    **_SHARED,
    reported=(
        Reported(
            "216 images",
            ssim=0.784,
            mse=565.7,
            note="Table I; a better SSIM than deblurgan-light on 69 % of the images",
        ),
    ),
    notes=(
        "Of the 'three deconvolution layers' the last has stride 1 and 7x7: a plain convolution "
        "here, as in CycleGAN's code, with the same kernel.",
        "Equation of the cycle loss: a difference without a norm; here its mean absolute value, as "
        "in CycleGAN.",
        "Section V: 'The output image changes the color of original image, from red to yellow' "
        "(figure 15). identity_weight = 5 is the usual cure.",
        "The discriminator's fourth convolution has stride 2, in CycleGAN's own code 1; 'a "
        "1-dimensional output' is a map of 16x16.",
        "Section IV.B says that there are no sharp partners, section IV.D scores against 216 of "
        "them.",
        "The abstract has CycleGAN outperform DeblurGAN, sections I and V have them alike.",
    ),
)

DENSE_DEBLURGAN = recipe(
    "dense-deblurgan",
    "Zhang and Wang",
    "Motion deblurring method based on Improved DeblurGAN",
    "DeblurGAN",
    data="GoPro, 2103 pairs; 1111 to test",
    generator=(
        paper("dense", "section 3.1"),
        {
            "filters": chosen(32, "not stated; light, which is the network's point"),
            "growth": chosen(32, "not stated; as the filters"),
            "depth": paper(9, "section 3.1: '9 dense connection layers'"),
            "norm": chosen("instance", _AS_DEBLURGAN),
            "skip": chosen("clip", _AS_DEBLURGAN),
        },
    ),
    critic=(
        paper("patch", "section 3.2; the mean of the map is the score"),
        {
            "filters": chosen(64, _AS_DEBLURGAN),
            "layers": chosen(3, _AS_DEBLURGAN),
            "norm": chosen("instance", _AS_DEBLURGAN),
        },
    ),
    generator_parameters=chosen(214_307, "counted; not stated"),
    critic_parameters=chosen(2_764_737, "counted; not stated"),
    adversarial=(
        paper("wgan-gp", "section 3.3.1"),
        {
            "weight": chosen(10.0, "lambda in equation 3 has no value; DeblurGAN's"),
            "mode": _TEXTBOOK,
        },
    ),
    adversarial_weight=_ADVERSARIAL_WEIGHT,
    content=(
        paper("perceptual", "section 3.3.2"),
        {
            "network": paper("vgg19", "section 3.3.2"),
            "layer": chosen("block3_conv3", _AS_DEBLURGAN),
            "activation": chosen("pre", _AS_DEBLURGAN),
            "feature_scale": _UNIT,
        },
    ),
    content_weight=paper(100.0, "section 3.3: best 'when' lambda is 100"),
    total_variation=_NO_VARIATION,
    critic_steps=paper(5, "section 4"),
    init=chosen("own", "not stated; keeps the variance from layer to layer, also without norms"),
    learning_rate=paper(1e-3, "section 4: 'the initial vector is set to 0.001', read as the rate"),
    **_ADAM,
    epochs=paper(400, "section 4: 'iterations', read as epochs"),
    constant_share=chosen(0.5, _AS_DEBLURGAN),
    batch=paper(4, "section 4: 'each round of iteration 4 for the number of images'"),
    crop=paper(256, "section 4"),
    scale=chosen(1.0, "section 4 crops images of 1280 pixels; no reduction is mentioned"),
    crops_per_image=_ONE_CROP,
    synthetic_to_real=_MIX,
    **_CAMERA,
    **_TRAINING,
    reported=(
        Reported("GoPro", psnr=27.19, ssim=0.82, note="Table 1; which SSIM and size is not stated"),
        Reported("GoPro, DeblurGAN", psnr=26.38, ssim=0.73, note="Table 1, for comparison"),
    ),
    notes=(
        "Section 3.1 has kernels of 3x3, 1x1, 3x1 and 1x3; section 4 says 'the convolution kernel "
        "size is 4*4', presumably the critic's.",
        "Neither widths nor a parameter count are given, although being light is the aim.",
        "The critic's output is called a probability (sections 2.2, 3.2), under a Wasserstein "
        "objective, which wants a score.",
        "Adam at 1e-3 is ten times DeblurGAN's rate.",
        "Table 1 is 'on our dataset' by its caption, GoPro by section 4.",
    ),
)

DEBLURGAN_BCE = recipe(
    "deblurgan-bce",
    "Li",
    "Generative Adversarial Network on Motion-Blur Image Restoration",
    "DeblurGAN",
    data="GoPro, 'light', about 500 images",
    generator=(
        paper("resnet", "section 4.2"),
        {
            "filters": chosen(64, "the count of parameters agrees"),
            "blocks": paper(9, "section 4.2"),
            "norm": paper("batch", "section 4.2"),
            "dropout": paper(0.5, "section 4.2"),
            "upsampling": chosen(
                "resize", "not stated; the first Keras port's, with the same count"
            ),
            "skip": chosen("clip", "not stated; DeblurGAN's, clipped as in its authors' code"),
        },
    ),
    critic=(
        paper("dense-head", "section 4.2, table 2: 6 convolutions of 4x4, one value"),
        {
            "filters": chosen(64, "the count of parameters agrees"),
            "units": chosen(1024, "the first Keras port's; the count of parameters agrees"),
            "norm": chosen("batch", "the first Keras port's; the count of parameters agrees"),
            "head": paper("sigmoid", "section 4.2: sigmoid, LeakyReLU and tanh"),
        },
    ),
    generator_parameters=paper(11_399_171, "table 2: 11.40 M in 24 convolutions"),
    critic_parameters=paper(3_098_370, "table 2: 3.10 M in 6 convolutions"),
    adversarial=(paper("minimax", "equation 1, labels 1 and 0"), {}),
    adversarial_weight=chosen(1.0, "not stated"),
    content=(
        paper("perceptual", "equation 2"),
        {
            "network": paper("vgg16", "section 3: 'e.g., VGG16'"),
            "layer": paper("block3_conv3", "section 3"),
            "activation": chosen("post", "the output of Keras's layer of that name"),
            "feature_scale": _UNIT,
        },
    ),
    content_weight=chosen(100.0, "not stated; DeblurGAN's"),
    total_variation=_NO_VARIATION,
    critic_steps=chosen(1, "not stated; 5 belong to the Wasserstein objective"),
    init=chosen("own", "not stated; N(0, 0.02) in convolutions, Keras's default in the dense head"),
    learning_rate=paper(5e-3, "section 4.1: 'a constant learning rate of 0.005'"),
    beta_1=chosen(0.5, "no optimizer is named; DeblurGAN's Adam"),
    beta_2=chosen(0.999, "no optimizer is named; DeblurGAN's Adam"),
    epsilon=chosen(1e-8, "no optimizer is named; DeblurGAN's Adam"),
    epochs=paper(40, "section 4.1"),
    constant_share=paper(1.0, "section 4.1: constant"),
    batch=paper(16, "section 4.1"),
    crop=paper(256, "section 4.1: 256x256; whether cropped or resized is not stated"),
    scale=chosen(1.0, "no reduction is mentioned"),
    crops_per_image=_ONE_CROP,
    synthetic_to_real=_MIX,
    **_CAMERA,
    **_TRAINING,
    reported=(
        Reported(
            "GoPro",
            psnr=29.16,
            ssim=0.746,
            note="Table 3: means; PSNR 26.44 to 30.76, SSIM 0.650 to 0.800, 4.69 s an image. How "
            "many images, and whether training ones, is not stated",
        ),
    ),
    notes=(
        "0.005 is fifty times DeblurGAN's rate for Adam, and the paper names no optimizer.",
        "One Conv2d a block by section 4.2, 24 convolutions by table 2: that takes two.",
        "PSNR is '0.46 lower' than DeblurGAN's by section 4.3, 0.46 higher by table 4.",
        "Section 4.3: 'The training process also use related images', figure 4: validation part.",
        "A sigmoid has no gradient left beyond logits of 17; critic.head = 'linear' is the same "
        "mathematics without that.",
    ),
)

RECIPES = {
    entry.name: entry
    for entry in (
        DEBLURGAN,
        SHARINGAN,
        DEBLURGAN_LIGHT,
        CYCLEGAN,
        DENSE_DEBLURGAN,
        DEBLURGAN_BCE,
    )
}
