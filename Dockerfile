# The agent, and the server. Any Debian-like base with python3 (3.10 or later) and its venv module will do:
#   docker build --build-arg BASE=... .
# A tag is built anew when Debian mends something, a digest never changes. To pin that too:
#   --build-arg BASE=python:3.12.13-slim-bookworm@sha256:...     (docker buildx imagetools inspect TAG shows it)
ARG BASE=python:3.12.13-slim-bookworm

FROM ${BASE} AS build
# pip's own settings, for machines that need them; nothing of this stage ends up in the image.
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
# pip stays outside of the environment that is kept. Its path is the same in both stages, as scripts name it.
RUN python3 -m venv /pip && python3 -m venv --without-pip /opt/microscaling
# Writes down what is in it.
RUN python3 -m venv /sbom && /pip/bin/pip --python /sbom install -q 'cyclonedx-bom >= 7, < 8'
WORKDIR /src
# What it depends on changes seldom: a layer of its own.
COPY pyproject.toml setup.cfg README.md LICENSE ./
COPY microscaling/__init__.py microscaling/
RUN /pip/bin/pip --python /opt/microscaling install -q '.[azure,exporter,kafka,keda,kubernetes,metrics,mysql,postgresql,redis,schedule,server,sqs,watch,yaml]' \
    && /pip/bin/pip --python /opt/microscaling uninstall -q -y microscaling
COPY microscaling microscaling
RUN /pip/bin/pip --python /opt/microscaling install -q --no-deps . \
    && /sbom/bin/cyclonedx-py environment --output-reproducible --validate -o /opt/microscaling/sbom.cdx.json \
        /opt/microscaling \
    && ln -s /opt/microscaling/bin/microscaling /microscaling \
    && mkdir -m 700 /state

FROM ${BASE}
ARG VERSION=1.0.0
ARG REVISION=
ARG CREATED=
LABEL org.opencontainers.image.title="microscaling" \
      org.opencontainers.image.description="Shares a fixed number of containers between services, by priority" \
      org.opencontainers.image.vendor="Microscaling" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
COPY --from=build /opt/microscaling /opt/microscaling
COPY --from=build /microscaling /microscaling
# The state of the agent (MSS_STATE_DIR) and the store of the server (MSS_SERVER_STORE): a named volume that is
# mounted here gets this owner.
COPY --from=build --chown=65532:65532 /state /var/lib/microscaling
# Starts as root, for the group of the engine's socket is not known before; then the agent drops to this user.
ENV MSS_DROP_TO=65532 PYTHONDONTWRITEBYTECODE=1
# The agent passes its environment on to what it starts, but not what this base has put there.
ENV MSS_IMAGE_ENV="GPG_KEY=${GPG_KEY} LANG=${LANG}"
# Of the agent or of the server, whichever runs.
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s --retries=3 CMD ["/opt/microscaling/bin/python", "-ISc", \
    "import os; words = open('/proc/1/cmdline').read().split('\\0'); \
    os.execv('/microscaling', ['/microscaling', *(['server'] if 'server' in words else []), '--health'])"]
# Neither a shell nor an init between: this is PID 1, at the path where the Go agent was.
CMD ["/microscaling"]
