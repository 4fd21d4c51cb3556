"""What `import supernet` brings in, and what it costs."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout.strip()


def test_heavy_packages_stay_out():
    heavy = ("ray", "optuna", "coremltools", "onnxruntime", "matplotlib", "pandas", "tensorboard", "timm")
    assert run(f"import supernet, sys; print([name for name in {heavy} if name in sys.modules])") == "[]"


def test_import_time():
    """Less than 1 s on top of torch, in processor time, so that a busy machine does not decide."""
    code = "import time, torch; start = time.process_time(); import supernet; print(time.process_time() - start)"
    assert any(float(run(code)) < 1 for _ in range(2))
