# The build for NVIDIA GPUs of compute capability 5.0 to 8.9 (no Hopper, no Blackwell). Never built and never run on
# a GPU by the authors: what was tried is that MXNet imports with these wheels and a stub of the driver's library.
#
# NVIDIA's own images of CUDA 11.2 are gone, so CUDA, cuDNN and NCCL come as wheels on a plain Debian. The driver's
# libcuda.so.1 comes from the host through the NVIDIA container toolkit when the container starts.
#
#     docker build -f docker/cu112.Dockerfile -t gluon_liver:cu112 .
#     docker run --rm --gpus all gluon_liver:cu112 doctor
FROM debian:bookworm-slim

RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates make python3 python3-venv \
        libgl1 libglib2.0-0 libgomp1 libquadmath0 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home liver

WORKDIR /opt/gluon_liver
COPY . .
RUN PIP_NO_CACHE_DIR=1 make setup VENV=/opt/venv EXTRAS=cu112 SYSTEM_PACKAGES=no

# Caches of matplotlib and of Python go where any user may write, or nowhere.
ENV PATH=/opt/venv/bin:$PATH MPLCONFIGDIR=/tmp/matplotlib PYTHONDONTWRITEBYTECODE=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 1000:1000
HEALTHCHECK --interval=5m --timeout=60s CMD ["python", "-m", "gluon_liver", "doctor"]
ENTRYPOINT ["python", "-m", "gluon_liver"]
CMD ["doctor"]
