"""Photographs without a sharp partner, in the form of pairs."""

import dataclasses
from pathlib import Path

from deblur_keras import images
from deblur_keras.datasets import DatasetError


@dataclasses.dataclass(frozen=True)
class Photograph:
    """Holds the file of a photograph that has no sharp partner.

    Attributes:
        name: Its path below the folder that was searched, without suffix.
        path: The file.
    """

    name: str
    path: Path

    def read(self):
        """Reads it.

        Returns:
            ``(blurred, None)``: uint8 RGB ``(H, W, 3)``, and no sharp image.

        Raises:
            ImageError: The file is missing or broken.
        """
        return images.read(self.path), None


def photographs(folder, leave_out=None):
    """Finds the photographs in a folder, to be scored by the protocol ``unpaired``.

    Args:
        folder: Folder; it is searched to the bottom.
        leave_out: Folder inside it that is not, such as that of the results; or None.

    Returns:
        List of `Photograph`, sorted by name.

    Raises:
        DatasetError: There are none, or two differ in their suffix alone.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     _ = images.write_bytes(Path(directory) / "trip" / "a.jpg", b"")
        ...     [photograph.name for photograph in photographs(directory)]
        ['trip/a']
    """
    if not Path(folder).is_dir():
        raise DatasetError(f"{folder}: expected a folder of photographs; there is no such folder")
    found = {}
    for source in images.find(folder):
        if leave_out is not None and source.path.resolve().is_relative_to(leave_out.resolve()):
            continue
        name = source.relative.with_suffix("").as_posix()
        if name in found:
            raise DatasetError(
                f"{found[name].path} and {source.path} differ in their suffix alone; the scores are"
                " kept by name, so take one away"
            )
        found[name] = Photograph(name, source.path)
    if not found:
        raise DatasetError(f"{folder}: found no photographs ({images.known_suffixes()})")
    return [found[name] for name in sorted(found)]
