"""Coverage-guided fuzzing of one door: `python tests/fuzz/fuzz.py DOOR [--seconds 600]`.

Needs `pip install atheris`. What breaks a door is kept in tests/fuzz/corpus/DOOR, where pytest
tries it from then on; mend the code, and commit both. What only found new code is forgotten.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
import traceback
from pathlib import Path

import atheris

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

with atheris.instrument_imports(include=["daah", "PIL", "safetensors", "click", "typer", "csv"]):
    from tests.fuzz.doors import open_doors

CORPUS = HERE / "corpus"


def main() -> None:
    """Read the command line and fuzz until the time is over."""
    with tempfile.TemporaryDirectory() as scratch:
        doors = open_doors(Path(scratch))
        parser = argparse.ArgumentParser(description=__doc__)
        parser.add_argument("door", choices=doors)
        parser.add_argument("--seconds", type=int, default=600)
        parser.add_argument("--longest", type=int, default=20_000, help="bytes of an input")
        asked = parser.parse_args()
        door, stored = doors[asked.door](), CORPUS / asked.door
        seeds = Path(scratch) / "seeds"
        seeds.mkdir()
        known = [path.read_bytes() for path in stored.glob("*")] if stored.is_dir() else []
        for data in [*door.seeds, *known]:
            (seeds / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)

        def once(data: bytes) -> None:
            try:
                door.check(data)
            except Exception:
                stored.mkdir(parents=True, exist_ok=True)
                (stored / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
                traceback.print_exc()
                raise

        limits = [f"-max_total_time={asked.seconds}", f"-max_len={asked.longest}", "-timeout=120"]
        limits += ["-rss_limit_mb=3000", f"-artifact_prefix={scratch}/"]
        atheris.Setup([sys.argv[0], *limits, str(seeds)], once)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
