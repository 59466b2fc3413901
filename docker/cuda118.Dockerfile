# comfykit for NVIDIA GPUs on servers with an old driver, 450.80 or newer: the last PyTorch for CUDA 11.
# That is older than 2.10, so comfykit opens no pickled models (.ckpt, .pt, .pth) with it, only .safetensors.
ARG TORCH=2.7.1
ARG BUILD=cu118

# All that follows is the same in every Dockerfile of this folder; tests/container holds them together.
ARG DEBIAN=bookworm-slim

FROM debian:${DEBIAN} AS build
ARG APT_MIRROR=http://deb.debian.org
ARG PYPI_INDEX=https://pypi.org/simple
ARG TORCH_INDEX=https://download.pytorch.org/whl
ARG UV=0.13.8
RUN find /etc/apt \( -name '*.sources' -o -name sources.list \) \
        -exec sed -i "s|http://deb.debian.org|${APT_MIRROR}|g" {} + \
    && apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/uv \
    && /opt/uv/bin/pip install --no-cache-dir --index-url "${PYPI_INDEX}" "uv==${UV}"
ENV PATH=/opt/uv/bin:$PATH \
    VIRTUAL_ENV=/opt/comfykit \
    UV_COMPILE_BYTECODE=1 \
    UV_DEFAULT_INDEX=${PYPI_INDEX} \
    UV_INDEX_STRATEGY=unsafe-best-match \
    UV_LINK_MODE=copy \
    UV_PYTHON_DOWNLOADS=never
WORKDIR /build
# The versions that were tested, but for torch, which comes in a build for this kind of machine. Its layer is the
# largest and changes least.
COPY constraints.txt pyproject.toml ./
ARG TORCH
ARG BUILD
RUN --mount=type=cache,target=/root/.cache/uv \
    grep -v '^torch==' constraints.txt > pinned.txt \
    && echo "torch==${TORCH}+${BUILD}" > torch.txt \
    && uv venv --python /usr/bin/python3 /opt/comfykit \
    && uv pip install --constraints pinned.txt --overrides torch.txt --index "${TORCH_INDEX}/${BUILD}" torch
RUN --mount=type=cache,target=/root/.cache/uv \
    uv pip install --constraints pinned.txt --overrides torch.txt --index "${TORCH_INDEX}/${BUILD}" \
        --requirements pyproject.toml
COPY LICENSE README.md download.txt ./
COPY manifests manifests
COPY src src
# What packs need is installed at the start, by whatever user of group 0 the container runs as.
RUN --mount=type=cache,target=/root/.cache/uv \
    uv pip install --build-constraints pinned.txt --no-deps . \
    && chmod -R g=u /opt/comfykit

FROM debian:${DEBIAN} AS runtime
ARG APT_MIRROR=http://deb.debian.org
# git brings packs; libgl1 and libglib2.0-0 are what OpenCV, which many packs import, does not bring along.
RUN find /etc/apt \( -name '*.sources' -o -name sources.list \) \
        -exec sed -i "s|http://deb.debian.org|${APT_MIRROR}|g" {} + \
    && apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates git libgl1 libglib2.0-0 python3 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --gid 0 --create-home comfykit \
    && install -d -o 1000 -g 0 -m 0775 /data /home/comfykit
COPY --from=build --chown=1000:0 /opt/comfykit /opt/comfykit
ENV PATH=/opt/comfykit/bin:$PATH \
    VIRTUAL_ENV=/opt/comfykit \
    HOME=/home/comfykit \
    COMFYKIT_HOME=/data \
    XDG_CACHE_HOME=/data/.cache \
    UV_LINK_MODE=copy \
    PYTHONUNBUFFERED=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
ARG TORCH
ARG BUILD
LABEL org.opencontainers.image.title="comfykit" \
      org.opencontainers.image.description="Runs ComfyUI workflows from the command line, without ComfyUI" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.documentation="docs/containers.md" \
      comfykit.torch="${TORCH}+${BUILD}"
USER 1000:0
WORKDIR /data
VOLUME /data
# Healthy once the command runs; until then models come, which may take hours.
HEALTHCHECK --interval=30s --timeout=10s --start-period=24h CMD ["comfykit", "start", "--health"]
ENTRYPOINT ["comfykit", "start"]
