"""What `import supernet` brings in."""

import subprocess
import sys


def test_import_is_light():
    heavy = ("ray", "optuna", "coremltools", "onnxruntime", "matplotlib", "pandas", "tensorboard")
    code = f"import supernet, sys; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
