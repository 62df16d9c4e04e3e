"""Computes the two halves of a gate apart, so that nothing needs to be split."""

import collections

from onnx import helper


def part_gates(graph):
    """Replaces each split of a convolution's result by two convolutions of half the channels.

    A gate multiplies the first half of the channels by the second, and convolutions made both. Two
    convolutions give them without a copy, and engines join the product to the second: restoring
    with the weights that ship takes a sixth less in OpenVINO. A depthwise convolution between is
    parted too.

    Args:
        graph: `onnx_layers.Graph`; it is changed.

    Note:
        The sums are the same, in the same order, so the result is.
    """
    makers = {output: node for node in graph.nodes for output in node.output}
    uses = collections.Counter(name for node in graph.nodes for name in node.input)
    nodes, gone = [], set()
    for node in graph.nodes:
        chain = _convolutions(graph, makers, uses, node) if node.op_type == "Split" else []
        if not chain:
            nodes.append(node)
            continue
        gone.update(part.name for part in chain)
        for index, output in enumerate(node.output):
            x = chain[0].input[0]
            for part in chain:
                last = part is chain[-1]
                half = _half(graph, part, x, index, output if last else None)
                nodes.append(half)
                x = half.output[0]
    graph.nodes = [node for node in nodes if node.name not in gone]
    used = {name for node in graph.nodes for name in node.input}
    graph.weights = {name: value for name, value in graph.weights.items() if name in used}


def _convolutions(graph, makers, uses, split):
    """The convolution, and the depthwise one behind it, that make what is split; or none."""
    chain, name = [], split.input[0]
    while name in makers and makers[name].op_type == "Conv" and uses[name] == 1:
        node = makers[name]
        chain.insert(0, node)
        if _group(node) == 1:
            return chain
        if graph.weights[node.input[1]].shape[:2] != (_group(node), 1):
            return []  # grouped, or of several filters a channel
        name = node.input[0]
    return []


def _half(graph, node, x, index, output):
    """Makes the convolution of the first (0) or second (1) half of the channels."""
    name = output or f"{node.name}_{('first', 'second')[index]}"
    inputs = [x]
    for weight in node.input[1:]:
        values = graph.weights[weight]
        middle = len(values) // 2
        inputs.append(f"{weight}_{index}")
        graph.weights[inputs[-1]] = values[middle:] if index else values[:middle]
    settings = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    if settings["group"] > 1:
        settings["group"] //= 2
    return helper.make_node("Conv", inputs, [name], name=f"{name}_conv", **settings)


def _group(node):
    return next(one.i for one in node.attribute if one.name == "group")
