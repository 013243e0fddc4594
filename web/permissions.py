"""Who may do what: one table of roles, one table of routes. A route that is not in the table is refused."""

from __future__ import annotations

from enum import StrEnum

from ringfence.store.state import Role


class Permission(StrEnum):
    """`PUBLIC` needs no login; `SIGNED_IN` is for one's own account."""

    PUBLIC = "public"
    SIGNED_IN = "signed in"
    VIEW = "view"
    EXPORT = "export"
    HANDLE_FINDINGS = "handle findings"
    QUARANTINE = "quarantine"
    EDIT_POLICY = "edit policy"
    MAKE_REPORTS = "make reports"
    READ_AUDIT = "read audit"
    READ_METRICS = "read metrics"
    MANAGE_USERS = "manage users"


_P = Permission
_EVERYONE = frozenset({_P.PUBLIC, _P.SIGNED_IN, _P.VIEW})

GRANTS: dict[Role, frozenset[Permission]] = {
    Role.VIEWER: _EVERYONE,
    Role.AUDITOR: _EVERYONE | {_P.EXPORT, _P.MAKE_REPORTS, _P.READ_AUDIT},
    Role.OPERATOR: _EVERYONE
    | {_P.EXPORT, _P.HANDLE_FINDINGS, _P.QUARANTINE, _P.EDIT_POLICY, _P.MAKE_REPORTS, _P.READ_METRICS},
    Role.ADMIN: frozenset(Permission),
}

ROUTES: dict[str, Permission] = {
    "static": _P.PUBLIC,
    "probes.alive": _P.PUBLIC,
    "probes.ready": _P.PUBLIC,
    "probes.metrics": _P.READ_METRICS,
    "account.login": _P.PUBLIC,
    "account.login_submit": _P.PUBLIC,
    "account.invited": _P.PUBLIC,
    "account.invited_submit": _P.PUBLIC,
    "account.logout": _P.SIGNED_IN,
    "account.show": _P.SIGNED_IN,
    "account.password": _P.SIGNED_IN,
    "account.end_sessions": _P.SIGNED_IN,
    "account.new_token": _P.SIGNED_IN,
    "account.revoke_token": _P.SIGNED_IN,
    "users.show": _P.MANAGE_USERS,
    "users.invite": _P.MANAGE_USERS,
    "users.change": _P.MANAGE_USERS,
    "changes.stream": _P.VIEW,
    "overview.show": _P.VIEW,
    "flows.show": _P.VIEW,
    "flows.rows": _P.VIEW,
    "flows.panel": _P.VIEW,
    "flows.live": _P.VIEW,
    "flows.suggest": _P.VIEW,
    "flows.export": _P.EXPORT,
    "map.show": _P.VIEW,
    "map.edge": _P.VIEW,
    "map.export": _P.EXPORT,
    "workloads.show": _P.VIEW,
    "workloads.one": _P.VIEW,
    "workloads.export": _P.EXPORT,
    "quarantine.show": _P.VIEW,
    "quarantine.one": _P.VIEW,
    "quarantine.export": _P.EXPORT,
    "quarantine.plan": _P.QUARANTINE,
    "quarantine.order": _P.QUARANTINE,
    "quarantine.release": _P.QUARANTINE,
    "policies.show": _P.VIEW,
    "policies.revision": _P.VIEW,
    "policies.rollout": _P.VIEW,
    "policies.edit": _P.EDIT_POLICY,
    "policies.check": _P.EDIT_POLICY,
    "policies.apply": _P.EDIT_POLICY,
    "findings.show": _P.VIEW,
    "findings.suggest": _P.VIEW,
    "findings.one": _P.VIEW,
    "findings.export": _P.EXPORT,
    "findings.change": _P.HANDLE_FINDINGS,
    "reports.show": _P.VIEW,
    "reports.make": _P.MAKE_REPORTS,
    "reports.download": _P.EXPORT,
    "audit_log.show": _P.READ_AUDIT,
    "audit_log.export": _P.READ_AUDIT,
    "health.show": _P.VIEW,
    "health.export": _P.EXPORT,
    "api.openapi": _P.SIGNED_IN,
    "api.me": _P.SIGNED_IN,
    "api.flows": _P.VIEW,
    "api.flow": _P.VIEW,
    "api.flow_explanation": _P.VIEW,
    "api.histogram": _P.VIEW,
    "api.edges": _P.VIEW,
    "api.stream": _P.VIEW,
    "api.flow_fields": _P.VIEW,
    "api.workloads": _P.VIEW,
    "api.workload": _P.VIEW,
    "api.policy": _P.VIEW,
    "api.policy_history": _P.VIEW,
    "api.policy_revision": _P.VIEW,
    "api.policy_check": _P.EDIT_POLICY,
    "api.policy_apply": _P.EDIT_POLICY,
    "api.findings": _P.VIEW,
    "api.finding": _P.VIEW,
    "api.finding_change": _P.HANDLE_FINDINGS,
    "api.quarantines": _P.VIEW,
    "api.quarantine": _P.VIEW,
    "api.quarantine_plan": _P.QUARANTINE,
    "api.quarantine_create": _P.QUARANTINE,
    "api.quarantine_release": _P.QUARANTINE,
    "api.reports": _P.VIEW,
    "api.report": _P.VIEW,
    "api.report_create": _P.MAKE_REPORTS,
    "api.report_file": _P.EXPORT,
    "api.audit": _P.READ_AUDIT,
    "api.audit_verify": _P.READ_AUDIT,
    "api.users": _P.MANAGE_USERS,
    "api.user_invite": _P.MANAGE_USERS,
    "api.user_change": _P.MANAGE_USERS,
    "api.gaps": _P.VIEW,
    "api.health": _P.VIEW,
}
"""Every endpoint and what it needs."""


def permitted(role: Role | None, permission: Permission) -> bool:
    """Whether a role (None: nobody is signed in) holds a permission."""
    if permission is Permission.PUBLIC:
        return True
    return role is not None and permission in GRANTS[role]


def needed_for(endpoint: str) -> Permission | None:
    """What an endpoint needs; None: it is in no table, so nobody may."""
    return ROUTES.get(endpoint)
