# SPDX-License-Identifier: MIT
# The daemon with its pages built in, and the libraries it links. No shell, no package manager, not root.
#
#     docker build -t pipit .
#     docker run --rm -p 8080:8080 --read-only --cap-drop ALL pipit
#
# tests/container/check.sh tests this image.

# Any Debian with libevent 2.1.12 or later.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        build-essential cmake pkg-config libevent-dev libcjson-dev zlib1g-dev nettle-dev libssl-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY CMakeLists.txt ./
COPY server server/
COPY handlers handlers/
COPY static static/
COPY tools tools/
RUN cmake -S . -B /build -DCMAKE_BUILD_TYPE=Release -DPIPIT_TESTS=OFF \
 && cmake --build /build --target pipit-daemon --parallel
# ldd names the loader too. Its search path is compiled in, so the image needs no ld.so.cache. A library that was not
# found appears as the word "not", on which cp fails.
RUN mkdir -p /image/etc \
 && install -s -m 0755 /build/pipit /image/pipit \
 && cp -L --parents $(ldd /build/pipit | awk '$2 == "=>" { print $3 } $1 ~ /^\// { print $1 }') /image \
 && echo 'pipit:x:65532:65532:pipit:/nonexistent:/usr/sbin/nologin' > /image/etc/passwd \
 && echo 'pipit:x:65532:' > /image/etc/group

FROM scratch
LABEL org.opencontainers.image.title="pipit" \
      org.opencontainers.image.description="An embedded HTTP/1.1 microserver on libevent's evhttp" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /image /
# By number: an orchestrator that forbids root (runAsNonRoot) cannot check a name.
USER 65532:65532
ENV PIPIT_LISTEN=[::]:8080 \
    PIPIT_ACCESS_LOG=- \
    PIPIT_DRAIN_DELAY=5s \
    PIPIT_LOG_FORMAT=json
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK CMD ["/pipit", "--healthcheck"]
ENTRYPOINT ["/pipit"]
