"""From a trained network to the files that devices run, and the proof that they compute the same."""

from supernet import fuse_part

from .coreml_program import run_package
from .errors import DeployError, ExportError, PackageError
from .packages import Credits, package_hash
from .to_coreml import TARGET, TARGETS, Offer, export_coreml
from .to_onnx import export_onnx
from .to_torch import export_torch
from .to_torchscript import export_torchscript
from .tracing import ExportReport
from .verify import Difference, verify_coreml, verify_onnx, verify_torchscript

__all__ = [
    "TARGET",
    "TARGETS",
    "Credits",
    "DeployError",
    "Difference",
    "ExportError",
    "ExportReport",
    "Offer",
    "PackageError",
    "export_coreml",
    "export_onnx",
    "export_torch",
    "export_torchscript",
    "fuse_part",
    "package_hash",
    "run_package",
    "verify_coreml",
    "verify_onnx",
    "verify_torchscript",
]
