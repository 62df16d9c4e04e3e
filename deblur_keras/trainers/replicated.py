"""What Keras leaves undone of training on several devices, mended in one place for all trainers."""

import functools
import math

import keras
import numpy as np
import tensorflow as tf


class Replicated(keras.Model):
    """A trainer that also runs on several devices, under a ``tf.distribute`` strategy.

    Make it and compile it within the strategy's ``scope()``; `devices.choose` makes strategies. It
    is built when it is compiled, so that ``fit`` need not find out its shapes from a batch: Keras
    would average the replicas' parts of one for that, which fails where they differ in size.

    Note:
        The learning rate is as given, however many replicas there are. Batch normalization, dropout
        and image pools work within the part of the batch that a replica has.
    """

    def compile(self, *arguments, jit_compile=False, steps_per_execution=1, **options):
        """Compiles the trainer, as in ``keras.Model.compile``.

        Raises:
            ValueError: If XLA or several steps an execution are asked for on several devices.
        """
        replicas = self.distribute_strategy.num_replicas_in_sync
        if replicas > 1 and jit_compile:
            raise ValueError(
                f"XLA cannot compile a step whose variables lie on {replicas} devices; "
                f"expected jit_compile=False under a strategy, received {jit_compile!r}."
            )
        if replicas > 1 and steps_per_execution != 1:
            raise ValueError(
                f"Keras cannot run several steps at once on {replicas} devices; expected "
                f"steps_per_execution=1 under a strategy, received {steps_per_execution!r}."
            )
        super().compile(
            *arguments,
            jit_compile=jit_compile,
            steps_per_execution=steps_per_execution,
            **options,
        )

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Replaces Keras's building from a batch; there is nothing left to build."""

    def _make_function(self, step_function):
        """Gives what a step logs a dimension, where Keras averages along it: on several machines.

        It does so for numbers too, which have none (keras-team/keras#20585).
        """
        if not self.distribute_strategy.extended._in_multi_worker_mode():
            return super()._make_function(step_function)

        @functools.wraps(step_function)
        def step(data):
            return {name: tf.reshape(value, (1,)) for name, value in step_function(data).items()}

        return super()._make_function(step)

    def _get_metrics_result_or_logs(self, logs):
        """Reads the averages that were logged over all replicas, each by the images that it had.

        Keras does so where a step logs all of the metrics, but else takes the last step's logs,
        which are the plain mean of what the replicas have. An average of nothing, as where all
        steps of an epoch were left out, is NaN, where Keras has 0.
        """
        results = self.get_metrics_result()
        for metric in self.metrics:
            if not np.any(getattr(metric, "count", 1)):
                results[metric.name] = math.nan
        return {name: results.get(name, value) for name, value in (logs or {}).items()}
