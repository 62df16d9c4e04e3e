"""What of a trainer goes into a checkpoint, and how one of another trainer is told from it."""

import keras

from deblur_keras.trainers import checkpoints
from deblur_keras.trainers.ema import MovingAverage
from deblur_keras.trainers.image_pool import ImagePool

_SHOWN = 3  # differences in an error


def described(trainer):
    """Describes the parts of a trainer, so that others can be told from them.

    Image pools have no fixed shape; what they draw follows from their seeds.

    Args:
        trainer: A compiled `DeblurGAN` or `CycleGAN`.

    Returns:
        A dict of plain values: the names and shapes of each part's variables.
    """
    result = {}
    for name, part in trainer.checkpoint_parts().items():
        if isinstance(part, ImagePool):
            result[name] = [["size", part.size], ["seed", part.seed]]
            result[name] += [["devices", part.replicas]]
        elif isinstance(part, MovingAverage):
            result[name] = [[v.name, list(v.shape)] for v in part.averages]
        elif isinstance(part, keras.Model | keras.optimizers.Optimizer):
            result[name] = [[v.path, list(v.shape)] for v in part.variables]
    return result


def random_states(trainer):
    """Collects the states of all random generators, which Keras does not put into checkpoints.

    Args:
        trainer: A ``keras.Model``.

    Returns:
        List of variables.
    """
    states = [v for v in trainer.variables if v.name == "seed_generator_state"]
    return [state.value for state in states]


def compare(prefix, before, after):
    """Checks that a checkpoint is one of the parts of now.

    Args:
        prefix: Path of the checkpoint.
        before: What `described` returned for it.
        after: What it returns now.

    Raises:
        CheckpointError: If it is not, with the first differences.
    """
    differences = []
    if before.keys() != after.keys():
        differences.append(f"its parts were {', '.join(before)}, now {', '.join(after)}")
    for part in (name for name in before if name in after):
        old, new = before[part], after[part]
        if old and old[-1][0] == "seed":  # a pool, noted before there were several devices
            old = [*old, ["devices", 1]]
        # Names count up within a process, so that only the order tells what belongs together.
        for (name, value), (_, now) in zip(old, new, strict=False):
            if value != now:
                differences.append(f"{part}: {name} was {value}, now {now}")
        if len(old) != len(new):
            differences.append(f"{part} had {len(old)} variables, now {len(new)}")
    if differences:
        shown = "; ".join(differences[:_SHOWN])
        more = f"; and {len(differences) - _SHOWN} more" if len(differences) > _SHOWN else ""
        raise checkpoints.CheckpointError(
            f"{prefix} is not a checkpoint of these networks and optimizers: {shown}{more}. "
            "Continue with the ones that it was written with, or begin in another folder."
        )
