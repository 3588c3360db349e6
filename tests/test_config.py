"""Settings: unknown keys and impossible values are refused by name."""

import pytest

from daah.config import DEMO, PAPER, ModelConfig, from_mapping, from_text
from daah.errors import ConfigError
from daah.training.recipes.paper import PaperSettings


def test_the_presets_are_the_published_and_the_nested_code() -> None:
    assert (PAPER.bits, PAPER.lengths) == (48, (48,))
    assert (DEMO.bits, DEMO.lengths) == (256, (16, 24, 32, 48, 64, 96, 128, 256))


def test_mapping_round_trip_makes_tuples_of_lists() -> None:
    values = {"recipe": "demo", "bits": 32, "lengths": [16, 32]}
    assert from_mapping(ModelConfig, values) == ModelConfig("demo", 32, (16, 32))


def test_unknown_keys_are_named_with_the_valid_ones() -> None:
    with pytest.raises(ConfigError, match=r"\['bitz'\].*'bits'"):
        from_mapping(ModelConfig, {"bitz": 1})


@pytest.mark.parametrize("arguments", [("other", 8, (8,)), ("demo", 8, (16,)), ("demo", 8, ())])
def test_impossible_models_are_refused(arguments: tuple) -> None:
    with pytest.raises(ConfigError):
        ModelConfig(*arguments)


def test_text_sets_numbers_and_switches() -> None:
    settings = from_text(PaperSettings, "bits=24, lr=0.01, spatial_loss=false")
    assert (settings.bits, settings.lr, settings.spatial_loss) == (24, 0.01, False)
    assert from_text(PaperSettings, None) == PaperSettings()


@pytest.mark.parametrize("text", ["bits", "bits=many", "nothing=1", "spatial_loss=0"])
def test_text_that_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        from_text(PaperSettings, text)
