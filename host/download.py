"""Where data files lie, and how a user's copy is fetched from the publisher: checksum-verified, whole or not at all."""

import hashlib
import os
import shutil
import urllib.request
from pathlib import Path

from .files import replacing
from .problems import DataError

__all__ = ["DATA_VARIABLE", "data_folder", "fetch"]

DATA_VARIABLE = "COLDSPIKE_DATA"
TIMEOUT = 60  # seconds without a byte


def data_folder() -> Path:
    """Folder of the data sets: ``$COLDSPIKE_DATA``, else ``coldspike/data`` in the user's cache."""
    if given := os.environ.get(DATA_VARIABLE):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "coldspike" / "data"


def md5(path: Path) -> str:
    """MD5 of a file, the checksum that publishers of data sets give."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def fetch(relative: str, url: str, checksum: str) -> Path:
    """The file ``relative`` in the data folder, downloaded first where it is missing.

    Nothing is downloaded into a folder that the user named with COLDSPIKE_DATA.

    Raises
    ------
    DataError : the file is missing and cannot be downloaded, or is not the publisher's.
    """
    path = data_folder() / relative
    if not path.is_file():
        if os.environ.get(DATA_VARIABLE):
            raise DataError(f"{path} does not exist: put the file from {url} there, "
                            f"or unset {DATA_VARIABLE} to have it downloaded")
        download(url, path, checksum)
    elif (found := md5(path)) != checksum:
        raise DataError(f"{path} is not the publisher's file (MD5 {found}, expected {checksum}): "
                        f"delete it and fetch it again from {url}")
    return path


def download(url: str, path: Path, checksum: str) -> None:
    """Downloads a file; it appears under its name when it is complete and its checksum right."""
    try:
        with replacing(path) as temporary:
            with temporary.open("wb") as file, urllib.request.urlopen(url, timeout=TIMEOUT) as response:
                shutil.copyfileobj(response, file)
            if (found := md5(temporary)) != checksum:
                raise DataError(f"the download from {url} is damaged (MD5 {found}, expected {checksum}): try again")
    except OSError as error:  # URLError is one
        reason = getattr(error, "reason", None) or error
        raise DataError(f"{url} cannot be downloaded ({reason}): fetch it by other means, "
                        f"put it at {path}, or set {DATA_VARIABLE} to a folder that has it") from error
