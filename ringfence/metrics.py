"""Prometheus metrics: whatever moves has a counter, declared here so that the docs can list them all."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

REGISTRY = CollectorRegistry()

EVENTS_READ = Counter("ringfence_conntrack_events", "Conntrack events read.", ["type"], registry=REGISTRY)
EVENTS_UNREADABLE = Counter("ringfence_conntrack_unreadable", "Messages that could not be read.", registry=REGISTRY)
EVENTS_LOST = Counter("ringfence_events_lost", "Records lost, by the kernel's count.", ["cause"], registry=REGISTRY)
RECEIVE_BUFFER = Gauge("ringfence_receive_buffer_bytes", "Effective receive buffer, read back.", registry=REGISTRY)
FLOWS_EMITTED = Counter("ringfence_flows_emitted", "Flow rows put into the spool.", registry=REGISTRY)
FLOWS_STORED = Counter("ringfence_flows_stored", "Flow rows taken by the store.", registry=REGISTRY)
FLOWS_DISCARDED = Counter("ringfence_flows_discarded", "Flows left out on purpose.", ["reason"], registry=REGISTRY)
SPOOL_BYTES = Gauge("ringfence_spool_bytes", "Bytes waiting in the spool.", registry=REGISTRY)
WORKLOADS = Gauge("ringfence_workloads", "Running workloads known.", ["mode"], registry=REGISTRY)
RULESETS_APPLIED = Counter(
    "ringfence_rulesets_applied", "Rulesets written to a namespace.", ["result"], registry=REGISTRY
)
DRIFT_REPAIRED = Counter("ringfence_drift_repaired", "Rulesets found changed and put back.", registry=REGISTRY)
QUARANTINES = Gauge("ringfence_quarantines", "Workloads in quarantine.", ["state"], registry=REGISTRY)
FINDINGS = Counter("ringfence_findings", "New findings.", ["severity"], registry=REGISTRY)
RESPONSES = Counter("ringfence_responses", "Automated responses.", ["result"], registry=REGISTRY)
AUDIT_RECORDS = Counter("ringfence_audit_records", "Records appended to the audit log.", registry=REGISTRY)
REPORTS_DROPPED = Counter(
    "ringfence_enforcer_reports_dropped", "Reports of the enforcer that found no room.", registry=REGISTRY
)
LOOP_FAILURES = Counter("ringfence_loop_failures", "Steps of a service loop that failed.", ["loop"], registry=REGISTRY)
LOG_LINES_LOST = Counter("ringfence_log_lines_lost", "Log lines that could not be written.", registry=REGISTRY)
HTTP_REQUESTS = Counter("ringfence_http_requests", "Requests answered.", ["route", "status"], registry=REGISTRY)


def exposition() -> bytes:
    """Everything in the Prometheus text format."""
    return generate_latest(REGISTRY)
