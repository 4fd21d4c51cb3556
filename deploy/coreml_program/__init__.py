"""A saved Core ML package, read as a program and run without Core ML, over PyTorch."""

from .program import Operation, Program, TensorType
from .reading import read_program
from .running import run_package, run_program

__all__ = ["Operation", "Program", "TensorType", "read_program", "run_package", "run_program"]
