# The tshark of the next Debian (4.4), as a user of its own: from 4.4 on it loads no Lua for root. Only for tests/compose/test_wireshark.py.
FROM debian:trixie-slim
RUN apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends tshark \
    && rm -rf /var/lib/apt/lists/* && useradd --create-home reader
USER reader
ENTRYPOINT ["tshark"]
