# The CPU build of the package. Not built by the continuous integration, which has no Docker engine; it runs the
# commands that `make setup` runs on a bare Debian 12, where they were tried.
#
#     docker build -f docker/cpu.Dockerfile -t gluon_liver:cpu .
#     docker run --rm gluon_liver:cpu doctor
FROM debian:bookworm-slim

RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates make python3 python3-venv \
        libgl1 libglib2.0-0 libgomp1 libquadmath0 \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/gluon_liver
COPY . .
RUN PIP_NO_CACHE_DIR=1 make setup VENV=/opt/venv EXTRAS=cpu

ENV PATH=/opt/venv/bin:$PATH
ENTRYPOINT ["python", "-m", "gluon_liver"]
CMD ["doctor"]
