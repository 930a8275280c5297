"""The published JSON schema is that of the code, and the shipped workspaces fit it."""

import json
from pathlib import Path

import jsonschema
import pytest

from nuemstat.model.compiler import compile_model
from nuemstat.model.loader import load_model
from nuemstat.workspace.schema import json_schema

PUBLISHED = Path(__file__).parents[2] / "docs" / "workspace-1.schema.json"


def test_the_published_schema_is_that_of_the_code() -> None:
    assert json.loads(PUBLISHED.read_text()) == json_schema()


@pytest.mark.parametrize("name", ["lz_sr1", pytest.param("coherent_csi", marks=pytest.mark.slow), "dresden2"])
def test_workspaces_fit_the_schema_and_damaged_ones_do_not(name: str) -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    document = json.loads(compile_model(load_model(name)).to_json())
    validator.validate(document)
    for damage in ({"channels": []}, {"schema": "nuemstat/workspace/2"}, {"digest": "md5:0"}, {"extra": 1}):
        assert not validator.is_valid(document | damage)
    del document["channels"][0]["observed"]
    assert not validator.is_valid(document)
