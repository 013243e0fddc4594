from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

from audit.report.document import Column, Document, Kind, Note, Section, Table
from audit.report.flow_report import make_flow_report
from audit.report.html import MOST_ROWS, render_html
from tests.support.audit_sources import denied, flow, gap, sources

HOSTILE = (
    "</style><script>alert(1)</script>\"';}@import url(//192.0.2.1/x);{{7*7}}<img src=x onerror=alert(1)>\u202e\x00"
)


class Tags(HTMLParser):
    """What a page is made of."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def hostile() -> Document:
    rows = [flow(HOSTILE, HOSTILE), denied(HOSTILE, sentence=HOSTILE, rule=HOSTILE)]
    made = make_flow_report(sources(rows, gaps=(gap(host=HOSTILE, detail=HOSTILE),)))
    return replace(made, filter=HOSTILE, parameters={HOSTILE: HOSTILE}, notes=(Note(text=HOSTILE),), statement=HOSTILE)


def test_names_chosen_by_an_attacker_stay_text() -> None:
    page = render_html(hostile())
    tags = Tags(page).found
    assert not {tag for tag, _ in tags} & {"script", "img", "link", "iframe", "object", "base"}
    assert not [name for _, attributes in tags for name in attributes if name.startswith("on")]
    assert "{{7*7}}" in page
    assert page.count("</style>") == 1
    assert "\u202e" not in page and "\x00" not in page


def test_nothing_in_the_style_can_end_the_footers_string() -> None:
    page = render_html(hostile())
    style = page.split("<style>")[1].split("</style>")[0]
    footer = re.search(r'content: "([^"\n]*)"; white-space: pre', style)
    assert footer is not None
    assert re.fullmatch(r"(?:[A-Za-z0-9]|\\[0-9a-f]{6})*", footer[1])
    assert "@import" not in style and "url(" not in style


def test_the_page_needs_nothing_else_and_its_own_policy_lets_nothing_else_in() -> None:
    page = render_html(hostile())
    for _, attributes in Tags(page).found:
        for name in ("src", "href"):
            assert (attributes.get(name) or "#").startswith("#")
    style = page.split("<style>")[1].split("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}'" in page.replace("&#39;", "'")


def test_window_zone_filter_and_digest_stand_in_the_head_and_the_footer() -> None:
    document = make_flow_report(sources([flow()], text="port: 5432"))
    page = render_html(document)
    assert document.digest in page and "port: 5432" in page and "2026-11-24 08:00:00" in page
    footer = page.split("<style>")[1].split("</style>")[0]
    assert document.digest in footer
    assert "counter(page)" in footer and "counter(pages)" in footer
    assert "prefers-color-scheme" in footer or "light-dark(" in footer
    assert "color-scheme: only light" in footer


def test_verdicts_have_a_word_and_a_shape() -> None:
    page = render_html(make_flow_report(sources([flow(), denied()])))
    assert re.search(r'class="mark denied"><svg[^>]*><use href="#i-denied"/></svg>denied<', page)
    assert re.search(r'class="mark allowed"><svg[^>]*><use href="#i-allowed"/></svg>allowed<', page)


def test_a_very_long_table_is_cut_and_says_so() -> None:
    table = Table(
        key="t",
        title="T",
        columns=(Column(title="n", kind=Kind.NUMBER, bar=True),),
        rows=tuple((number,) for number in range(MOST_ROWS + 1)),
        empty="",
    )
    document = replace(make_flow_report(sources([])), sections=(Section(key="s", title="S", tables=(table,)),))
    page = render_html(document)
    assert page.count("<tr>") == MOST_ROWS + 1
    assert f"The first {MOST_ROWS:,} of {MOST_ROWS + 1:,} rows" in page
