# Millpond as a container: one binary, data in /data, Kafka on 9092, HTTP on 9080.
#
#   docker build -t millpond .
#   docker run -p 9092:9092 -p 9080:9080 -v millpond:/data -e MILLPOND__SERVER__ADVERTISED=localhost:9092 millpond
#
# MILLPOND__SERVER__ADVERTISED is what clients are told to connect to: set it to a name that they can reach. Every other
# key of config/millpond.toml can be set in the same way.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --package millpond --bin millpond

FROM debian:bookworm-slim
RUN useradd --system --uid 1000 --home-dir /data --shell /usr/sbin/nologin millpond \
    && install --directory --owner=millpond --group=millpond /data
COPY --from=build /src/target/release/millpond /usr/local/bin/millpond
COPY LICENSE /usr/share/doc/millpond/
USER millpond
VOLUME /data
EXPOSE 9092 9080
ENV MILLPOND__SERVER__DATA=/data \
    MILLPOND__SERVER__KAFKA=0.0.0.0:9092 \
    MILLPOND__SERVER__HTTP=0.0.0.0:9080
# No curl in this image: bash opens the connection itself.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/9080 && printf 'GET /livez HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && head -n 1 <&3 | grep -q ' 200 '"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["millpond"]
CMD ["serve"]
