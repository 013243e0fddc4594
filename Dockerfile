# One image for every process of a fleet: the command chooses (server, worker, beat, agent).
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY requirements.lock ./
RUN python -m venv /opt/ringfence \
    && /opt/ringfence/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY ringfence ./ringfence
COPY collector ./collector
COPY policy_engine ./policy_engine
COPY enforcer ./enforcer
COPY audit ./audit
COPY web ./web
RUN /opt/ringfence/bin/pip install --no-cache-dir --no-deps .

FROM python:3.11-slim-bookworm
# What the agent drives in the workloads' namespaces; the other processes use none of it.
RUN apt-get update \
    && apt-get install -y --no-install-recommends iptables ipset conntrack iproute2 util-linux procps \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/ringfence --create-home ringfence
COPY --from=build /opt/ringfence /opt/ringfence
ENV PATH="/opt/ringfence/bin:$PATH" PYTHONUNBUFFERED=1 RINGFENCE_GENERAL__DATA_DIR=/var/lib/ringfence
VOLUME /var/lib/ringfence
# The agent alone runs as root: it enters namespaces and writes rules (docker-compose.yml).
USER ringfence
EXPOSE 8844
ENTRYPOINT ["ringfence"]
CMD ["server"]
