"""Downloads archives as TensorFlow Datasets does, but gives up in seconds and tidies up.

Its own ten tries wait longer each time: without a network that is three minutes, a warning for
each try, and a folder for what was never downloaded.
"""

import contextlib
import glob
import logging
import shutil
from pathlib import Path

RETRIES = 5  # after waiting 0.4 seconds, 0.8 and so on: six in all


def fetch(download_manager, urls):
    """Downloads files, unless they have been.

    Args:
        download_manager: `tfds.download.DownloadManager`.
        urls: Dictionary from the files' names to their addresses.

    Returns:
        Dictionary from the files' names to paths.

    Raises:
        requests.exceptions.ConnectionError: There is no network, or the host does not answer.
        tfds.core.download.util.DownloadError: The host has no such file for us.
    """
    unfinished = _unfinished(download_manager, urls.values())
    try:
        with _few_retries():
            return download_manager.download(urls)
    except BaseException:  # Ctrl-C too; a download cannot be taken up again
        for folder in _unfinished(download_manager, urls.values()) - unfinished:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _unfinished(download_manager, urls):
    """Returns the folders of downloads that are under way, perhaps by other processes."""
    from tensorflow_datasets.core.download import resource

    root = Path(download_manager.download_dir)
    return {
        folder
        for url in urls
        for folder in root.rglob(glob.escape(resource.get_dl_fname(url)) + ".tmp.*")
    }


@contextlib.contextmanager
def _few_retries():
    from tensorflow_datasets.core.download import downloader

    logger = logging.getLogger("urllib3.connectionpool")
    retries, level = downloader.MAX_RETRIES, logger.level
    downloader.MAX_RETRIES = RETRIES
    logger.setLevel(logging.ERROR)  # the error that ends it says it all
    try:
        yield
        logger.setLevel(level)  # not after an error: the other files of this call are still tried
    finally:
        downloader.MAX_RETRIES = retries
