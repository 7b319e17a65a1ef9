# tcpdump, to write down what passes the HES on both legs. It runs as root because writing into a folder of the host's
# that belongs to somebody else needs it; of all privileges it is given only those that listening needs (docker-compose.yml).
ARG BASE_IMAGE=python:3.13-slim
FROM ${BASE_IMAGE}
RUN apt-get update -q && apt-get install -y -q --no-install-recommends tcpdump && rm -rf /var/lib/apt/lists/*
ENTRYPOINT ["tcpdump"]
