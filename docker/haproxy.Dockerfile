# HAProxy before the front ends and listeners of docker-compose.scale.yml; it runs as nobody special, with its configuration mounted.
ARG BASE_IMAGE=python:3.13-slim
FROM ${BASE_IMAGE}
RUN apt-get update -q && apt-get install -y -q --no-install-recommends haproxy && rm -rf /var/lib/apt/lists/*
USER haproxy
ENTRYPOINT ["haproxy", "-W", "-db", "-f"]
CMD ["/etc/haproxy/haproxy.cfg"]
