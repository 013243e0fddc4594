"""The pages, a blueprint each: thin views over plain questions."""

from __future__ import annotations

from flask import Blueprint

from web.pages.account import blueprint as account
from web.pages.audit_log import blueprint as audit_log
from web.pages.changes import blueprint as changes
from web.pages.findings import blueprint as findings
from web.pages.flows import blueprint as flows
from web.pages.health import blueprint as health
from web.pages.map import blueprint as map_
from web.pages.overview import blueprint as overview
from web.pages.policies import blueprint as policies
from web.pages.probes import blueprint as probes
from web.pages.quarantine import blueprint as quarantine
from web.pages.reports import blueprint as reports
from web.pages.users import blueprint as users
from web.pages.workloads import blueprint as workloads

BLUEPRINTS: tuple[Blueprint, ...] = (
    account,
    audit_log,
    changes,
    findings,
    flows,
    health,
    map_,
    overview,
    policies,
    probes,
    quarantine,
    reports,
    users,
    workloads,
)
