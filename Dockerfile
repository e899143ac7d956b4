# The service in a container, and its training. Four images:
#
#   docker build -t carryover .                      models are mounted at /models
#   docker build -t carryover --target baked .       models of artifacts/ are part of it
#   docker build -t carryover --target tensorflow .  runs models that do not compile, too
#   docker build -t carryover-training --target training .  trains, and retrains by cron
#
# VERSION and REVISION (--build-arg) are written on the image: `make image` sets them.

# By its digest, so that two builds have one base; `make base-digest` shows the newest.
ARG BASE=python:3.11-slim@sha256:9c900dea9e8fb7e16277c179b555cc72d29a352dbc33cff48ad5a0412fd5bfc7


FROM ${BASE} AS packages

# Its own environment: one folder to copy, without pip and what else builds need.
RUN python -m venv --without-pip /opt/venv
# What the service imports and what traces need, each file by its hash (`make lock`).
COPY requirements-tracing.lock .
# Wheels only: this base has no compiler, and a missing wheel should say so.
# Of LiteRT, only what runs on a CPU: not the accelerators' compilers, 30 MB.
RUN pip --python /opt/venv/bin/python install \
      --no-cache-dir --disable-pip-version-check --only-binary=:all: \
      --require-hashes -r requirements-tracing.lock \
 && cd /opt/venv/lib/python3.11/site-packages/ai_edge_litert \
 && rm -rf tools vendors libLiteRtWebGpuAccelerator.so


FROM packages AS tensorflow-packages

COPY requirements.lock .
# TensorFlow's headers, 430 MB, serve compiling operations against it; nothing does.
RUN pip --python /opt/venv/bin/python install \
      --no-cache-dir --disable-pip-version-check --only-binary=:all: \
      --require-hashes -r requirements.lock \
 && rm -rf /opt/venv/lib/python3.11/site-packages/tensorflow/include


FROM ${BASE} AS application

# Compiled here, because the user of the service may not write. Readable for that user
# even from a checkout under a strict umask.
COPY service /app/service
RUN python -m compileall -q /app && chmod -R a+rX,go-w /app
# An empty folder to copy: a new volume takes over its owner.
RUN mkdir /data


# All but the packages, which every image brings as one layer of its own.
FROM ${BASE} AS plain

ARG BASE
ARG VERSION=unreleased
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Carryover" \
      org.opencontainers.image.description="Serves Keras recurrent networks over HTTP, and remembers" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE}"

COPY --from=application /app /app
COPY --from=application --chown=10001:10001 /data /data

# Not on the loopback address only: requests come from outside the container.
# TMPDIR: gunicorn's workers show that they live by touching a temporary file. /dev/shm
# can be written even when the root file system cannot, and is never a slow disk.
ENV PATH=/opt/venv/bin:$PATH \
    TMPDIR=/dev/shm \
    CARRYOVER_HOST=0.0.0.0 \
    CARRYOVER_PORT=8080 \
    CARRYOVER_MODELS=/models \
    CARRYOVER_MEMORY=lmdb:///data/memory \
    CARRYOVER_STATE=/data/state \
    CARRYOVER_CAPTURE_FOLDER=/data/capture \
    CARRYOVER_TOKEN_KEY_FILE=/data/token.key

WORKDIR /app
# Sessions, the key of sealed memories, which models are loaded, captured events: what
# outlives a container.
VOLUME /data
EXPOSE 8080
# A number, so that Kubernetes' runAsNonRoot can check it; above those of hosts' users.
USER 10001:10001
# gunicorn then finishes the requests under way (20 seconds at most) and exits with 0.
STOPSIGNAL SIGTERM

# slim has no curl. No proxy, whatever the environment says: this is the service itself.
# An answer other than success raises, and the traceback stands in the health log.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:' + os.environ['CARRYOVER_PORT'] + '/v2/health/ready', timeout=4)"]

# No shell in between: gunicorn is process 1 and gets the signals.
CMD ["gunicorn", "-c", "python:service.gunicorn_config", "service.wsgi:app"]


FROM plain AS tensorflow

COPY --from=tensorflow-packages /opt/venv /opt/venv
# Fewer of TensorFlow's notes. Some stay: it writes them before it reads any setting.
ENV TF_CPP_MIN_LOG_LEVEL=2


# The training's own code, next to TensorFlow; the images that serve have none of it.
FROM tensorflow AS training

COPY models /app/models
COPY training /app/training
# Matplotlib and Keras keep files of their own; the home of this user is not there.
ENV HOME=/tmp MPLCONFIGDIR=/tmp/matplotlib
HEALTHCHECK NONE
CMD ["python", "-m", "training", "--help"]


FROM plain AS mounted

COPY --from=packages /opt/venv /opt/venv


FROM ${BASE} AS models

COPY artifacts /models
RUN chmod -R a+rX,go-w /models


FROM mounted AS baked

COPY --from=models /models /models


# The last stage is what a build without --target makes.
FROM mounted
