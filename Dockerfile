# The gateway, and with `--target playground` the stand-in services and their registry.
# tests/image.test.ts replays these steps and runs what comes of them.
FROM node:26-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts

FROM node:26-slim AS base
ENV NODE_ENV=production
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
COPY package.json LICENSE ./
COPY config ./config
STOPSIGNAL SIGTERM

FROM base AS playground
LABEL org.opencontainers.image.title="FAF CAB playground" \
      org.opencontainers.image.description="Stand-in services and registry for the FAF CAB gateway." \
      org.opencontainers.image.licenses="MIT"
COPY playground ./playground
ENV LISTEN_HOST=0.0.0.0
USER 1000:1000
ENTRYPOINT ["node"]
CMD ["playground/serve.ts"]

# The last stage is what `docker build .` makes.
FROM base AS gateway
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="FAF CAB gateway" \
      org.opencontainers.image.description="API gateway for the FAF CAB microservices." \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}"
COPY lib ./lib
COPY gateway ./gateway
# Only for the embedded store: with Redis nothing is written, and the root file system may be read-only.
ENV DATA_DIR=/data
# As in the original. In production users have no business there: the manifests say false.
ENV EXTERNAL_METRICS=true
RUN install --directory --owner=1000 --group=1000 /data
# By number: Kubernetes cannot tell from a name that it is not root.
USER 1000:1000
EXPOSE 8000 8001
HEALTHCHECK --interval=5s --timeout=3s --start-period=15s --retries=3 CMD ["bash", "gateway/healthcheck.sh"]
# No signal opens the inspector, through which secrets can be read.
ENTRYPOINT ["node", "--disable-sigusr1", "gateway/main.ts"]
