# The gateway, and with `--target playground` the stand-in services and their registry.
# tests/deploy/image.test.ts replays these steps and runs what comes of them; `npm run test:engine` has podman do it.

# The Node that the packages bring for tests. To have its very content named as well:
# --build-arg NODE_IMAGE=node:26.10.0-slim@sha256:...
ARG NODE_IMAGE=node:26.10.0-slim
FROM ${NODE_IMAGE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts
# What is in the image, in CycloneDX, without what would differ from one build to the next. Told to omit packages for
# developers, npm would also omit what those share with the gateway.
RUN npm pkg delete devDependencies \
    && npm sbom --sbom-format=cyclonedx --sbom-type=application >/tmp/sbom \
    && grep -v -e '"serialNumber":' -e '"timestamp":' /tmp/sbom >sbom.cdx.json
# Of packages Node runs no TypeScript and nothing for browsers or bundlers, and maps are for debuggers. What the
# semantic conventions have that is not settled yet is an entry of its own, which nobody imports. Licences stay.
RUN find node_modules -type d \( -name test -o -name tests -o -name examples -o -name docs -o -name benchmarks \
      -o -name browser -o -name react-native -o -name coverage -o -name .github -o -name .nyc_output \) \
      -prune -exec rm -r {} + \
    && find node_modules -type f \( -name '*.map' -o -name '*.ts' -o -name '*.cts' -o -name '*.mts' -o -iname '*.md' \
      -o -path '*/axios/dist/axios*.js' -o -path '*/axios/dist/esm/*' -o -path '*/async/dist/async.m*' \
      -o -path '*/semantic-conventions/dist/experimental_*' -o -path '*/semantic-conventions/dist/index-incubating.*' \
      -o -name '.*' ! -name .package-lock.json \) ! -iname 'licen[cs]e*' ! -iname 'notice*' -delete \
    && find node_modules -type d -empty -delete

FROM ${NODE_IMAGE} AS base
ENV NODE_ENV=production
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
COPY package.json LICENSE ./
COPY config ./config
STOPSIGNAL SIGTERM

# The playground has a WebSocket server; the gateway has none, and its image no package for one.
FROM ${NODE_IMAGE} AS playground-dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN ws=$(npm pkg get devDependencies.ws) \
    && npm pkg delete dependencies devDependencies \
    && npm pkg set --json "dependencies.ws=$ws" \
    && npm install --ignore-scripts

FROM base AS playground
COPY --from=playground-dependencies /app/node_modules/ws ./node_modules/ws
COPY playground ./playground
ENV LISTEN_HOST=0.0.0.0
USER 1000:1000
ENTRYPOINT ["node"]
CMD ["playground/serve.ts"]
ARG NODE_IMAGE
ARG VERSION=0.2.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="FAF CAB playground" \
      org.opencontainers.image.description="Stand-in services and registry for the FAF CAB gateway." \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${NODE_IMAGE}"

# Starts take about half the CPU with what is compiled here.
FROM base AS compiled
COPY lib ./lib
COPY gateway ./gateway
RUN node gateway/process/compile.ts

# The last stage is what `docker build .` makes.
FROM base AS gateway
COPY --from=dependencies /app/sbom.cdx.json ./
COPY lib ./lib
COPY gateway ./gateway
# It belongs to root, as all code does: whoever could write there could change what runs.
COPY --from=compiled /app/compiled ./compiled
# Only for the embedded store: with Redis nothing is written, and the root file system may be read-only.
ENV DATA_DIR=/data
# As in the original. In production users have no business there: the manifests say false.
ENV EXTERNAL_METRICS=true
# Of the container's memory: the rest is for what lies outside of V8's heap (docs/sizing.md).
ENV NODE_OPTIONS=--max-old-space-size-percentage=45
# Else glibc keeps what it has freed in up to eight places for each core, one for each of Node's threads: 20 MiB more.
ENV MALLOC_ARENA_MAX=2
# For platforms that give each container a user of its own, too: those are in group 0.
RUN install --directory --owner=1000 --group=0 --mode=0770 /data
# By number: Kubernetes cannot tell from a name that it is not root.
USER 1000:1000
EXPOSE 8000 8001
HEALTHCHECK --interval=5s --timeout=3s --start-period=15s --retries=3 CMD ["bash", "gateway/healthcheck.sh"]
# No signal opens the inspector, through which secrets can be read.
ENTRYPOINT ["node", "--disable-sigusr1", "gateway/main.ts"]
ARG NODE_IMAGE
ARG VERSION=0.2.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="FAF CAB gateway" \
      org.opencontainers.image.description="API gateway for the FAF CAB microservices." \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${NODE_IMAGE}"
