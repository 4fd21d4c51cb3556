"""Who evaluates networks: this process, or actors of a Ray cluster. The same task has the same accuracy everywhere."""

from .base import EvaluationError, Evaluator, Result, WorkersError
from .here import Here
from .on_ray import OnRay

__all__ = ["EvaluationError", "Evaluator", "Here", "OnRay", "Result", "WorkersError"]
