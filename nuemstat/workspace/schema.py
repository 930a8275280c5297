"""The JSON schema of workspace documents, for readers in other languages."""

from typing import Any

from nuemstat.workspace.document import Workspace


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of ``nuemstat/workspace/1``.

    It says what each part may hold. Lengths of arrays against the axes, names against declarations and the digest
    are checked by `Workspace.read`, which no schema language can.
    """
    schema = Workspace.model_json_schema(by_alias=True)
    schema["properties"]["digest"] = {
        "type": "string",
        "pattern": "^sha256:[0-9a-f]{64}$",
        "description": "sha256 of the physics content: everything but schema, digest and provenance",
    }
    schema["required"] = ["schema", *schema["required"]]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "nuemstat/workspace/1", **schema}
