# One recipe for the three services; each image holds what its SERVICE is locked to, its own PACKAGES, and nothing else but what the
# EXTRAS of a system of many processes are locked to (docker-compose.scale.yml).
# Build from the root of the repository:
#   docker build -f docker/service.Dockerfile --build-arg SERVICE=cis --build-arg PACKAGES="services/cim services/process services/console cis" .

ARG BASE_IMAGE=python:3.13-slim
FROM ${BASE_IMAGE} AS builder
ARG SERVICE
ARG EXTRAS=
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
COPY requirements/build.txt requirements/${SERVICE}.txt requirements/postgresql.txt requirements/scale.txt requirements/
RUN python -m venv --without-pip /app \
 && pip --python /app/bin/python install --quiet --require-hashes $(printf -- '-r requirements/%s.txt ' ${SERVICE} ${EXTRAS}) \
 && pip install --quiet --require-hashes -r requirements/build.txt
ARG PACKAGES
COPY VERSION VERSION
COPY services services
COPY ${SERVICE} ${SERVICE}
RUN pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /wheels $(printf './%s ' ${PACKAGES}) \
 && pip --python /app/bin/python install --quiet --no-deps --no-index /wheels/*.whl

FROM ${BASE_IMAGE}
RUN useradd --system --uid 10001 --user-group --no-create-home ami \
 && for place in /var/lib/ami /var/lib/ami-mark /tls/cis /tls/hes /keys /volumes/hes /volumes/cis /volumes/postgresql /volumes/nats /volumes/prometheus; do \
      mkdir -p $place && chown ami:ami $place; done
COPY --from=builder /app /app
COPY docker/meters.py docker/pki.py docker/routed_prefix.py docker/scale_keys.py /app/
ENV PATH=/app/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER ami
WORKDIR /var/lib/ami
ENTRYPOINT ["python"]
