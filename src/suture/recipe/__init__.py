"""Recipes: YAML <-> frozen Recipe, every problem at once. The field's own format, and roles, seeds and rounding.

values       parameter values: scalars, gradients over layers, lists of {filter, value}
references   what a model reference says: path, revision, adapter
tokenizer    what the output's vocabulary is to be
schema       the keys of a recipe
order        the models of a section as the method sees them
lookup       which value a parameter has for one tensor
check        what a recipe shows to be wrong before any model is seen
load         files and texts, one document or several
compat       recipes of mergekit 0.1.5, turned into ours
templates    chat templates by name
"""

from suture.recipe.load import load_recipe, parse_recipe
from suture.recipe.schema import ModelEntry, Recipe, Value
from suture.recipe.tokenizer import TokenizerRequest, TokenSource

__all__ = ["ModelEntry", "Recipe", "TokenSource", "TokenizerRequest", "Value", "load_recipe", "parse_recipe"]
