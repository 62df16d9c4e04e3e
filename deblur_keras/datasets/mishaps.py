"""Goes on when an image cannot be used, up to a limit, and tells how often that was so."""

import collections
import logging
import threading
from typing import NamedTuple

from deblur_keras import images
from deblur_keras.datasets.layouts import DatasetError

_REMEMBERED = 4  # epochs whose crops are being counted; an iterator may be left before its end

_logger = logging.getLogger(__name__)


class Counts(NamedTuple):
    """Says how often an image could not be used.

    Attributes:
        crops: Crops made.
        replaced: How many of them are of another image than planned.
        bad: Names of the images that could not be used.
    """

    crops: int
    replaced: int
    bad: frozenset


class Mishaps:
    """Replaces images that cannot be used by the next ones, names each once, and counts them.

    How many crops were replaced is logged at the end of each pass over the images, unless somebody
    else tells the counts.

    Args:
        limit: Images that may turn out unusable.

    Raises:
        ValueError: The limit is negative.

    Example:
        >>> def use(index):
        ...     if index == 1:
        ...         raise images.ImageError("1.png: broken", source="1.png")
        ...     return f"{index}.png"
        >>> mishaps = Mishaps(limit=10)
        >>> [mishaps.first_usable(use, start, count=3, turn=0) for start in range(3)]
        ['0.png', '2.png', '2.png']
    """

    def __init__(self, limit):
        if limit < 0:
            raise ValueError(f"max_bad must not be negative, got {limit}")
        self._limit = limit
        self._lock = threading.Lock()
        self._bad = set()
        self._turns = collections.OrderedDict()
        self._crops = self._replaced = 0
        self._quiet = False

    def counts(self):
        """Returns the `Counts` up to now."""
        with self._lock:
            return Counts(self._crops, self._replaced, frozenset(self._bad))

    def leave_telling(self):
        """Logs no counts any more, because somebody else tells them."""
        self._quiet = True

    def begin(self, turn, epoch, crops):
        """Begins to count the crops of an epoch that an iterator goes through."""
        with self._lock:
            self._turns[turn] = _Turn(epoch, crops)
            while len(self._turns) > _REMEMBERED:
                self._turns.popitem(last=False)

    def first_usable(self, use, start, count, turn):
        """Calls ``use`` with an index, and with the next ones until one is usable.

        Args:
            use: Function of an index.
            start: The first index.
            count: Number of indices; behind the last comes the first.
            turn: What `begin` was called with.

        Returns:
            What ``use`` returns.

        Raises:
            DatasetError: The limit is exceeded.
            ImageError: Not one image is usable.
        """
        error = None
        for offset in range(count):
            try:
                used = use((start + offset) % count)
            except (images.ImageError, DatasetError) as caught:
                self._note(caught)
                error = caught
            else:
                self._count(turn, replaced=error is not None)
                return used
        raise error

    def _note(self, error):
        with self._lock:
            message = str(error)
            # A file broken in one way and then in another is one file.
            source = message if error.source is None else error.source
            new = source not in self._bad
            self._bad.add(source)
            number = len(self._bad)
        if number > self._limit:
            raise DatasetError(
                f"{plural(number)} could not be used, and max_bad allows {self._limit}; the last"
                f" one: {message}. Mend them or take them away, or raise max_bad"
            ) from error
        if new:
            _logger.warning(
                "%s; another one is used in its place (%d of at most %d)",
                message,
                number,
                self._limit,
            )

    def _count(self, turn, replaced):
        with self._lock:
            self._crops += 1
            self._replaced += replaced
            progress = self._turns.get(turn)
            if progress is None:
                return
            progress.drawn += 1
            progress.replaced += replaced
            if progress.drawn < progress.crops:
                return
            del self._turns[turn]
        if progress.replaced and not self._quiet:
            _logger.warning(
                "epoch %d: %d of %d crops are of another image than planned; %s so far could not be"
                " used, named above",
                progress.epoch + 1,
                progress.replaced,
                progress.crops,
                plural(len(self._bad)),
            )


def of(stream):
    """Returns what counts the mishaps of a stream.

    Args:
        stream: What `paired` and the others, or `mix`, have returned; or anything else.

    Returns:
        List of `Mishaps`, one for each stream of a mix; empty for other datasets, also for those
        that were made of a stream.

    Example:
        >>> of(None)
        []
    """
    return getattr(stream, "mishaps", [])


def counts(stream):
    """Adds up the counts of a stream, or of all the streams of a mix.

    Args:
        stream: As `of` takes it.

    Returns:
        `Counts`.

    Example:
        >>> counts(None)
        Counts(crops=0, replaced=0, bad=frozenset())
    """
    total = Counts(0, 0, frozenset())
    for one in of(stream):
        crops, replaced, bad = one.counts()
        total = Counts(total.crops + crops, total.replaced + replaced, total.bad | bad)
    return total


def plural(number):
    """Returns a number of images in words."""
    return f"{number} image{'' if number == 1 else 's'}"


class _Turn:
    """Counts the crops that an iterator has drawn in one epoch."""

    def __init__(self, epoch, crops):
        self.epoch, self.crops = epoch, crops
        self.drawn = self.replaced = 0


def reason(error):
    r"""Finds what a stream said in an error that TensorFlow has wrapped, without the traceback.

    Args:
        error: An exception, such as a `tf.errors.OpError` from ``fit``.

    Returns:
        One line of text; the whole message where no stream has spoken.

    Example:
        >>> reason(ValueError("{{node PyFunc}} ImageError: a.png: broken\nTraceback (most ..."))
        'a.png: broken'
    """
    text = str(error)
    kinds = (f"{kind.__name__}: " for kind in (images.ImageError, DatasetError))
    said = [text.partition(kind)[2] for kind in kinds if kind in text]
    # The longest: behind it comes the traceback, which names what was its cause as well.
    return max(said, key=len).partition("\n")[0] if said else text
