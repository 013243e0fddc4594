"""Edges between workloads."""

from __future__ import annotations

from datetime import timedelta

from ringfence.store.flows import FlowQuery
from tests.support.site import Site
from web.bar import read_bar
from web.edges import OUTSIDE, Edges, bundle_of, compared, edge_filter, edges_of, group_of, nodes_of
from web.verdicts import Shown


def today(shop: Site) -> Edges:
    now = shop.clock()
    return edges_of(shop.flows, FlowQuery(start=now - timedelta(days=1), end=now))


def test_each_pair_is_one_edge_and_the_denied_come_first(shop: Site) -> None:
    edges = today(shop).edges
    assert len({edge.key for edge in edges}) == len(edges)
    assert {(edge.src_name, edge.dst_name) for edge in edges[:2]} == {("coupon", "db"), ("coupon", "cache")}
    assert edges[0].shown is Shown.DENIED
    assert sum(port.flows for port in edges[0].ports) == edges[0].flows == 24


def test_the_filter_of_an_edge_finds_exactly_its_flows(shop: Site) -> None:
    now = shop.clock()
    edges = edges_of(shop.flows, FlowQuery(start=now - timedelta(days=1), end=now)).edges
    assert OUTSIDE in {edge.dst_name for edge in edges}
    for edge in edges:
        bar = read_bar(edge_filter(edge))
        assert bar.valid, bar.error
        query = FlowQuery(start=now - timedelta(days=1), end=now, filter=bar.filter)
        assert shop.flows.search(query, limit=1).total == edge.flows


def test_what_is_new_and_what_is_gone_is_said(shop: Site) -> None:
    edges = today(shop)
    nothing = Edges(edges=(), complete=True)
    assert {edge.change for edge in compared(edges, nothing)} == {"new"}
    assert {edge.change for edge in compared(nothing, edges)} == {"gone"}
    assert {edge.change for edge in compared(edges, edges)} == {""}


def test_nodes_stand_in_their_groups_and_silent_workloads_are_there_too(shop: Site) -> None:
    known = shop.workloads()
    nodes = {node.name: node for node in nodes_of((), known.values(), "network", frozenset({known["db"].id}))}
    assert len(nodes) == 12
    assert nodes["db"].quarantined
    assert nodes["api"].group == "shop_backend + shop_frontend"
    assert group_of(known["db"], "project") == "shop"
    assert group_of(known["db"], "host") == "shop-1"
    assert group_of(known["db"], "label.role") == "db"
    assert group_of(known["db"], "none") == ""


def test_all_edges_between_two_groups_are_found_by_the_name_of_their_line(shop: Site) -> None:
    edges = today(shop).edges
    nodes = nodes_of(edges, shop.workloads().values(), "label.app", frozenset())
    bundle = bundle_of(edges, nodes, "group:shop>group:shop")
    known = {item.id for item in shop.workloads().values()}
    assert bundle is not None
    assert {edge.key for edge in bundle.edges} == {edge.key for edge in edges if known >= set(edge.key)}
    assert (bundle.src, bundle.dst, bundle.shown) == ("shop", "shop", Shown.DENIED)
    assert [edge.denied for edge in bundle.edges] == sorted((edge.denied for edge in bundle.edges), reverse=True)
    assert bundle_of(edges, nodes, "group:shop>group:nobody") is None
    assert bundle_of(edges, nodes, "shop>shop") is None
