from __future__ import annotations

import pytest

from ringfence.errors import FilterInvalid
from ringfence.model.flow import COLUMNS
from ringfence.store.filter.fields import find_field, suggest_fields, virtual_fields


def test_every_column_is_found_by_each_of_its_names_in_any_case() -> None:
    for column in COLUMNS:
        for name in (column.name, column.ecs, *column.aliases):
            assert find_field(name.upper()).columns == (column,)


@pytest.mark.parametrize("name", ["ip", "port", "workload", "kind", "label.role"])
def test_fields_without_a_side_look_at_both_ends(name: str) -> None:
    names = [column.name for column in find_field(name).columns]
    assert any("src" in column for column in names)
    assert sorted(column.replace("src", "dst") for column in names if "src" in column) == sorted(
        column for column in names if "dst" in column
    )


def test_label_keys_keep_their_case_and_dots() -> None:
    assert find_field("Label.App.Kubernetes.io/Name").label == "App.Kubernetes.io/Name"
    assert [column.name for column in find_field("destination.label.a").columns] == ["dst_labels"]


def test_no_virtual_field_hides_a_column() -> None:
    assert not virtual_fields().keys() & {name for c in COLUMNS for name in (c.name, c.ecs, *c.aliases)}


@pytest.mark.parametrize(("name", "near"), [("sorce.ip", "source.ip"), ("prot", "port"), ("label.", "label.")])
def test_an_unknown_field_names_the_nearest(name: str, near: str) -> None:
    with pytest.raises(FilterInvalid) as caught:
        find_field(name, 7)
    assert caught.value.offset == 7
    assert near in caught.value.expected


def test_suggestions_begin_with_what_was_typed_then_contain_it() -> None:
    found = [item.name for item in suggest_fields("port")]
    assert found[0] == "port"
    assert "destination.port" in found
    assert all("port" in name for name in found)
    assert all(item.doc for item in suggest_fields(""))
    assert len(suggest_fields("", limit=5)) == 5
    assert suggest_fields("no such field") == ()
