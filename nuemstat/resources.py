"""Finds the shipped models, validation files and data tables, from a checkout or from an installed wheel."""

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


def validation_folder() -> Path:
    """The folder with the published numbers, one file per experiment."""
    return _shipped("validation")
