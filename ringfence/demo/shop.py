"""What the shop consists of: its workloads, their networks, and what each does. Shell scripts for busybox alone."""

from __future__ import annotations

from dataclasses import dataclass

LABEL = "ringfence.demo"
FRONTEND, BACKEND = "frontend", "backend"
PORTS = {"web": 8080, "api": 8080, "db": 5432, "cache": 6379}

# What only speaks of ports may speak HTTP: `httpd` plays the database and the cache.
_VISITOR = 'while :; do wget -q -O /dev/null "http://$WEB:8080/"; sleep 1; done'
_WEB = 'httpd -p 8080 -h "$WWW"; while :; do wget -q -O /dev/null "http://$API:8080/"; sleep 1; done'
_API = (
    'httpd -p 8080 -h "$WWW"; while :; do wget -q -O /dev/null "http://$DB:5432/";'
    ' wget -q -O /dev/null "http://$CACHE:6379/"; sleep 1; done'
)
_DB = 'exec httpd -f -p 5432 -h "$WWW"'
_CACHE = 'exec httpd -f -p 6379 -h "$WWW"'
_BATCH = (
    'n=0; while :; do wget -q -O /dev/null "http://$DB:5432/"; n=$((n+1));'
    ' [ $((n % 3)) -eq 0 ] && wget -q -O /dev/null "http://$CACHE:6379/"; sleep 3; done'
)
_COUPON = (
    'while :; do if [ -e "$FLAG" ]; then rm -f "$FLAG"; for round in 1 2 3 4 5 6; do'
    " for port in 22 80 443 3306 5432 6379 8080 9200; do"
    ' for target in "$DB" "$CACHE"; do nc -w 1 "$target" "$port" </dev/null >/dev/null 2>&1 & done; done;'
    ' wait; sleep 2; done; fi; nc -w 1 "$API" 8080 </dev/null >/dev/null 2>&1; sleep 2; done'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One workload: `networks` in the order in which it joins them, `script` for `sh -c`, `asks` whom it calls.

    The script finds others in variables named like them (`$DB`), its documents in `$WWW`; `$FLAG` is a file whose
    appearance means that the workload has been compromised.
    """

    name: str
    networks: tuple[str, ...]
    script: str
    asks: tuple[str, ...] = ()

    @property
    def labels(self) -> dict[str, str]:
        return {LABEL: "1", "app": "shop", "role": self.name}


SHOP: tuple[Member, ...] = (
    Member(name="db", networks=(BACKEND,), script=_DB),
    Member(name="cache", networks=(BACKEND,), script=_CACHE),
    Member(name="api", networks=(FRONTEND, BACKEND), script=_API, asks=("db", "cache")),
    Member(name="web", networks=(FRONTEND,), script=_WEB, asks=("api",)),
    Member(name="batch", networks=(BACKEND,), script=_BATCH, asks=("db", "cache")),
    Member(name="coupon", networks=(FRONTEND, BACKEND), script=_COUPON, asks=("api", "db", "cache")),
    Member(name="visitor", networks=(FRONTEND,), script=_VISITOR, asks=("web",)),
)
COMPROMISED = "coupon"

POLICY = """\
# The shop's policy. Everything is watched in monitor mode: what the rules would deny is reported and not dropped.
# Only coupon is in protect mode: what the rules deny to it is dropped.
version: 1
default_mode: monitor

groups:
  - {name: coupons, selector: "role == 'coupon'", mode: protect}

tiers:
  - {name: application, default: deny}

policies:
  - name: web
    tier: application
    owner: shop
    description: Visitors reach the web server, which asks the API.
    selector: "role == 'web'"
    ingress:
      - {action: allow, from: {selector: "role == 'visitor'"}, protocol: tcp, ports: [8080]}
    egress:
      - {action: allow, to: {selector: "role == 'api'"}, protocol: tcp, ports: [8080]}
  - name: api
    tier: application
    owner: shop
    description: The web server and the coupon service ask the API, which uses the database and the cache.
    selector: "role == 'api'"
    ingress:
      - {action: allow, from: {selector: "role in {'web', 'coupon'}"}, protocol: tcp, ports: [8080]}
    egress:
      - {action: allow, to: {selector: "role == 'db'"}, protocol: tcp, ports: [5432]}
      - {action: allow, to: {selector: "role == 'cache'"}, protocol: tcp, ports: [6379]}
  - name: db
    tier: application
    owner: data
    description: The API and the batch job use the database, on its own port only.
    selector: "role == 'db'"
    ingress:
      - {action: allow, from: {selector: "role in {'api', 'batch'}"}, protocol: tcp, ports: [5432]}
    egress: []
  - name: cache
    tier: application
    owner: data
    description: Only the API uses the cache. The batch job does as well, against the rules.
    selector: "role == 'cache'"
    ingress:
      - {action: allow, from: {selector: "role == 'api'"}, protocol: tcp, ports: [6379]}
    egress: []
  - name: coupon
    tier: application
    owner: marketing
    description: The coupon service asks the API and nobody else.
    selector: "role == 'coupon'"
    egress:
      - {action: allow, to: {selector: "role == 'api'"}, protocol: tcp, ports: [8080]}

responses:
  - name: contain-scanners
    destination: "role in {'db', 'cache'}"
    count: 5
    within: 10s
    action: quarantine
    expires: 1h
    max_per_hour: 3
    protected: "role in {'web', 'api', 'db'}"

assert:
  - {from: {role: api}, to: {role: db}, protocol: tcp, port: 5432, expect: allowed}
  - {from: {role: web}, to: {role: db}, protocol: tcp, port: 5432, expect: denied}
  - {from: {role: batch}, to: {role: cache}, protocol: tcp, port: 6379, expect: denied}
  - {from: {role: coupon}, to: {role: db}, protocol: tcp, port: 5432, expect: denied}
"""
