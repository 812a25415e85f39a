# The service with the command bus's migrations, on a PostgreSQL that DATABASE_URL names.
# Two builds of one commit give the same files with the same times: SOURCE_DATE_EPOCH.

FROM node:26-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
# No install script runs: all that is needed here is JavaScript and esbuild's own binary.
RUN npm ci --ignore-scripts
COPY tsconfig.json ./
COPY scripts ./scripts
COPY src ./src
RUN node scripts/bundle.mjs /image/app
ARG SOURCE_DATE_EPOCH=0
# A checkout may be readable by its owner only, and some files are copied from it.
RUN chmod --recursive u=rwX,go=rX /image \
 && find /image -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +


# `graphile-migrate commit` leaves files that only their owner may read; a container's user is
# somebody else. A stage of its own, so that a new migration does not bundle the service again.
FROM build AS migrations
RUN rm -r /image
COPY .gmrc /image/app/migrations/
COPY migrations/current.sql /image/app/migrations/
COPY migrations/committed /image/app/migrations/committed
RUN ln -s /image/app/migrations migrations && node scripts/bundle/inspected.mjs /image/app
ARG SOURCE_DATE_EPOCH=0
RUN chmod --recursive u=rwX,go=rX /image \
 && find /image -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +


# For development only: the loop of `npm run dev`, on the mounted migrations. Node.js runs the sources as they are.
FROM node:26-bookworm-slim AS dev
WORKDIR /app
COPY --from=build /build/package.json ./
COPY --from=build /build/node_modules ./node_modules
COPY src ./src
COPY dev ./dev
CMD ["node", "dev/cli.ts", "watch"]


FROM node:26-bookworm-slim
ARG VERSION=0.2.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="commandbus-db" \
      org.opencontainers.image.description="Applies committed migrations to a PostgreSQL database and says when it is ready" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
# Package managers are of no use to a service, and much use to whoever breaks into one.
RUN rm -rf /usr/local/lib/node_modules /opt/yarn-* \
           /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack \
           /usr/local/bin/yarn /usr/local/bin/yarnpkg
COPY --from=build /image/ /
COPY --from=migrations /image/ /
WORKDIR /app
ENV NODE_ENV=production \
    HOST=0.0.0.0 \
    PORT=8080 \
    MIGRATIONS_DIR=/app/migrations
EXPOSE 8080
# A number, so that Kubernetes can see that it is not root.
USER 65532:65532
# Not ready counts as starting for as long as a long migration may take; after the first "ready"
# every failure counts.
HEALTHCHECK --interval=5s --timeout=3s --start-period=1h --start-interval=250ms --retries=2 \
  CMD ["node", "healthcheck.js"]
# Room for the objects of a start, in MB: V8 would begin with 1 MB, and collect garbage four times until the service is
# ready. In a container with little memory it has no more than that, unless a flag says so.
ENTRYPOINT ["node", "--min-semi-space-size=8", "--max-semi-space-size=8", "server.js"]
