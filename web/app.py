"""The Flask application: guard, pages and API over the services it is given."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from flask import Flask
from flask_limiter import Limiter
from flask_wtf.csrf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

from web import guard, problems, render
from web.address import Name, WholeNumber
from web.api import blueprint as api
from web.assets import KEPT_SECONDS, address_of_assets
from web.attempts import ACCOUNT_LIMIT, PEER_LIMIT, by_account, by_peer
from web.pages import BLUEPRINTS
from web.secret import load_secret
from web.services import Services

LARGEST_BODY = 2 * 1024 * 1024
LIMITED = ("account.login_submit", "account.invited_submit", "account.invited", "account.password")
ROOT = Path(__file__).parent


def create_app(services: Services) -> Flask:
    """Build the application; the key of its cookies is kept in the data folder."""
    app = Flask("web", root_path=str(ROOT), static_url_path=address_of_assets(ROOT / "static"))
    app.config.update(
        SECRET_KEY=load_secret(services.config.general.data_dir / "web" / "session.key"),
        MAX_CONTENT_LENGTH=LARGEST_BODY,
        MAX_FORM_MEMORY_SIZE=LARGEST_BODY,
        MAX_FORM_PARTS=200,
        SEND_FILE_MAX_AGE_DEFAULT=KEPT_SECONDS,
        SESSION_COOKIE_NAME="ringfence",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=services.config.web.public_url.startswith("https://"),
        PERMANENT_SESSION_LIFETIME=timedelta(hours=services.config.web.session_hours),
        SESSION_REFRESH_EACH_REQUEST=False,
        WTF_CSRF_CHECK_DEFAULT=False,  # the guard checks, so that bearer tokens need no form token
        WTF_CSRF_TIME_LIMIT=None,  # lives as long as the session
        WTF_CSRF_SSL_STRICT=False,  # our own Referrer-Policy leaves no referrer to compare
        RATELIMIT_HEADERS_ENABLED=True,
    )
    if proxies := services.config.web.trusted_proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies)  # type: ignore[method-assign]
    app.extensions["ringfence"] = services
    app.url_map.converters |= {"default": Name, "int": WholeNumber}
    app.json.sort_keys = False  # type: ignore[attr-defined]
    csrf = CSRFProtect(app)
    guard.install(app, csrf)
    problems.install(app)
    render.install(app)
    for blueprint in (*BLUEPRINTS, api):
        app.register_blueprint(blueprint)
    _limit_attempts(app)
    return app


def _limit_attempts(app: Flask) -> None:
    """Guessing is slow, from one place and for one account; counts are kept in this process."""
    limiter = Limiter(by_peer, app=app, storage_uri="memory://", headers_enabled=True)
    for endpoint in LIMITED:
        limited: Any = limiter.limit(PEER_LIMIT)(app.view_functions[endpoint])
        app.view_functions[endpoint] = limited
    submit: Any = limiter.limit(ACCOUNT_LIMIT, key_func=by_account)(app.view_functions["account.login_submit"])
    app.view_functions["account.login_submit"] = submit
