"""The policy that the end-to-end tests share: only `api` reaches `db`, and who tries five times is contained."""

POLICY = """version: 1
groups:
  - {name: databases, selector: "role == 'db'", mode: protect}
tiers:
  - {name: application, default: deny}
policies:
  - name: db
    tier: application
    selector: "role == 'db'"
    ingress:
      - {action: allow, from: {selector: "role == 'api'"}, protocol: tcp, ports: [5432]}
      - {action: allow, from: {selector: "role == 'api'"}, protocol: udp, ports: [5353]}
responses:
  - {name: contain, destination: "role == 'db'", count: 5, within: 10s, expires: 1h, max_per_hour: 3}
"""
