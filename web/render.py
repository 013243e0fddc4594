"""What every template can say: links, times, figures, icons, and where in the house the page stands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Flask, current_app, g, render_template, request
from markupsafe import Markup

from audit.report.completeness import unrecorded
from ringfence.store.filter.parser import MAX_CHARACTERS
from web import policy_view, verdicts, words
from web.guard import services
from web.permissions import ROUTES, Permission, permitted
from web.scope import scope
from web.window import PRESETS


@dataclass(frozen=True, slots=True)
class Place:
    """An entry of the rail: `key` is pressed after `g`."""

    name: str
    title: str
    path: str
    key: str


RAIL = (
    Place("overview", "Overview", "/", "o"),
    Place("flows", "Flows", "/flows", "f"),
    Place("map", "Map", "/map", "m"),
    Place("workloads", "Workloads", "/workloads", "w"),
    Place("policies", "Policies", "/policies", "p"),
    Place("findings", "Findings", "/findings", "d"),
    Place("quarantine", "Quarantine", "/quarantine", "q"),
    Place("reports", "Reports", "/reports", "r"),
    Place("audit_log", "Audit log", "/audit", "a"),
    Place("health", "Health", "/health", "h"),
)


def install(app: Flask) -> None:
    """Give the templates of an application their words."""
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters.update(
        bytes=words.in_bytes, number=words.in_number, duration=words.in_duration, iso=words.in_iso, when=when, ago=ago
    )
    app.jinja_env.globals.update(
        rail=RAIL,
        presets={name: title for name, (title, _) in PRESETS.items()},
        verdict_words={kind.value: text for kind, text in verdicts.WORDS.items()},
        longest_filter=MAX_CHARACTERS,
        decided_by=policy_view.decided_by,
        would_be_decided_by=policy_view.would_be_decided_by,
        only=lambda text, kind: verdicts.only(text, verdicts.Shown(kind)),
        assets=app.static_url_path,
        plural=words.plural,
        icon=icon,
        may=may,
        unrecorded=lambda since, until=None: unrecorded(services().state, since, until),
    )

    @app.before_request
    def remember_newest() -> None:
        """What a page shows is as of now: its stream goes on from here, not from when the browser opens it."""
        live = services().live
        g.newest = live.last() if live else ""

    @app.context_processor
    def standing() -> dict[str, Any]:
        caller = g.get("caller")
        theme = request.cookies.get("theme", "")
        return {
            "me": caller.user if caller else None,
            "theme": theme if theme in {"light", "dark"} else "system",
            "rail_closed": request.cookies.get("rail") == "closed",
            "endpoint": request.endpoint or "",
            "newest": g.get("newest", ""),
        }


def page(template: str, *, default_range: str = "1h", **context: Any) -> str:
    """A whole page, or a fragment, with the scope of the request as `scope` and its links as `here`."""
    found = scope(default_range=default_range)
    return render_template(template, scope=found, here=found.address, **context)


def may(endpoint_or_permission: str) -> bool:
    """Whether the person may use an endpoint or holds a permission: buttons that would be refused are not shown."""
    caller = g.get("caller")
    needed = ROUTES.get(endpoint_or_permission) or Permission(endpoint_or_permission)
    return permitted(caller.user.role if caller else None, needed)


def icon(name: str, title: str = "") -> Markup:
    """An icon of the sprite; without a title it is decoration."""
    if title:
        named = Markup('<svg class="icon" role="img" aria-label="{}"><use href="{}/icons.svg#{}"/></svg>')
        return named.format(title, current_app.static_url_path, name)
    plain = Markup('<svg class="icon" aria-hidden="true"><use href="{}/icons.svg#{}"/></svg>')
    return plain.format(current_app.static_url_path, name)


def when(moment: datetime | None) -> Markup:
    """A time in the person's zone, exact in its title."""
    if moment is None:
        return Markup('<span class="dim">–</span>')
    found = scope()
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        words.in_iso(moment), words.in_full(moment, found.zone), words.in_zone(moment, found.zone, found.now)
    )


def ago(moment: datetime | None) -> Markup:
    """How long ago (or until) a moment is, exact in its title."""
    if moment is None:
        return Markup('<span class="dim">–</span>')
    found = scope()
    length = (found.now - moment).total_seconds()
    text = f"in {words.in_duration(-length)}" if length < -1 else f"{words.in_duration(max(length, 0))} ago"
    return Markup('<time data-ago datetime="{}" title="{}">{}</time>').format(
        words.in_iso(moment), words.in_full(moment, found.zone), text if abs(length) >= 1 else "just now"
    )
