"""Runs a generator part by part of an image, with the result of running it on the whole.

A convolution depends on the pixels around it, and an instance norm on all pixels. So the network
is cut into stages, one ending where each instance norm begins. Each stage goes over the whole image
in windows, a core and the pixels around it that the core depends on; what the later stages need is
kept for the whole image, and the norm's statistics come from all of it. A network without instance
norms is cut around its coarse grids: what works there sees the furthest, and its pixels are few.

Within a window each layer gets no more around the core than the layers behind it still need: the
first see all of the window, the last hardly more than the core.
"""

import dataclasses
import itertools
import math

import keras
from keras import ops

from deblur_keras.generators.calls import Calls, model_calls
from deblur_keras.generators.graph import common_multiple, scales, size_multiple
from deblur_keras.generators.receptive_field import demands, image_wide_layers
from deblur_keras.layers import InstanceNormalization, ReflectionPadding2D

_COARSE = 8  # pixels of the image a step; where a network without norms is cut


class NotTileableError(ValueError):
    """A network whose result on a part of an image cannot be that on the whole."""


@dataclasses.dataclass(frozen=True)
class Map:
    """Describes a tensor of a network that takes images.

    Attributes:
        scales: Pixels of the image that a step is, along rows and along columns; fractions.
        channels: Channels.
        dtype: Name of the element type.
        bytes_per_pixel: Bytes that it takes for each pixel of the image.
        plain: Whether it has exactly the image's extent, neither padded nor cropped.
    """

    scales: tuple
    channels: int
    dtype: str
    bytes_per_pixel: float
    plain: bool


class Stage:
    """Runs consecutive calls of a network on windows of an image. Made by `StagedGenerator`.

    Attributes:
        sources: Numbers of the tensors that it takes.
        targets: Numbers of the tensors that it makes and later stages, or the caller, need.
        kept: Numbers of all tensors that are needed afterwards.
        measured: Number of the tensor whose statistics the next stage needs, or None.
        multiple: Number that the positions of its windows and cores must be multiples of: the
            coarsest grid that it works on.
        halo: Pixels that its windows must have around the core, a multiple of ``multiple``, for the
            result of the whole image.
        least_halo: Those that they must have for a result at all: a layer that pads by reflection
            needs something to reflect.
        bytes_per_pixel: Memory for the tensors of a window that exist at the same time, and a
            working copy of the largest, for each pixel of the window.
    """

    def __init__(self, network, bounds, maps):
        start, stop = bounds
        self._calls = network.calls[start:stop]
        self._maps = maps
        made = set(itertools.chain.from_iterable(call.outputs for call in self._calls))
        taken = set(itertools.chain.from_iterable(call.inputs for call in self._calls))
        self.kept = _needed_from(network, stop)
        self.measured = None
        if stop < len(network.calls) and _is_norm(network.calls[stop]):
            self.measured = network.calls[stop].inputs[0]
        self.sources = tuple(sorted(taken - made | ({self.measured} - made - {None})))
        self.targets = tuple(sorted(self.kept & made))
        here = [*self.sources, *made]
        self.multiple = common_multiple(
            itertools.chain.from_iterable(maps[number].scales for number in here)
        )
        for number in self.kept:
            if not maps[number].plain:
                raise NotTileableError(
                    "a tensor that is padded or cropped is needed across an instance norm"
                )
        self._halos = self._find_halos()
        self.halo = max(self._halos, default=0)
        self.least_halo = self._find_least_halo()
        self.bytes_per_pixel = _peak(self._calls, self.sources, self.targets, maps)

    def run(self, tensors, rows, columns, statistics=None):
        """Computes the targets of the cores of windows.

        Args:
            tensors: The windows' part of each of ``sources``, ``(B, h, w, C)`` each on its grid.
            rows: `deblur_keras.tiles.Span` along the height; its numbers are multiples of
                ``multiple`` and may be tensors. Where it ends at a border of the image,
                the network pads there as in the whole image.
            columns: The same along the width.
            statistics: ``(2, C)``, mean and variance for the instance norm that the stage begins
                with.

        Returns:
            The list of ``targets`` and the tensor ``measured``, or None, of the cores.
        """
        values = dict(zip(self.sources, tensors, strict=True))
        halos = dict.fromkeys(self.sources, math.inf)
        for call, halo in zip(self._calls, self._halos, strict=True):
            inputs = [
                self._cut(values[number], number, halos[number], halo, rows, columns)
                for number in call.inputs
            ]
            if _is_norm(call):
                outputs = [call.operation.normalize(inputs[0], *ops.unstack(statistics, 2))]
            else:
                outputs = call.run(inputs)
            for number, output in zip(call.outputs, outputs, strict=True):
                values[number], halos[number] = output, halo
        cores = {
            number: self._cut(values[number], number, halos[number], 0, rows, columns)
            for number in {*self.targets, self.measured} - {None}
        }
        return [cores[number] for number in self.targets], cores.get(self.measured)

    def _aligned(self, pixels):
        return math.ceil(pixels / self.multiple) * self.multiple

    def _find_halos(self):
        """Finds how many pixels around the core each call needs: a list, aligned."""
        halos = [0] * len(self._calls)
        part = Calls(self._calls, self.sources, self.targets)
        for axis in (0, 1):
            wanted = {
                number: (0, int(self.multiple / self._maps[number].scales[axis]))
                for number in self.targets
            }
            _, taken = demands(part, axis, wanted, InstanceNormalization)
            for index, (start, stop) in taken.items():
                scale = self._maps[self._calls[index].inputs[0]].scales[axis]
                beyond = max(-start * scale, stop * scale - self.multiple, 0)
                halos[index] = max(halos[index], self._aligned(beyond))
        # A tensor that cannot be cut keeps what the call that made it has.
        makers = {}
        for index, call in enumerate(self._calls):
            uncut = {
                halos[makers[number]] for number in call.inputs if not self._maps[number].plain
            }
            if len(uncut) > 1:
                raise NotTileableError(
                    f"its layer {call.operation.name!r} joins tensors that are padded differently"
                )
            halos[index] = uncut.pop() if uncut else halos[index]
            makers.update(dict.fromkeys(call.outputs, index))
        return halos

    def _find_least_halo(self):
        reflected = [
            call.operation.padding * max(self._maps[call.inputs[0]].scales)
            for call in self._calls
            if isinstance(call.operation, ReflectionPadding2D)
        ]
        return self._aligned(max(reflected, default=0))

    def _cut(self, value, number, have, want, rows, columns):
        """Cuts a tensor that has ``have`` pixels around the core to ``want`` of them."""
        if have == want:
            return value
        (top, bottom), (left, right) = (
            _inside(span, have, want, scale)
            for span, scale in zip((rows, columns), self._maps[number].scales, strict=True)
        )
        return value[:, top:bottom, left:right]


class StagedGenerator:
    """Cuts a generator into stages that can be run on windows of an image.

    Args:
        model: A generator, a functional ``keras.Model``.

    Attributes:
        stages: List of `Stage`, to be run one after the other.
        normalized: Whether there are instance norms.
        maps: `Map` by the number of a tensor.
        image: Number of the tensor that is the image.
        kept_bytes_per_pixel: Memory for what is kept between stages, for each pixel of the image.

    Raises:
        NotTileableError: If a layer looks at the whole image, other than an instance norm.
        ValueError: If the model is not functional.

    Example:
        >>> from deblur_keras.generators import compact_generator, resnet_generator
        >>> [stage.halo for stage in StagedGenerator(compact_generator()).stages]
        [24, 240, 24]
        >>> [stage.halo for stage in StagedGenerator(resnet_generator(filters=4, blocks=1)).stages]
        [3, 2, 4, 4, 4, 4, 2, 3]
    """

    def __init__(self, model):
        network = model_calls(model)
        wide = image_wide_layers(network, except_for=InstanceNormalization)
        if wide:
            raise NotTileableError(
                f"its layer {wide[0]!r} looks at the whole image, or is of a kind that "
                "deblur_keras.generators.receptive_field does not know"
            )
        self.image = network.inputs[0]
        self.maps = _describe(network, size_multiple(model))
        cuts = {index for index, call in enumerate(network.calls) if _is_norm(call)}
        self.normalized = bool(cuts)
        cuts.update([] if cuts else _around_coarse_grids(network, self.maps))
        bounds = itertools.pairwise([0, *sorted(cuts), len(network.calls)])
        self.stages = [Stage(network, pair, self.maps) for pair in bounds]
        self.kept_bytes_per_pixel = max(
            sum(
                self.maps[number].bytes_per_pixel
                for number in {*stage.sources, *stage.kept} - {self.image, *network.outputs}
            )
            for stage in self.stages
        )


def peak_bytes_per_pixel(model):
    """Computes the memory that a network takes for each pixel of an image that it sees whole.

    The tensors that exist at the same time, at the moment when they are the most, and a working
    copy of the largest, in the order of the layers. Measured peaks are larger by what the allocator
    leaves unused between them.

    Args:
        model: A functional ``keras.Model``.

    Returns:
        Bytes.

    Raises:
        ValueError: If the model is not functional.

    Example:
        >>> from deblur_keras.generators import compact_generator, resnet_generator
        >>> peak_bytes_per_pixel(compact_generator()), peak_bytes_per_pixel(resnet_generator())
        (180.0, 804.28125)
    """
    network = model_calls(model)
    maps = _describe(network, size_multiple(model))
    return _peak(network.calls, network.inputs, network.outputs, maps)


def _peak(calls, sources, targets, maps):
    """Follows which tensors exist at the same time; the targets stay to the end."""
    size = {number: described.bytes_per_pixel for number, described in maps.items()}
    last = {number: index for index, call in enumerate(calls) for number in call.inputs}
    last.update(dict.fromkeys(targets, len(calls)))
    alive, most = set(sources), sum(size[number] for number in sources)
    for index, call in enumerate(calls):
        alive.update(call.outputs)
        working = max(size[number] for number in (*call.inputs, *call.outputs))
        most = max(most, sum(size[number] for number in alive) + working)
        alive = {number for number in alive if last.get(number, -1) > index}
    return most


def _describe(network, multiple):
    """Describes all tensors of a network as a table by number."""
    side = 64 * multiple
    values = dict.fromkeys(network.inputs, keras.KerasTensor((1, side, side, 3)))
    for call in network.calls:
        outputs = call.infer([values[number] for number in call.inputs])
        values.update(zip(call.outputs, outputs, strict=True))
    along = scales(network, 0), scales(network, 1)
    return {
        number: Map(
            scales=tuple(scale[number] for scale in along),
            channels=value.shape[-1],
            dtype=value.dtype,
            bytes_per_pixel=math.prod(value.shape) * _itemsize(value.dtype) / side**2,
            plain=len(value.shape) == 4
            and all(value.shape[axis + 1] * along[axis][number] == side for axis in (0, 1)),
        )
        for number, value in values.items()
    }


def _itemsize(dtype):
    return {"16": 2, "32": 4, "64": 8}.get(dtype[-2:], 1)


def _is_norm(call):
    return isinstance(call.operation, InstanceNormalization)


def _around_coarse_grids(network, maps):
    """Finds the calls where a network leaves the finer grids and where it returns to them.

    What lies between sees the furthest and takes the least memory, so that its windows are large.
    """
    coarse = [min(maps[call.outputs[0]].scales) >= _COARSE for call in network.calls]
    cuts = [
        # The call that leaves the finer grids counts as one of theirs: it reads them.
        index + now
        for index, (before, now) in enumerate(itertools.pairwise(coarse), start=1)
        if before != now
    ]
    return [cut for cut in cuts if all(maps[number].plain for number in _needed_from(network, cut))]


def _needed_from(network, index):
    """Numbers of the tensors that exist before a call and are needed from there on."""
    made = set(network.inputs)
    for call in network.calls[:index]:
        made.update(call.outputs)
    needed = set(network.outputs)
    for call in network.calls[index:]:
        needed.update(call.inputs)
    return made & needed


def _inside(span, have, want, scale):
    """Finds where the region of a smaller halo lies in that of a larger, on a tensor's grid."""
    start, _ = _region(span, have)
    first, last = _region(span, want)
    return tuple((pixel - start) * scale.denominator // scale.numerator for pixel in (first, last))


def _region(span, halo):
    """Pixels of the image that a tensor with a halo around the core stands for."""
    if halo == math.inf:
        return span.start, span.stop
    return (
        ops.maximum(span.start, span.core_start - halo),
        ops.minimum(span.stop, span.core_stop + halo),
    )
