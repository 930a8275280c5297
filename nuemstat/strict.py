"""The base of every document that users write or read: unknown keys refused, values frozen, one clear line."""

import re
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from nuemstat.errors import suggestion

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]
"""What RooFit, pyhf and Python all accept as a name."""


class Strict(BaseModel):
    """A frozen document part; keys that it does not know are an error that lists the ones it does."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:
        if isinstance(data, dict):
            known = [field.alias or name for name, field in cls.model_fields.items()]
            for key in data:
                if key not in known and key not in cls.model_fields:
                    hint = suggestion(str(key), known)
                    raise PydanticCustomError(
                        "unknown_key", "{text}", {"text": f"unknown key {key!r}; allowed are {', '.join(known)}{hint}"}
                    )
        return data


def tupled(data: Any) -> Any:
    """Parsed JSON or YAML with tuples for lists, as frozen documents hold them."""
    if isinstance(data, dict):
        return {key: tupled(value) for key, value in data.items()}
    return tuple(tupled(value) for value in data) if isinstance(data, list) else data


def one_line(error: ValidationError) -> str:
    """The first complaint of a validation as ``key.path: found ..., allowed ...``."""
    found_errors = error.errors(include_url=False)
    places = [e["loc"] for e in found_errors]  # a part that fails makes its parent fail too: name the innermost
    errors = [e for e in found_errors if not any(p != e["loc"] and p[: len(e["loc"])] == e["loc"] for p in places)]
    # Of two ways to write a part, a mapping was not meant as the list.
    errors = [e for e in errors if not (e["type"] == "tuple_type" and isinstance(e.get("input"), dict))] or errors
    first = errors[0]
    where = ".".join(str(part) for part in first["loc"]) or "top level"
    message = first["msg"].removeprefix("Value error, ")
    found = first.get("input")
    if first["type"] not in ("unknown_key", "value_error", "missing") and not isinstance(found, dict | list | tuple):
        message = f"found {found!r}; {message[0].lower()}{message[1:]}"
    if first["type"] == "union_tag_invalid":
        known = [word.strip("' ") for word in first["ctx"]["expected_tags"].split(",")]
        tag = first["ctx"]["tag"]
        message = f"type: found {tag!r}; allowed are {', '.join(known)}{suggestion(tag, known)}"
    if first["type"] == "literal_error" and isinstance(found, str):
        known = re.findall(r"'([^']*)'", first["ctx"]["expected"])
        message += suggestion(found, known)
    if first["type"] == "missing":
        message = "this key is required and is not there"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{where}: {message}{more}"
