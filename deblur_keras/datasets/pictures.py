"""Reads the images behind a stream: scaled, large enough, decoded once where that was asked for.

Here, too, it is noticed at the first visit what a network should not be taught: two sides that are
turned against each other, or of which one has no colours.
"""

import logging
import os
import weakref

import numpy as np
from PIL import Image

from deblur_keras import images
from deblur_keras.datasets import caches, headers, measures, records
from deblur_keras.datasets.layouts import DatasetError

_COLOURED = 3.0  # grey levels between the channels; see `measures.colourfulness`

_logger = logging.getLogger(__name__)

# Pillow's own cache, off as it comes: with it each image is decoded into the memory of one before,
# and not into pages that the system has to clear first, which takes a sixth of the decoder's time.
if not Image.core.get_blocks_max():
    Image.core.set_blocks_max(os.cpu_count() or 1)


def of_files(files, options, together=1):
    """Makes the pictures of single photographs.

    Args:
        files: List of paths, or of `records.Stored` images.
        options: `streams.Options`.
        together: Photographs that one visit reads.

    Returns:
        `Pictures`, whose keys are places in the list.
    """

    def read(key):
        file = files[key]
        return (file.decode() if isinstance(file, records.Stored) else images.read(file),)

    return Pictures(read, [(file,) for file in files], options, 1, together)


def of_pairs(pairs, options):
    """Makes the pictures of pairs.

    Args:
        pairs: List of `Pair` or `Record`.
        options: `streams.Options`.

    Returns:
        `Pictures`, whose keys are places in the list.
    """
    sources = [tuple(dict.fromkeys((pair.blurred, pair.sharp))) for pair in pairs]
    return Pictures(lambda key: pairs[key].read(), sources, options, 2)


class Pictures:
    """Reads, scales and, where too small, extends pictures; remembers them if asked to.

    Args:
        read: Function from a key to a tuple of uint8 images of one size.
        sources: List of tuples of the files behind each key, one for all images or one for each.
        options: `streams.Options`.
        sides: Images behind a key.
        together: Keys that one visit reads.

    Raises:
        DatasetError: A cache was asked for in which the images do not fit.
    """

    def __init__(self, read, sources, options, sides, together=1):
        self._read = read
        self._sources = sources
        self._sides = sides
        self._least = options.least
        self._seen = np.zeros(len(sources), bool)
        self._told = {}
        self._cache = self._decoded = self._scaled = _nothing
        if options.cache is not False:
            self._cache = _owned(options, self._open_cache(options.cache, options.scales))
        elif options.crops_per_image > 1:
            # As many as are in turn, and those that the workers are ahead.
            kept = caches.Kept((options.in_turn + (os.cpu_count() or 1)) * together)
            if len(options.scales) > 1:
                self._decoded = _owned(options, kept)
            else:
                self._scaled = _owned(options, kept)

    def read(self, key, scale):
        """Returns the tuple of uint8 images behind a key, each at least as large as the crop."""
        if cache := self._cache():
            return cache.get(key, scale, lambda: self._prepare(key, scale))
        if kept := self._scaled():
            return kept.get(key, lambda: self._prepare(key, scale))
        return self._prepare(key, scale)

    def _prepare(self, key, scale):
        kept = self._decoded()
        decoded = kept.get(key, lambda: self._decode(key)) if kept else self._decode(key)
        return tuple(self._extend(images.resize(image, scale)) for image in decoded)

    def _decode(self, key):
        decoded = self._read(key)
        if not self._seen[key]:
            self._check(key, decoded)
            self._seen[key] = True
        return decoded

    def _check(self, key, decoded):
        """Refuses sides that do not belong together, and tells what was done to the pixels."""
        found = [headers.peek(source) for source in self._sources[key]]
        if len(found) == 2:
            self._compare(key, decoded, found)
        for source, header in zip(self._sources[key], found, strict=True):
            if header.kind and self._first(header.kind):
                _logger.warning(
                    "%s: %s. So it is with others like it", headers.name(source), header.conversion
                )

    def _compare(self, key, decoded, found):
        names = " and ".join(map(headers.name, self._sources[key]))
        if found[0].orientation != found[1].orientation:
            turn = measures.turn(*decoded)
            if turn:
                orientations = " and ".join(str(header.orientation) for header in found)
                raise DatasetError(
                    f"{names}: the second shows the first {turn}; their EXIF orientations are"
                    f" {orientations}, of which one is wrong",
                    names,
                )
        grey = [header.kind == "grey" for header in found]
        if grey[0] != grey[1] and measures.colourfulness(decoded[grey[0]]) > _COLOURED:
            missing = "first" if grey[0] else "second"
            raise DatasetError(f"{names}: the {missing} is grey and the other one is not", names)

    def _extend(self, image):
        missing = [max(self._least - side, 0) for side in image.shape[:2]]
        if not any(missing):
            return np.ascontiguousarray(image)
        if self._first("small"):
            _logger.warning(
                "an image of %dx%d pixels after scaling is smaller than the crop of %d and is"
                " extended by reflection, and so are others like it; a larger scale or a smaller"
                " crop avoids that",
                *image.shape[1::-1],
                self._least,
            )
        sides = [(total // 2, total - total // 2) for total in missing]
        return np.pad(image, [*sides, (0, 0)], mode="reflect")

    def _first(self, kind):
        """Says whether something is noticed for the first time, also among several threads."""
        mine = object()
        return self._told.setdefault(kind, mine) is mine

    def _open_cache(self, cache, scales):
        """Makes the cache that was asked for, in memory or in a folder."""
        plan, identities = {}, {}
        for key in range(len(self._sources)):
            try:
                height, width = self._size(key)
                image, version = self._identity(key)
            except (images.ImageError, OSError):  # named when its turn comes
                plan |= {(key, scale): 0 for scale in scales}
                continue
            for scale in scales:
                sides = round(height * scale), round(width * scale)
                area = max(sides[0], self._least) * max(sides[1], self._least)
                plan[key, scale] = 3 * self._sides * area
                # Where nothing is added to the picture, it serves crops of other sizes too.
                extended = f", at least {self._least}" if min(sides) < self._least else ""
                identities[key, scale] = image, version, f"{float(scale)}{extended}"
        noun = "pair" if self._sides == 2 else "photograph"
        names = f"{len(self._sources)} {noun}{'' if len(self._sources) == 1 else 's'}"
        if cache is True:
            return caches.Memory(plan, names)
        return caches.Disk(cache, plan, names, identities, self._sides)

    def _size(self, key):
        """Returns height and width of each of the images behind a key."""
        header = headers.peek(self._sources[key][0])
        return header.height, header.width // (self._sides // len(self._sources[key]))

    def _identity(self, key):
        """Returns what the images behind a key are, and as of when."""
        places, versions = zip(*map(headers.identity, self._sources[key]), strict=True)
        return f"{'|'.join(places)}|{self._sides}", "|".join(versions)


def _nothing():
    """A reference to nothing."""


def _owned(options, kept):
    """Returns a weak reference to what the dataset is to own."""
    options.owned.append(kept)
    return weakref.ref(kept)
