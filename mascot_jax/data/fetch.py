"""Find a data set's archive, folder or file on this disk, or download it; check its digest.

Downloads are cached in the user's cache folder (``~/.cache/mascot-jax`` on Linux;
``XDG_CACHE_HOME`` moves it). A local source is read in place.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import sys
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pooch

from mascot_jax.data.place import split_place
from mascot_jax.errors import DataError

RETRIES = 3

log = logging.getLogger(__name__)


class Published(Protocol):
    """What `fetch` must know of a data set: see `mascot_jax.data.sets.DataSet`."""

    @property
    def name(self) -> str:
        """Name in ``data.name``."""

    @property
    def url(self) -> str | None:
        """Official archive; None if it may not, or cannot, be downloaded automatically."""

    @property
    def digest(self) -> str | None:
        """Published digest of the archive."""

    @property
    def how_to_get(self) -> str:
        """How to get the data if there is no `url`."""


def fetch(dataset: Published, source: str | None, digest: str | None) -> Path:
    """Return the path of a data set; download it if needed and check its digest.

    Parameters
    ----------
    dataset : Published
        The data set.
    source : str or None
        ``data.source``: path or URL to use instead of the official URL. The published digest does
        not apply to it, since a copy may be packed differently.
    digest : str or None
        ``data.digest``: expected digest of the file. None uses the published digest for the
        official URL and checks nothing for another source.

    Returns
    -------
    Path
        A file; for a local source possibly a folder.

    Raises
    ------
    DataError
        There is no source, it cannot be read or downloaded, or its digest differs. A refused
        download is deleted.
    """
    place = dataset.url if source is None else source
    if place is None:
        raise DataError(
            f"data.source: not set, and data.name {dataset.name} has no automatic "
            f"download. {dataset.how_to_get}"
        )
    expected = digest or (dataset.digest if source is None else None)
    scheme = _scheme(place)
    if scheme in ("http", "https"):
        return _download(place, expected)
    if scheme not in ("", "file"):
        raise DataError(
            f"data.source: {place} is neither a path nor a URL with http, https or file"
        )
    return _local(place, expected)


def _scheme(place: str) -> str:
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", place)
    return match[1].lower() if match else ""


def _local(place: str, expected: str | None) -> Path:
    whole = Path(url2pathname(urlsplit(place).path) if _scheme(place) else place).expanduser()
    path, member = split_place(whole)
    if not place.strip() or not path.exists():
        raise DataError(
            f"data.source: {place!r} does not exist (looked in {Path.cwd()}); set it to a file, a "
            "folder or a URL"
        )
    if not os.access(path, os.R_OK):
        raise DataError(f"data.source: {place!r} may not be read by this user")
    if expected is not None and path.is_dir():
        raise DataError(
            f"data.digest: {expected} cannot be compared with a folder ({place}); set it to "
            "null, or data.source to a file"
        )
    if expected is not None:
        _check_digest(path, expected, place)
    return whole if member else path


def _check_digest(path: Path, expected: str, place: str) -> None:
    found = _digest(path, expected.partition(":")[0])
    if found != expected:
        raise DataError(
            f"{place}: refused, because its digest differs: expected {expected}, found {found}. It "
            "is damaged, or another version; if you trust it, set data.digest to what was found"
        )


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as stream:
        return f"{algorithm}:{hashlib.file_digest(stream, algorithm).hexdigest()}"


def _download(url: str, expected: str | None) -> Path:
    # The URL's hash distinguishes archives of the same name.
    name = Path(urlsplit(url).path).name or "download"
    name = f"{hashlib.sha256(url.encode()).hexdigest()[:12]}-{name}"
    cache = pooch.create(
        path=pooch.os_cache("mascot-jax"),
        base_url="",
        registry={name: expected},
        urls={name: url},
        retry_if_failed=RETRIES,
    )
    fresh = not (Path(cache.path) / name).exists()
    try:
        path = Path(cache.fetch(name, downloader=_Downloader(expected)))
    except _WrongDigestError as error:
        raise DataError(str(error)) from error
    except OSError as error:
        raise DataError(
            f"data.source: {url} cannot be downloaded to {cache.path} ({error}); check the network "
            "and the disk, or set data.source to a copy on this disk"
        ) from error
    if fresh and expected is None:
        log.warning(
            "%s has no published digest; to pin it, set data.digest: %s",
            url,
            _digest(path, "sha256"),
        )
    return path


class _WrongDigestError(Exception):
    """Digest mismatch; not a ValueError, which pooch takes for a bad connection and retries."""


class _Downloader:
    """HTTP downloader that checks the digest before pooch gives the file its final name."""

    def __init__(self, expected: str | None) -> None:
        self.expected = expected

    def __call__(self, url: str, output_file: str, pooch_: pooch.Pooch | None) -> None:
        pooch.HTTPDownloader(progressbar=sys.stderr.isatty())(url, output_file, pooch_)
        if self.expected is not None:
            try:
                _check_digest(Path(output_file), self.expected, url)
            except DataError as error:
                raise _WrongDigestError(str(error)) from error
