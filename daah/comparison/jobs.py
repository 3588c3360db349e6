"""Settings of the comparison, and the jobs that they result in."""

from __future__ import annotations

from dataclasses import dataclass, field

from daah.comparison.methods import ABLATION, METHODS
from daah.comparison.methods.base import Budget
from daah.errors import ConfigError

#: Descriptor of the shallow methods in the main table; the others have a table of their own.
MAIN_FEATURE = "LBP"
FEATURES = ("LBP", "pixels", "trunk")
#: Code length of the rows with several seeds, and of the ablation.
MAIN_BITS = 48
TUNING_BITS = 24


@dataclass(frozen=True)
class ComparisonSettings:
    """Settings of the comparison.

    Attributes:
        methods: names of the methods, keys of `METHODS`.
        bits: code lengths.
        seeds: number of seeds at `MAIN_BITS`; other lengths have one.
        budget: training budget of every deep method.
        start_epochs: epochs of the common initialisation.
        tuning: share of the budget's epochs per tuning run; 0 disables tuning.
        features: whether shallow methods are also run on the other descriptors.
        ablation: whether the ablation of DDAH is run.

    Raises:
        ConfigError: a method is unknown, or a length or the number of seeds is below 1.
    """

    methods: tuple[str, ...] = tuple(METHODS)
    bits: tuple[int, ...] = (12, 24, 36, 48)
    seeds: int = 3
    budget: Budget = field(default_factory=Budget)
    start_epochs: int = 12
    tuning: float = 0.5
    features: bool = True
    ablation: bool = True

    def __post_init__(self) -> None:
        unknown = sorted(set(self.methods) - set(METHODS))
        if unknown:
            raise ConfigError(f"unknown methods {unknown}; there are {sorted(METHODS)}")
        if not self.bits or min(self.bits) < 1 or self.seeds < 1:
            raise ConfigError(f"expected code lengths and seeds of at least 1, got {self}")


@dataclass(frozen=True)
class Job:
    """One unit of work; `name` is also the name of its result's file.

    Attributes:
        stage: "tune", "row", "feature" or "ablation".
        method: name of the method.
        bits: code length.
        seed: seed of the run.
        variant: number of the tuning run, name of the descriptor or of the ablation; else "".
    """

    stage: str
    method: str
    bits: int
    seed: int
    variant: str = ""

    @property
    def name(self) -> str:
        """Unique, and fit for a file."""
        text = f"{self.stage} {self.method} {self.bits} {self.seed} {self.variant}".strip()
        return "-".join(text.split())


def jobs(settings: ComparisonSettings) -> list[Job]:
    """All jobs in the order in which they run: a whole table first, its spread over seeds later.

    Args:
        settings: the settings.

    Returns:
        The jobs.
    """
    main = MAIN_BITS if MAIN_BITS in settings.bits else max(settings.bits)
    lengths = [main, *sorted(set(settings.bits) - {main}, key=lambda b: abs(b - 24))]
    listed: list[Job] = []
    if settings.tuning:
        for name in settings.methods:
            tries = METHODS[name].tries
            if len(tries) > 1:
                listed += [Job("tune", name, TUNING_BITS, 0, str(i)) for i in range(len(tries))]
    listed += [Job("row", name, b, 0) for b in lengths for name in settings.methods]
    if settings.features:
        shallow = [n for n in settings.methods if METHODS[n].kind == "shallow" and n != "LBP"]
        others = [f for f in FEATURES if f != MAIN_FEATURE]
        listed += [
            Job("feature", n, b, 0, f)
            for f in others
            for b in sorted(settings.bits)
            for n in shallow
        ]
    variants = tuple(ABLATION) if settings.ablation and "DDAH" in settings.methods else ()
    listed += [Job("ablation", "DDAH", main, 0, v) for v in variants]
    again = range(1, settings.seeds)
    listed += [Job("row", name, main, seed) for seed in again for name in settings.methods]
    listed += [Job("ablation", "DDAH", main, seed, v) for seed in again for v in variants]
    return listed
