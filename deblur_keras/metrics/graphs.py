"""Runs a pure function as one graph that serves images of every size."""

import functools

import keras


def compiled(function):
    """Makes a function of two batches fast to call, for one size as for a thousand.

    Called operation by operation, a score spends most of its time on intermediate images that are
    allocated, written and read back. On TensorFlow, eager calls run a graph instead. It is traced
    once for each pair of data types and number of channels, with height and width open, so that
    images of other sizes need no other graph. Inside a caller's graph, and on other backends, the
    function is called as it is.

    Args:
        function: Pure function ``(sharp, restored, *numbers) -> (B,)`` in ``keras.ops``, of two
            tensors of one shape whose last size is known, and of numbers.

    Returns:
        A function of the same arguments and result.
    """

    @functools.wraps(function)
    def run(sharp, restored, *numbers):
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            if tf.executing_eagerly():
                kinds = sharp.dtype, restored.dtype, len(sharp.shape), sharp.shape[-1]
                graph = _graph(function, *kinds, len(numbers))
                return graph(sharp, restored, *(tf.constant(x, tf.float32) for x in numbers))
        return function(sharp, restored, *numbers)

    return run


@functools.cache
def _graph(function, sharp_type, restored_type, rank, channels, numbers):
    """Builds the graph for one kind of input, and keeps it."""
    import tensorflow as tf

    shape = (*[None] * (rank - 1), channels)
    batches = [tf.TensorSpec(shape, dtype) for dtype in (sharp_type, restored_type)]
    signature = [*batches, *[tf.TensorSpec((), tf.float32)] * numbers]
    return tf.function(function, input_signature=signature, autograph=False)
