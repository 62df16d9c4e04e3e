"""What fits into memory: an estimate from the networks, for a training that ran out of it."""

import dataclasses

import tensorflow as tf

from deblur_keras import memory

_MARGIN = 0.9  # of the memory there is, since what is estimated is not all
_WEIGHTS = 4  # copies of a weight: itself, Adam's two moments, its gradient
_CRITIC_PASSES = 5  # three forward, and the gradient of the penalty's gradient
_CONTENT_PASSES = 2
_SMALLEST = 32  # px
_PAIR = 2 * 3 * 4  # bytes a pixel of the images themselves, which are there in whole


@dataclasses.dataclass(frozen=True)
class Need:
    """Holds an estimate of the memory that a training needs.

    Attributes:
        fixed: Bytes of weights, moments and gradients.
        pixel: Bytes a pixel of the crops of an update.
    """

    fixed: int
    pixel: float

    def bytes(self, batch, crop):
        """Estimates the bytes for crops of this side, so many an update."""
        return self.fixed + self.pixel * batch * crop**2


def estimate(trainer, crop):
    """Estimates what a trainer needs, from the sizes of all that its networks compute.

    Kept at the same time are about: what the generator computes, until its gradient; and what the
    critic does in an update, or the content loss in the generator's. It is an estimate: what
    TensorFlow frees earlier, or needs besides to compute convolutions, is not known.

    Args:
        trainer: A compiled `DeblurGAN` or `CycleGAN`.
        crop: Side of a crop that its networks take.

    Returns:
        A `Need`.
    """
    if hasattr(trainer, "deblur_generator"):  # each generator sees three images, each critic three
        generators = [trainer.deblur_generator, trainer.blur_generator] * 3
        critics = [trainer.sharp_critic, trainer.blurred_critic]
        content = 0
    else:
        generators, critics = [trainer.generator], [trainer.critic]
        content = _CONTENT_PASSES * _computed(lambda x: trainer.content(x, x), crop) / 2
    made = sum(_computed(network, crop) for network in generators)
    judged = sum(_computed(network, crop) for network in critics)
    networks = {id(network): network for network in (*generators, *critics)}
    weights = sum(network.count_params() for network in networks.values())
    return Need(4 * _WEIGHTS * weights, (made + max(_CRITIC_PASSES * judged, content)) / crop**2)


def advice(trainer, batch, crop, multiple=1, replicas=1, accumulate=1, budget=None):
    """Says what would fit, after a training ran out of memory.

    First what leaves the training as it is, a batch worked on in parts; then smaller batches and
    crops.

    Args:
        trainer: As in `estimate`.
        batch: Crops an update, which did not fit.
        crop: Their side.
        multiple: What sides must be multiples of.
        replicas: Devices that share the batch.
        accumulate: Parts that each has worked on one after the other.
        budget: Bytes there are; found out if not given: what the GPU held at most, or what this
            process holds and could still take.

    Returns:
        Text, in sentences.
    """
    said = f"Out of memory with crops of {crop}x{crop} px, {batch} an update."
    need = estimate(trainer, crop)

    def least(batch, crop, parts):
        share = -(-batch // replicas)
        return need.bytes(-(-share // parts), crop) + _PAIR * share * crop**2

    # Where nobody knows what there is, half of what was tried.
    budget = budget or _budget() or 1.01 * least(batch, crop / 2**0.5, accumulate) / _MARGIN
    # It did not fit, whatever the estimate says.
    tried = least(batch, crop, accumulate)
    factor = max(1.0, 1.1 * budget / tried)
    each = " each" if replicas > 1 else ""
    known = f"need about {_gigabytes(factor * tried)}{each} and have about {_gigabytes(budget)}"

    def fits(batch, crop, parts=accumulate):
        return factor * least(batch, crop, parts) <= _MARGIN * budget

    def divided(parts):
        return 2 * parts * replicas <= batch and not fits(batch, crop, parts)

    fewer, smaller, parts = batch, crop, accumulate
    while hasattr(trainer, "accumulate") and divided(parts):
        parts *= 2
    options = []
    if parts > accumulate and fits(batch, crop, parts):
        options.append(f"--set accumulate={parts}")
    while fewer > 1 and not fits(fewer, crop):
        fewer //= 2
    options += [f"--batch {fewer}"] if fewer < batch and fits(fewer, crop) else []
    step = max(multiple, _SMALLEST) if multiple <= _SMALLEST else multiple
    step -= step % multiple
    smaller -= smaller % step or step
    while smaller > step and not fits(fewer if not options else batch, smaller):
        smaller -= step
    if 0 < smaller < crop and fits(fewer if not options else batch, smaller):
        less = f" with --batch {fewer}" if not options and fewer < batch else ""
        options.append(f"--crop {smaller}{less}")
    what = " or ".join(options) or "a smaller generator"
    return f"{said} They {known}; {what} should fit. These are estimates."


def _computed(network, crop):
    """Bytes of all that a network computes from one crop, without its weights."""
    spec = tf.TensorSpec((1, crop, crop, 3), tf.float32)

    def run(image):
        return network(image, training=True) if hasattr(network, "layers") else network(image)

    graph = tf.function(run).get_concrete_function(spec).graph
    ignored = {"Identity", "ReadVariableOp", "Placeholder", "Const", "Reshape"}
    tensors = [out for op in graph.get_operations() if op.type not in ignored for out in op.outputs]
    # Their sizes follow from the crop's; what is as small as weights and shapes does not count.
    known = [out for out in tensors if out.shape.rank == 4 and out.shape.is_fully_defined()]
    return sum(out.shape.num_elements() * out.dtype.size for out in known)


def _budget():
    for device in tf.config.list_logical_devices("GPU"):
        try:
            return tf.config.experimental.get_memory_info(device.name)["peak"]
        except (ValueError, tf.errors.OpError):  # not known of this device
            return None
    available = memory.available_bytes()
    return available and available + memory.resident_bytes()


def _gigabytes(amount):
    return f"{amount / 1e9:.2g} GB" if amount < 1e11 else f"{amount / 1e9:.0f} GB"
