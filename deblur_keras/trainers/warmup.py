"""Epochs in which the generator learns by the content loss alone, before the critic starts."""

import keras


class WarmsUp:
    """Gives a trainer a second kind of step, ``warm_up_step``, and the choice between the two.

    Mixed into a ``keras.Model`` before it. Each kind of step is a graph of its own, made when it is
    first needed.

    Attributes:
        warming_up: Whether the next steps are of the second kind; `WarmUp` sets it.
    """

    warming_up = False

    def make_train_function(self, force=False):
        """Makes the function that runs a step, as in ``keras.Model``."""
        if self.train_function is not None and not force:
            return
        steps = {True: self._make_function(self.warm_up_step)}
        super().make_train_function(force=True)
        steps[False] = self.train_function
        self.train_function = lambda iterator: steps[self.warming_up](iterator)


class WarmUp(keras.callbacks.Callback):
    """Trains the generator alone, by the content loss, in the first epochs of a run.

    The critic, its optimizer and the random numbers of its penalty stay as they are meanwhile. The
    epochs count as any others, for the learning rate and all.

    Args:
        epochs: How many; 0 for none.

    Raises:
        ValueError: If there are less than none; in ``fit``, if the trainer has no content loss.

    Example:
        >>> trainer.fit(pairs, epochs=10, callbacks=[WarmUp(2)])  # doctest: +SKIP
    """

    def __init__(self, epochs):
        super().__init__()
        if epochs < 0:
            raise ValueError(f"epochs must be at least 0; received {epochs!r}.")
        self.epochs = epochs

    def on_train_begin(self, logs=None):
        """Checks that the trainer can."""
        if self.epochs and not hasattr(self.model, "warm_up_step"):
            raise ValueError(
                f"Only a trainer with a content loss can warm up by it, such as DeblurGAN; "
                f"received {type(self.model).__name__}."
            )

    def on_epoch_begin(self, epoch, logs=None):
        """Chooses what the steps of this epoch do."""
        self.model.warming_up = epoch < self.epochs

    def on_train_end(self, logs=None):
        """Leaves the trainer as it was."""
        self.model.warming_up = False
