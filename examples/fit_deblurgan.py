"""Trains a small DeblurGAN on a folder of pairs with ``model.fit``, in ten lines.

    python examples/fit_deblurgan.py PAIRS [EPOCHS]

PAIRS holds blurred/sharp photographs as `deblur_keras.datasets.pairs` understands them: GoPro's
tree, blur/ and sharp/, input/ and target/, A/ and B/, or side-by-side files. For the paper's own
setting use ``resnet_generator()``, ``patch_critic()``, ``content=PerceptualLoss()``, batch 1, crop
256, scale 0.5 and 300 epochs with the `LinearDecay` callback, on a GPU.
"""

import sys

from deblur_keras import DeblurGAN, critics, datasets, generators
from deblur_keras.trainers import paper_adam


def main(pairs, epochs=20, output="generator.keras"):
    training = datasets.paired(pairs, crop=64, batch=4, scale=1.0, flip=False)
    generator = generators.resnet_generator(filters=16, blocks=3, dropout=0.0, upsampling="resize")
    trainer = DeblurGAN(generator, critics.patch_critic(filters=16))
    trainer.compile(paper_adam(1e-3), paper_adam(1e-4), content="mae", content_weight=100.0)
    before = trainer.evaluate(training, verbose=0, return_dict=True)
    trainer.fit(training, epochs=epochs, verbose=2)
    after = trainer.evaluate(training, verbose=0, return_dict=True)
    trainer.generator.save(output)
    print(f"PSNR of the training pairs: {before['psnr']:.2f} -> {after['psnr']:.2f} dB")
    print(f"Their blurred images have {after['blurred_psnr']:.2f} dB.")
    return before, after


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:3]))
