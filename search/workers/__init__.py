"""Who evaluates networks: this process, or actors of a Ray cluster. The same task has the same accuracy everywhere."""

from .base import Evaluator, Result, WorkersError
from .here import Here
from .on_ray import OnRay

__all__ = ["Evaluator", "Here", "OnRay", "Result", "WorkersError"]
