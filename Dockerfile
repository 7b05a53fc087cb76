# Builds Swarmgate's images for a registry, with the same users, paths, and entry points as `make images`.
#
#   docker build --target operator -t swarmgate:dev .
#   docker build --target nginx -t swarmgate-nginx:dev .
#
# Every base image is pinned by digest, so builds use exactly the reviewed images; `scripts/pin-images` updates the digests.

FROM rust:1.90-slim-bookworm@sha256:64232e656c058f4468e8d024e990acff04f0fd5a5c0a88a574dc37773d7325c9 AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --locked --release --package swarmgate --bin swarmgate \
    && install -D target/release/swarmgate /out/swarmgate

# Starts as root to read which group may use the Docker socket. With SWARMGATE_RUN_AS (set by the charts) it drops root immediately.
FROM debian:bookworm-slim@sha256:88200866dfff7ea7f5cbcb6ec7c8a701889efe6fe859fe64d6990e4b07ea4171 AS operator
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 65532 nonroot \
    && useradd --uid 65532 --gid 65532 --home-dir /var/lib/swarmgate --no-create-home --shell /bin/false nonroot
COPY --from=build /out/swarmgate /usr/local/bin/swarmgate
ENTRYPOINT ["swarmgate"]

# Extension and proxy. nginx must be 1.27.4 or newer: in older versions a reload loses requests on keep-alive connections.
FROM nginx:1.31.3@sha256:5a88c9c45479443d7be2eadc894b4ed0a9801bae03d97a5760ae13b5c2005942 AS nginx
# If a label requests it, applications' certificates are verified against the CAs of this image.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 65532 nonroot \
    && useradd --uid 65532 --gid 65532 --home-dir /var/lib/swarmgate --no-create-home --shell /bin/false nonroot \
    && rm -f /var/log/nginx/*.log \
    && mkdir -p /var/lib/swarmgate /run/swarmgate /var/cache/nginx /var/log/nginx \
    && chown -R 65532:65532 /var/lib/swarmgate /run/swarmgate /var/cache/nginx /var/log/nginx \
    # runc 1.1 gives a mounted tmpfs the mode of the underlying directory, but not its owner.
    && chmod 1777 /run/swarmgate
COPY --from=build /out/swarmgate /usr/local/bin/swarmgate
USER 65532:65532
WORKDIR /var/lib/swarmgate
STOPSIGNAL SIGTERM
ENTRYPOINT ["swarmgate"]
CMD []
