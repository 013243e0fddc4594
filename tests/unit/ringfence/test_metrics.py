from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from ringfence.metrics import REGISTRY, exposition


def test_every_metric_is_ours_and_explained() -> None:
    families = list(REGISTRY.collect())
    assert families
    assert all(family.name.startswith("ringfence_") for family in families)
    assert all(family.documentation.endswith(".") for family in families)


def test_the_exposition_can_be_parsed() -> None:
    names = {family.name for family in text_string_to_metric_families(exposition().decode())}
    assert {family.name for family in REGISTRY.collect()} <= names
