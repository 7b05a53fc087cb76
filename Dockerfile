# Swarmgate's images for people with a registry: the same users, paths and entry points as `make images` bakes.
#
#   docker build --target operator -t swarmgate:dev .
#   docker build --target nginx -t swarmgate-nginx:dev .

FROM rust:1.90-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --locked --release --package swarmgate --bin swarmgate \
    && install -D target/release/swarmgate /out/swarmgate

# Starts as root, since only root may open the Docker socket.
FROM debian:bookworm-slim AS operator
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 65532 nonroot \
    && useradd --uid 65532 --gid 65532 --home-dir /var/lib/swarmgate --no-create-home --shell /bin/false nonroot
COPY --from=build /out/swarmgate /usr/local/bin/swarmgate
ENTRYPOINT ["swarmgate"]

# Extension and proxy. nginx must be 1.27.4 or newer: before, a reload loses requests on kept-alive connections.
FROM nginx:1.29-bookworm AS nginx
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
