# Swarmgate's images for people with a registry: the same users, paths and entry points as `make images` bakes.
#
#   docker build --target operator -t swarmgate:dev .
#   docker build --target nginx -t swarmgate-nginx:dev .
#
# Every base image has its digest, so that what was looked at is what is built from; `scripts/pin-images` looks them up anew.

FROM rust:1.90-slim-bookworm@sha256:64232e656c058f4468e8d024e990acff04f0fd5a5c0a88a574dc37773d7325c9 AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --locked --release --package swarmgate --bin swarmgate \
    && install -D target/release/swarmgate /out/swarmgate

# Starts as root to see which group may use the Docker socket; told SWARMGATE_RUN_AS (as the charts do) it gives root up at once.
FROM debian:bookworm-slim@sha256:88200866dfff7ea7f5cbcb6ec7c8a701889efe6fe859fe64d6990e4b07ea4171 AS operator
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 65532 nonroot \
    && useradd --uid 65532 --gid 65532 --home-dir /var/lib/swarmgate --no-create-home --shell /bin/false nonroot
COPY --from=build /out/swarmgate /usr/local/bin/swarmgate
ENTRYPOINT ["swarmgate"]

# Extension and proxy. nginx must be 1.27.4 or newer: before, a reload loses requests on kept-alive connections.
FROM nginx:1.31.3@sha256:5a88c9c45479443d7be2eadc894b4ed0a9801bae03d97a5760ae13b5c2005942 AS nginx
# Applications' certificates are checked against the authorities of this image when a label asks for it.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 65532 nonroot \
    && useradd --uid 65532 --gid 65532 --home-dir /var/lib/swarmgate --no-create-home --shell /bin/false nonroot \
    && rm -f /var/log/nginx/*.log \
    && mkdir -p /var/lib/swarmgate /run/swarmgate /var/cache/nginx /var/log/nginx \
    && chown -R 65532:65532 /var/lib/swarmgate /run/swarmgate /var/cache/nginx /var/log/nginx \
    # runc 1.1 gives a mounted tmpfs the mode of the directory beneath, but not its owner.
    && chmod 1777 /run/swarmgate
COPY --from=build /out/swarmgate /usr/local/bin/swarmgate
USER 65532:65532
WORKDIR /var/lib/swarmgate
STOPSIGNAL SIGTERM
ENTRYPOINT ["swarmgate"]
CMD []
