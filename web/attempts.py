"""Attempts to sign in, told apart so that they can be limited: by where they come from, and by whose account it is."""

from __future__ import annotations

import secrets
from ipaddress import IPv4Address, IPv6Network, ip_address

from flask import Response, after_this_request, current_app, request
from itsdangerous import BadSignature, URLSafeTimedSerializer

from web.guard import origin

PEER_LIMIT = "10 per minute; 60 per hour"
ACCOUNT_LIMIT = "10 per minute; 60 per hour"
COOKIE = "ringfence_known"
REMEMBERED_SECONDS = 90 * 24 * 3600
SITE_BITS = 64
"""What one IPv6 customer has at least: whoever has one address has all of its /64."""


def peer_of(address: str) -> str:
    """Where an attempt comes from: an IPv4 address, or the /64 of an IPv6 one."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv4Address):
        return str(found)
    return str(found.ipv4_mapped or IPv6Network((int(found), SITE_BITS), strict=False))


def by_peer() -> str:
    return peer_of(origin())


def by_account() -> str:
    """Whose account it is; a browser that has signed in to it before counts by itself.

    So many addresses together guess no faster than one, and yet lock nobody out of a browser they know.
    """
    name = request.form.get("name", "").strip().lower()[:64]
    try:
        known, browser = _signer().loads(request.cookies.get(COOKIE, ""), max_age=REMEMBERED_SECONDS)
    except (BadSignature, ValueError, TypeError):
        return f"account {name}"
    return f"browser {browser}" if known == name else f"account {name}"


def remember_browser(name: str) -> None:
    """Let the browser of this request, which has just signed in, count by itself from now on."""
    value = _signer().dumps([name, secrets.token_urlsafe(16)])

    @after_this_request
    def give(response: Response) -> Response:
        response.set_cookie(
            COOKIE,
            value,
            max_age=REMEMBERED_SECONDS,
            path="/login",
            secure=current_app.config["SESSION_COOKIE_SECURE"],
            httponly=True,
            samesite="Strict",
        )
        return response


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(str(current_app.secret_key), salt="known browser")
