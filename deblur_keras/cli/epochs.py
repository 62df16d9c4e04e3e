"""What a person sees while `train` trains: a bar for the whole run, and a line for each epoch."""

import math

_SHORT = {"generator_loss": "generator", "critic_loss": "critic", "loss": "loss"}
_LONG = {
    **_SHORT,
    "gradient_penalty": "penalty",
    "cycle_loss": "cycle",
    "identity_loss": "identity",
}
# Restored and blurred images' PSNR, and what they were measured on.
_SCORES = (("psnr", "blurred_psnr", ""), ("val_psnr", "val_blurred_psnr", "validation "))


def shown_on(progress):
    """Makes the callback that shows a training.

    Args:
        progress: `console.Progress` of the whole run, counted in updates.

    Returns:
        A ``keras.callbacks.Callback``.
    """
    import time

    import keras

    from deblur_keras.cli.console import duration

    class Shown(keras.callbacks.Callback):
        """Tells each update to the bar, and sums up each epoch."""

        def on_train_begin(self, logs=None):
            """Counts the epochs that were done before."""
            self._updates = _updates(self.model)
            self._begun = False

        def on_epoch_begin(self, epoch, logs=None):
            """Begins to measure."""
            steps = self.params["steps"]
            self._epoch, self._since = epoch + 1, time.monotonic()
            if progress.total is None and steps:
                progress.total = steps * self.params["epochs"]
                progress.advance(steps * epoch)

        def on_train_batch_end(self, batch, logs=None):
            """Shows where the run is, and the averages of its epoch."""
            said = self._place() + summary(logs or {}, blurred=False)
            # Updates of before an interruption come first, and in no time; and the first one of
            # this process took long, because TensorFlow prepares.
            if self._begun:
                progress.advance(also=said)
            else:
                progress.advance()
            if self._begun or _updates(self.model) != self._updates:
                self._begun = True
                progress.start(said)

        def on_test_begin(self, logs=None):
            """Says why no update is made."""
            progress.start(f"{self._place()}validating")

        def on_epoch_end(self, epoch, logs=None):
            """Prints what came of the epoch."""
            took = duration(time.monotonic() - self._since)
            progress.note(f"{self._place()}{summary(logs or {})}, {took}")

        def _place(self):
            return f"epoch {self._epoch}/{self.params['epochs']}: "

    return Shown()


def summary(logs, blurred=True):
    """Sums logged averages up in a line.

    Args:
        logs: Dictionary from names to numbers.
        blurred: Whether to tell all, for an epoch: the blurred input's own PSNR too.

    Example:
        >>> logs = {"critic_loss": -0.51234, "psnr": 24.3051, "blurred_psnr": 23.9}
        >>> summary(logs), summary(logs, blurred=False)
        ('critic -0.512, 24.31 dB (blurred 23.90)', 'critic -0.512, 24.31 dB')
    """
    names = _LONG if blurred else _SHORT
    logs = {name: value for name, value in logs.items() if not math.isnan(value)}
    parts = [f"{short} {_three(logs[name])}" for name, short in names.items() if name in logs]
    for name, reference, where in _SCORES:
        if name in logs:
            own = f" (blurred {float(logs[reference]):.2f})" if reference in logs else ""
            parts.append(f"{where}{float(logs[name]):.2f} dB{own if blurred else ''}")
    return ", ".join(parts)


def _three(value):
    """Shows three digits that matter, and never an exponent where there need be none."""
    value = float(value)
    if not math.isfinite(value) or not value or not 1e-3 <= abs(value) < 1e6:
        return f"{value:.3g}"
    decimals = max(2 - math.floor(math.log10(abs(value))), 0)
    return f"{value:.{decimals}f}"


def _updates(model):
    optimizer = getattr(model, "generator_optimizer", model.optimizer)
    return int(optimizer.iterations.numpy())
