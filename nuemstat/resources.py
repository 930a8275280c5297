"""Finds the shipped models, validation files and data tables, from a checkout or from an installed wheel."""

import os
from pathlib import Path

from nuemstat.errors import ModelError

_PACKAGE = Path(__file__).resolve().parent


def _shipped(folder: str) -> Path:
    for candidate in (_PACKAGE / "shipped" / folder, _PACKAGE.parent / folder):
        if candidate.is_dir():
            return candidate
    raise ModelError(f"{folder}/ is neither beside the package nor inside it; reinstall nuemstat")


def data_file(name: str) -> Path:
    """Path of a table of the package itself, such as ``"solar/fluxes_b16.csv"``."""
    return _PACKAGE / "data" / name


def models_folder() -> Path:
    """The folder that holds one folder per shipped experiment."""
    return _shipped("models")


def release_folder(name: str, where: str) -> Path:
    """The folder `name` of a data release that is not shipped, in one that NUEMSTAT_RELEASES names.

    where : the user can get it, for the message.

    Raises
    ------
    ModelError : it is not there.
    """
    places = [Path(entry) for entry in os.environ.get("NUEMSTAT_RELEASES", "").split(os.pathsep) if entry]
    for place in places:
        if (place / name).is_dir():
            return place / name
    looked = ", ".join(str(place / name) for place in places) or "no folder, as NUEMSTAT_RELEASES is not set"
    raise ModelError(
        f"release {name!r} ({where}) is missing; looked in {looked}; set NUEMSTAT_RELEASES to the folder that holds it"
    )


def validation_folder() -> Path:
    """The folder with the published numbers, one file per experiment."""
    return _shipped("validation")
