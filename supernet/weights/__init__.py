"""Weights in and out: file formats, timm's and the authors' names, other class counts and resolutions."""

from .files import WeightsError
from .fitting import LoadReport
from .loading import load_weights, save_weights

__all__ = ["LoadReport", "WeightsError", "load_weights", "save_weights"]
