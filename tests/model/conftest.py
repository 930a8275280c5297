"""What tests of models share."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from nuemstat.resources import models_folder


@pytest.fixture
def edited(tmp_path: Path) -> Callable[..., Path]:
    """A copy of a shipped model with pieces of its text replaced."""

    def edit(model: str, *pairs: tuple[str, str]) -> Path:
        folder = tmp_path / model
        shutil.copytree(models_folder() / model, folder)
        text = (folder / "model.yaml").read_text()
        for old, new in pairs:
            assert old in text
            text = text.replace(old, new, 1)
        (folder / "model.yaml").write_text(text)
        return folder / "model.yaml"

    return edit
