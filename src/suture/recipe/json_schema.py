"""The JSON Schema of recipes, for editors: made from the keys of the schema and the methods that are installed."""

from __future__ import annotations

import json

from suture.methods.registry import METHODS, PRESETS
from suture.recipe.schema import Recipe
from suture.recipe.templates import AUTO, TEMPLATES

TITLE = "Suture recipe"


def recipe_schema() -> str:
    """Return the schema as JSON text."""
    found = Recipe.model_json_schema()
    definitions = found["$defs"]
    properties = definitions["Recipe"]["properties"] if "Recipe" in definitions else found["properties"]
    properties["merge_method"] |= {"enum": [*METHODS, *PRESETS], "description": "The merge method; see suture methods."}
    properties["chat_template"] |= {"examples": [AUTO, *TEMPLATES]}
    found = {"$schema": "https://json-schema.org/draft/2020-12/schema", **found, "title": TITLE}
    return json.dumps(found, indent=1, sort_keys=True) + "\n"
