"""Reports of measurements: the machine they were made on, and where they are written."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def processor() -> str:
    """The name of the processor, as the system has it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def machine() -> dict[str, Any]:
    """What a reader has to know of this machine to compare times.

    Returns:
        Name, number and kind of processors, and the load at this moment.
    """
    return {
        "processor": processor(),
        "processors": len(os.sched_getaffinity(0)),
        "busy before (load)": round(os.getloadavg()[0], 1),
        "kind": platform.machine(),
    }


def write(report: Mapping[str, Any], file: Path | None) -> None:
    """Write a report as JSON.

    Args:
        report: plain JSON values.
        file: where to; None prints it.
    """
    text = json.dumps(report, indent=1, allow_nan=False) + "\n"
    if file is None:
        sys.stdout.write(text)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
