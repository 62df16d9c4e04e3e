"""The calls of layers that a network consists of, nested models entered."""

import dataclasses
import itertools

import keras


@dataclasses.dataclass(frozen=True)
class Call:
    """Holds one call of a layer in a network.

    Attributes:
        operation: The layer, or another Keras operation (``x + y``).
        inputs: Numbers of the tensors that it takes.
        outputs: Numbers of the tensors that it makes.
        node: Keras's own record of the call, which knows all other arguments.
    """

    operation: keras.Operation
    inputs: tuple
    outputs: tuple
    node: object

    def run(self, tensors):
        """Calls the layer.

        Args:
            tensors: The tensors to put in the place of ``inputs``, in their order.

        Returns:
            List of tensors, in the order of ``outputs``.
        """
        arguments, options = self._arguments(tensors)
        return keras.tree.flatten(self.operation(*arguments, **options))

    def infer(self, tensors):
        """Computes the shapes that `run` gives, and leaves no trace in the layer.

        Args:
            tensors: ``keras.KerasTensor`` to put in the place of ``inputs``.

        Returns:
            List of ``keras.KerasTensor``.
        """
        arguments, options = self._arguments(tensors)
        return keras.tree.flatten(self.operation.compute_output_spec(*arguments, **options))

    def _arguments(self, tensors):
        symbolic = map(id, self.node.input_tensors)
        return self.node.arguments.fill_in(dict(zip(symbolic, tensors, strict=True)))


@dataclasses.dataclass(frozen=True)
class Calls:
    """Holds the calls of a network in an order in which they can be made.

    Attributes:
        calls: Tuple of `Call`; those of nested models in the place of the model.
        inputs: Numbers of the network's own inputs.
        outputs: Numbers of its outputs.
    """

    calls: tuple
    inputs: tuple
    outputs: tuple

    def run(self, tensors):
        """Makes all calls.

        Args:
            tensors: The tensors to put in the place of ``inputs``, in their order.

        Returns:
            List of tensors, in the order of ``outputs``.
        """
        values = dict(zip(self.inputs, tensors, strict=True))
        for call in self.calls:
            made = call.run([values[number] for number in call.inputs])
            values.update(zip(call.outputs, made, strict=True))
        return [values[number] for number in self.outputs]


def model_calls(model):
    """Lists the calls that a network consists of, nested models entered.

    Args:
        model: A functional ``keras.Model``.

    Returns:
        `Calls`.

    Raises:
        ValueError: If the model is not functional, so that its layers cannot be followed.

    Example:
        >>> from deblur_keras.generators import compact_generator
        >>> network = model_calls(compact_generator(widths=(4,), blocks=(1,)))
        >>> network.calls[0].operation.name, network.calls[0].inputs == network.inputs
        ('down1', True)
    """
    graph = functional(model, "model_calls")
    numbers = itertools.count()
    calls = []

    def enter(graph, inputs):
        keys = dict(zip(map(id, graph.inputs), inputs, strict=True))
        for depth in sorted(graph._nodes_by_depth, reverse=True):
            for node in graph._nodes_by_depth[depth]:
                if node.is_input:
                    continue
                taken = tuple(keys[id(tensor)] for tensor in node.input_tensors)
                inner = graph_of(node.operation)
                if inner is not None:
                    made = enter(inner, taken)
                else:
                    made = tuple(next(numbers) for _ in node.outputs)
                    calls.append(Call(node.operation, taken, made, node))
                keys.update(zip(map(id, node.outputs), made, strict=True))
        return tuple(keys[id(tensor)] for tensor in graph.outputs)

    inputs = tuple(next(numbers) for _ in graph.inputs)
    outputs = enter(graph, inputs)
    return Calls(tuple(calls), inputs, outputs)


def functional(model, user):
    """Returns a model's graph, or raises a ValueError that names the function it was given to."""
    graph = graph_of(model)
    if graph is None:
        raise ValueError(
            f"{user} needs a functional keras.Model, whose layers it can follow; "
            f"received {type(model).__name__}."
        )
    return graph


def graph_of(operation):
    """Returns a layer's own graph if it is a functional or sequential model, else None."""
    if isinstance(operation, keras.Sequential):
        operation = operation._functional
    # Keras exports no name for the class of functional models; the graph is what is needed here.
    return operation if hasattr(operation, "_nodes_by_depth") else None
