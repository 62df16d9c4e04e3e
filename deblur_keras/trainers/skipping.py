"""An epoch that goes on in its middle: batches that are done already, and averages of before.

``fit`` knows no place within an epoch, so that it is led through the beginning once more.
"""

import logging

import numpy as np

_logger = logging.getLogger(__name__)


def skipping(model, train, steps, logged):
    """Makes a train function that does nothing for the batches that are done already.

    Args:
        model: A compiled ``keras.Model``; it gets its own train function back afterwards.
        train: Its train function.
        steps: Batches that are done.
        logged: Names of the metrics that are logged for them, as they stand.

    Returns:
        A function of an iterator. Its ``skips_for`` is the model's own.
    """
    left, logs = steps, None

    def train_function(iterator):
        nonlocal left, logs
        if left <= 0:
            model.train_function = train
            return train(iterator)
        left -= model.steps_per_execution
        if logs is None:
            trackers = {tracker.name: tracker for tracker in model.metrics}
            known = [name for name in logged if name in trackers]
            logs = {name: float(trackers[name].result()) for name in known}
        return logs

    train_function.skips_for = train  # for the next ``fit``, should this one end before
    return train_function


def read_averages(model):
    """Reads the running averages of a model's metrics, as lists of plain values."""
    return [np.asarray(variable).tolist() for variable in _variables(model)]


def put_averages(model, averages):
    """Puts running averages back into a model's metrics.

    Args:
        model: A ``keras.Model``.
        averages: As from `read_averages`; if they are None, or of other metrics, which is logged,
            nothing is changed.
    """
    variables = _variables(model)
    if averages is None or len(averages) != len(variables):
        _logger.warning("The averages that are logged begin anew in this epoch.")
        return
    for variable, value in zip(variables, averages, strict=True):
        variable.assign(value)


def _variables(model):
    return [variable for metric in model.metrics for variable in metric.variables]
