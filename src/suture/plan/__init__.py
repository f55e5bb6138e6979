"""(Recipe, headers) -> Plan: ordered tensor jobs, bytes, every refusal; reads no weight and explains itself.

jobs       what a plan is: tensor jobs, inputs that are earlier stages, the whole
models     references -> headers, configs, structure; what keeps models from one another
targets    which tensors the output has, from which of each model, at which position of the layers
arguments  the parameters of each tensor, and what is wrong with them
known      what plans of the same parents share
build      the plan of a recipe and its stages
"""

from suture.plan.build import make_plan
from suture.plan.jobs import Plan, Roles, StagedInput, TensorJob
from suture.plan.known import Known

__all__ = ["Known", "Plan", "Roles", "StagedInput", "TensorJob", "make_plan"]
