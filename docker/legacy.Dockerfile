# Both environments of symbols/, Python 3.10 with MXNet 1.9.1 and Python 2.7 with MXNet 1.0.0, and the tests in both.
# Run by a user without rights (1000). No Docker engine has built it: its steps were carried out in a bare Ubuntu 22.04 by
# `python -m scripts.try_image docker/legacy.Dockerfile --root FOLDER`, with the health check and the tests.
#
#     docker build -f docker/legacy.Dockerfile -t gluon_liver:legacy .
#     docker run --rm gluon_liver:legacy                                the tests
#     docker run --rm -v "$PWD/DIR:/exported" -w /exported --entrypoint /opt/venv-legacy/bin/python gluon_liver:legacy \
#         predict.py detector inputs.npz outputs.npz                    an exported checkpoint on MXNet 1.0.0
#
# Ubuntu 22.04 is the last with a package of Python 2.7, and its Python 3 is new enough for MXNet 1.9.1; Debian 10 and
# Ubuntu 18.04 have both, with a Python 3 that is too old. Once 22.04 has left the mirrors:
# --build-arg MIRROR=http://old-releases.ubuntu.com/ubuntu
FROM ubuntu:22.04

ARG MIRROR=http://archive.ubuntu.com/ubuntu
RUN sed -i -E "s,http://(archive|security)\.ubuntu\.com/ubuntu,$MIRROR," /etc/apt/sources.list \
    && apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates make python2.7 \
        python3 python3-venv libgl1 libglib2.0-0 libgomp1 libquadmath0 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home liver

WORKDIR /opt/gluon_liver
COPY . .
RUN PIP_NO_CACHE_DIR=1 make setup VENV=/opt/venv EXTRAS=cpu,test SYSTEM_PACKAGES=no \
    && PIP_NO_CACHE_DIR=1 sh scripts/setup-legacy.sh make /opt/venv-legacy /opt/venv/bin/python \
        /opt/venv-legacy/setup.stamp

ENV HOME=/tmp MPLCONFIGDIR=/tmp/matplotlib PYTHONDONTWRITEBYTECODE=1
USER 1000:1000
HEALTHCHECK --interval=5m --timeout=60s CMD ["/opt/venv-legacy/bin/python", "-c", "import mxnet"]
ENTRYPOINT ["make"]
CMD ["legacy", "VENV=/opt/venv", "EXTRAS=cpu,test", "VENV27=/opt/venv-legacy"]
