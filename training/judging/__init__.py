"""How good trained networks are on a data set: figures, files and pictures of one, or of several beside each other."""

from .config import JudgingConfig, judging_config
from .judge import judge_models
from .models import Model, open_model
from .report import Report
from .scores import ClassScores, Confusion, class_scores
from .throughput import Throughput, throughput

__all__ = [
    "ClassScores",
    "Confusion",
    "JudgingConfig",
    "Model",
    "Report",
    "Throughput",
    "class_scores",
    "judge_models",
    "judging_config",
    "open_model",
    "throughput",
]
