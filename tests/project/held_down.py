"""Run the numerical tests with every library held to an older instruction set.

    python tests/project/held_down.py                           the tests named in NUMERICAL
    python tests/project/held_down.py --level SSE4 tests/models     others, and a level of choice

Rounding differs from one instruction set to the next, so a test that compares with what one
processor printed fails on another. The level is AVX2 where the processor has AVX-512, and SSE4
where AVX2 is all that it has, so that the arithmetic differs from that of an ordinary run. Before
pytest starts, the libraries are asked what they compute with under the level's variables. If one of
them took no effect, nothing is run and the exit code is 1.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Level:
    """An instruction set. answers: what each library then says that it computes with."""

    variables: Mapping[str, str]
    answers: Mapping[str, str]


#: What holds each library down; MKL knows no way to be asked on every processor. SSE4 is as low as
#: NumPy goes (X86_V2 is built in, so it finds nothing further) and oneDNN has kernels of its own.
LEVELS = {
    "AVX2": Level(
        {
            "ATEN_CPU_CAPABILITY": "avx2",
            "ONEDNN_MAX_CPU_ISA": "AVX2",
            "MKL_ENABLE_INSTRUCTIONS": "AVX2",
            "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
            "OPENBLAS_CORETYPE": "Haswell",
            "FAISS_SIMD_LEVEL": "AVX2",
        },
        {
            "PyTorch": "AVX2",
            "oneDNN": "Intel AVX2",
            "NumPy": "X86_V3",
            "OpenBLAS": "Haswell",
            "faiss": "AVX2",
        },
    ),
    "SSE4": Level(
        {
            "ATEN_CPU_CAPABILITY": "default",
            "ONEDNN_MAX_CPU_ISA": "SSE41",
            "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
            "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
            "OPENBLAS_CORETYPE": "Nehalem",
            "FAISS_SIMD_LEVEL": "NONE",
        },
        {
            "PyTorch": "DEFAULT",
            "oneDNN": "Intel SSE4.1",
            "NumPy": "",
            "OpenBLAS": "Nehalem",
            "faiss": "NONE",
        },
    ),
}

#: Tests whose outcome is a number that an instruction set may round differently: networks, their
#: gradients and masks (PyTorch, oneDNN), the detector, rotations, kernels and spectra of the
#: baselines (NumPy's BLAS, faiss), what is fitted or drawn by scikit-learn, metrics, and Hamming
#: search, which each library has its own instructions for. The rest computes with the same parts.
NUMERICAL = (
    "tests/models",
    "tests/training/recipes",
    "tests/comparison/methods",
    "tests/stores/test_sqlite.py",
    "tests/test_codes.py",
    "tests/evaluation/test_unseen_people.py",
    "tests/retrieval/test_explain.py",
    "tests/detection",
    "tests/training/test_losses.py",
    "tests/metrics",
    "tests/evaluation/test_dlib_itq.py",
    "tests/gallery/test_map.py",
)

_ONEDNN = re.compile(r"^onednn_verbose,.*,cpu,isa:(.+)$", re.MULTILINE)


def arithmetic(environment: Mapping[str, str]) -> dict[str, str]:
    """Ask each library what it computes with in a new process of this environment.

    Returns: by the names in `Level.answers`.
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


def lower(answers: Mapping[str, str]) -> str:
    """The level below what the libraries of this machine compute with by themselves."""
    return "SSE4" if answers["PyTorch"] in ("AVX2", "DEFAULT") else "AVX2"


def unheld(level: Level, answers: Mapping[str, str]) -> list[str]:
    """Say which libraries compute with something else than they are held to."""
    return [
        f"{name} computes with {answers.get(name)!r}, expected {expected!r}"
        for name, expected in level.answers.items()
        if answers.get(name) != expected
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
        "NumPy": " ".join(np.show_config(mode="dicts")["SIMD Extensions"].get("found", ())),
        "OpenBLAS": " ".join(sorted(blas)),
        "faiss": faiss.SIMDConfig.get_level_name(),
    }
    print(json.dumps(answers))


def main(arguments: list[str]) -> int:
    if arguments == ["--answer"]:
        _answer()
        return 0
    if arguments[:1] == ["--level"]:
        name, arguments = arguments[1], arguments[2:]
    else:
        every = {variable for level in LEVELS.values() for variable in level.variables}
        name = lower(arithmetic({k: v for k, v in os.environ.items() if k not in every}))
    level = LEVELS[name]
    environment = {**os.environ, **level.variables}
    answers = arithmetic(environment)
    told = ", ".join(f"{library} {answers[library]}" for library in level.answers)
    print(f"held down to {name}: {told}", flush=True)
    for problem in (problems := unheld(level, answers)):
        print(problem, file=sys.stderr)
    if problems:
        return 1
    if not any(Path(argument.partition("::")[0]).exists() for argument in arguments):
        arguments = [*arguments, *NUMERICAL]
        os.chdir(Path(__file__).resolve().parents[2])
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], env=environment).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
