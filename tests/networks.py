"""The registry of networks that the save, precision and gradient tests run through.

A new network is one line here: name -> (builder of a small one, its input shape).
"""

from deblur_keras import critics, generators

GENERATORS = {
    "resnet": lambda: generators.resnet_generator(filters=4, blocks=2),
    "resnet-resize": lambda: generators.resnet_generator(4, 1, upsampling="resize"),
    "resnet-batch": lambda: generators.resnet_generator(4, 1, norm="batch", dropout=0.0),
    "resnet-plain": lambda: generators.resnet_generator(4, 1, norm="none", skip="none"),
    "compact": lambda: generators.compact_generator(widths=(4, 8), blocks=(1, 2), kernel=3),
}
CRITICS = {
    "patch": lambda: critics.patch_critic(filters=4),
    "patch-plain": lambda: critics.patch_critic(filters=4, layers=2, norm="none"),
}
NETWORKS = {**GENERATORS, **CRITICS}
