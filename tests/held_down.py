"""Run pytest with every numerical library held to AVX2: `python tests/held_down.py tests/models`.

Rounding differs from one instruction set to the next, so a test that compares with what one
processor printed fails on another. Before pytest starts, the libraries are asked what they compute
with under the variables below. If one of them took no effect, nothing is run and the exit code is
1. Without arguments for pytest, that question is all.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping

#: What holds each library down; MKL knows no way to be asked on every processor.
VARIABLES = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    "OPENBLAS_CORETYPE": "Haswell",
    "FAISS_SIMD_LEVEL": "AVX2",
}

#: What each library then answers.
HELD = {
    "PyTorch": "AVX2",
    "oneDNN": "Intel AVX2",
    "NumPy": "X86_V3",
    "OpenBLAS": "Haswell",
    "faiss": "AVX2",
}

_ONEDNN = re.compile(r"^onednn_verbose,.*,cpu,isa:(.+)$", re.MULTILINE)


def arithmetic(environment: Mapping[str, str]) -> dict[str, str]:
    """Ask each library what it computes with in a new process of this environment.

    Returns: names as in `HELD`.
    Raises: RuntimeError when the process fails.
    """
    answered = subprocess.run(
        [sys.executable, __file__, "--answer"],
        env=environment,
        capture_output=True,
        text=True,
    )
    isa = _ONEDNN.search(answered.stdout)
    if answered.returncode or isa is None:
        raise RuntimeError(f"the libraries do not answer: {answered.stdout}{answered.stderr}")
    return {"oneDNN": isa[1], **json.loads(answered.stdout.splitlines()[-1])}


def unheld(answers: Mapping[str, str]) -> list[str]:
    """Say which libraries compute with something else than they are held to."""
    return [
        f"{name} computes with {answers.get(name)}, expected {level}"
        for name, level in HELD.items()
        if answers.get(name) != level
    ]


def _answer() -> None:
    import faiss
    import numpy as np
    import scipy.linalg  # noqa: F401  # it brings an OpenBLAS of its own
    import threadpoolctl
    import torch

    # oneDNN has no call for it that Python reaches; its log says it at the first operation.
    with torch.backends.mkldnn.verbose(torch.backends.mkldnn.VERBOSE_ON), torch.inference_mode():
        torch.nn.Conv2d(16, 16, 3)(torch.zeros(4, 16, 64, 64))
    blas = {
        library["architecture"]
        for library in threadpoolctl.threadpool_info()
        if library["internal_api"] == "openblas"
    }
    answers = {
        "PyTorch": torch.backends.cpu.get_cpu_capability(),
        "NumPy": " ".join(np.show_config(mode="dicts")["SIMD Extensions"]["found"]),
        "OpenBLAS": " ".join(sorted(blas)),
        "faiss": faiss.SIMDConfig.get_level_name(),
    }
    print(json.dumps(answers))


def main(arguments: list[str]) -> int:
    if arguments == ["--answer"]:
        _answer()
        return 0
    environment = {**os.environ, **VARIABLES}
    answers = arithmetic(environment)
    print("held down to AVX2:", ", ".join(f"{name} {answers[name]}" for name in HELD), flush=True)
    for problem in (problems := unheld(answers)):
        print(problem, file=sys.stderr)
    if problems or not arguments:
        return len(problems) > 0
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], env=environment).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
