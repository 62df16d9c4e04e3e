"""Tells at the very step that a training goes wrong, why that may be, and when it is enough."""

import logging
import math

import keras

_logger = logging.getLogger(__name__)


class StopOnDivergence(keras.callbacks.Callback):
    """Ends a training that diverges, before anything is saved of it.

    After each step it looks at the losses of that very step, not at the logged averages. A step is
    bad if the trainer has left an update out, because its loss or gradient was not finite, or if
    the critic's loss is beyond a limit. Updates that are finite are made all the same: a critic
    that has exploded may be brought back by its penalty. Each bad step is logged; in the meantime
    nothing is saved; so many in a row end the training. For a model that is no trainer of this
    library, what counts is that the logged values are finite, at once.

    Pass it before callbacks that save.

    Args:
        limit: Bad steps in a row that end the training.
        critic_limit: The largest size of the critic's loss that is still good, in the objective's
            own units. A Wasserstein critic that keeps the slope of 1 cannot get beyond the largest
            distance of two images, 887 at 256x256 pixels.

    Raises:
        ValueError: If a limit is out of range.
        FloatingPointError: In ``fit``, saying what is wrong, since when, and what to suspect.

    Attributes:
        total: Bad steps of this ``fit``.

    Example:
        >>> StopOnDivergence(limit=3).limit
        3
    """

    def __init__(self, limit=10, critic_limit=1e4):
        super().__init__()
        if limit < 1 or not critic_limit > 0:
            raise ValueError(
                "limit must be at least 1 and critic_limit above 0; received "
                f"{limit!r} and {critic_limit!r}."
            )
        self.limit = limit
        self.critic_limit = critic_limit
        self.total = 0
        self._left_out = {}
        self._since = None
        self._told = ""
        self._epoch = 0

    def on_train_begin(self, logs=None):
        """Begins to count."""
        self.total = 0
        self._vigil = getattr(self.model, "vigil", None)
        if self._vigil is not None:
            self._vigil.bad_steps = 0
            self._left_out = {role: count for role, (count, _) in self._vigil.read().items()}

    def on_epoch_begin(self, epoch, logs=None):
        """Notes the epoch, for messages."""
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        """Judges the step."""
        place = f"epoch {self._epoch + 1}, update {batch + 1}"
        broken = [name for name, value in (logs or {}).items() if not math.isfinite(value)]
        if broken:
            self._since = place
            raise FloatingPointError(self._explanation(f"{', '.join(broken)} no longer finite"))
        if self._vigil is None:
            return
        faults = self._faults()
        if not faults:
            if self._vigil.bad_steps:
                _logger.warning("%s: sound again, after %s.", place, _bad(self._vigil.bad_steps))
            self._vigil.bad_steps = 0
            return
        self._since = self._since if self._vigil.bad_steps else place
        self._vigil.bad_steps += 1
        self.total += 1
        if self._vigil.bad_steps >= self.limit:
            raise FloatingPointError(self._explanation("; ".join(faults)))
        fault = "; ".join(faults)
        kind = fault.partition("(")[0]  # without its numbers
        if kind == self._told and self._vigil.bad_steps > 1:
            _logger.warning("%s: the same; %s in a row.", place, _bad(self._vigil.bad_steps))
        else:
            _logger.warning(
                "%s: %s. Bad step %s of at most %s in a row; nothing is saved meanwhile.",
                *(place, fault, self._vigil.bad_steps, self.limit),
            )
        self._told = kind

    def _faults(self):
        """Says what is wrong with the latest step; nothing if it is sound."""
        faults = []
        for role, (left_out, loss) in self._vigil.read().items():
            newly = left_out - self._left_out.get(role, 0)
            self._left_out[role] = left_out
            if newly:
                what = f"{newly} updates" if newly > 1 else "an update"
                what += f" of the {role} left out, since its "
                sound = f"gradient is not finite (its loss is {loss:.6g})"
                faults.append(what + (sound if math.isfinite(loss) else "loss is not finite"))
            elif role == "critic" and abs(loss) > self.critic_limit:
                faults.append(f"the critic's loss is {loss:.6g}, beyond {self.critic_limit:g}")
        return faults

    def _explanation(self, fault):
        row = self._vigil.bad_steps if self._vigil is not None else 0
        streak = f" {row} steps in a row were bad, since {self._since}." if row > 1 else ""
        where = "" if row > 1 else f" at {self._since}"
        return (
            f"The training diverged{where}: {fault}.{streak} Whatever was saved before is kept. "
            f"Suspects: {'; '.join(self._suspects())}."
        )

    def _suspects(self):
        """Lists what usually is the reason, the likeliest first, with the values of this run."""
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        yield f"the learning rate, {rate:.3g} (a half or a tenth of it usually helps)"
        objectives = (getattr(self.model, n, None) for n in ("adversarial", "sharp_objective"))
        weights = [o.weight for o in objectives if hasattr(o, "weight")]
        if weights:
            yield f"the weight of the gradient penalty, {weights[0]:g} (raise it)"
        network = getattr(self.model, "generator", self.model)
        precision = keras.dtype_policies.get(network.dtype_policy).name
        if precision != "float32":
            yield f"the precision, {precision} (float32 has more digits, bfloat16 more range)"
        yield f"the data, if it is always the same update ({self._since}; check the images)"


def _bad(count):
    return "1 bad step" if count == 1 else f"{count} bad steps"
