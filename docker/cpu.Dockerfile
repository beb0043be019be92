# The CPU build of the package, run by a user without rights (1000). No Docker engine has built it: its steps were carried
# out in a bare Debian 12 by `python -m scripts.try_image docker/cpu.Dockerfile --root FOLDER`, with the health check and
# the command.
#
#     docker build -f docker/cpu.Dockerfile -t gluon_liver:cpu .
#     docker run --rm gluon_liver:cpu                                    what the machine has: doctor
#     docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/work" -w /work gluon_liver:cpu \
#         detect STUDY --run RUN --out OUT                               as yourself, in your folder
FROM debian:bookworm-slim

RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates make python3 python3-venv \
        libgl1 libglib2.0-0 libgomp1 libquadmath0 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home liver

WORKDIR /opt/gluon_liver
COPY . .
RUN PIP_NO_CACHE_DIR=1 make setup VENV=/opt/venv EXTRAS=cpu SYSTEM_PACKAGES=no

# Caches of matplotlib and of Python go where any user may write, or nowhere.
ENV PATH=/opt/venv/bin:$PATH MPLCONFIGDIR=/tmp/matplotlib PYTHONDONTWRITEBYTECODE=1
USER 1000:1000
HEALTHCHECK --interval=5m --timeout=60s CMD ["python", "-c", "import gluon_liver, mxnet"]
ENTRYPOINT ["python", "-m", "gluon_liver"]
CMD ["doctor"]
