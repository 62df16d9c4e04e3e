"""Ends a training that diverges."""

import math

import keras

from deblur_keras.trainers import updates


class StopOnDivergence(keras.callbacks.Callback):
    """Ends the training when a loss is no longer a finite number, before anything is saved of it.

    Raises:
        FloatingPointError: In ``fit``, naming the losses and what usually helps.
    """

    def on_train_batch_end(self, batch, logs=None):
        """Looks at the logged losses."""
        broken = [name for name, value in (logs or {}).items() if not math.isfinite(value)]
        if broken:
            raise FloatingPointError(
                f"The training diverged: {', '.join(broken)} no longer finite after "
                f"{updates.count(self.model.optimizer)} updates. What was saved before is kept. A lower "
                "learning rate, a larger gradient penalty or a larger batch usually helps."
            )
