# One image for workers, trainers and every other command: `docker run livetags --help`.
# Kernels are compiled while it is built; a machine with another kind of processor compiles them once, at its first start.
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
RUN groupadd --system --gid 10001 livetags \
    && useradd --system --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin livetags \
    && install -d -o livetags -g livetags /data

# What livetags needs, as locked; without the demo's embedded broker and data and without the tools of development.
WORKDIR /src
COPY pyproject.toml ops/requirements.lock ./
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" \
        > wanted.txt \
    && pip install --quiet --requirement wanted.txt --constraint requirements.lock \
    && rm wanted.txt requirements.lock \
    && for package in numba scipy; do \
        find "$(python -c "import importlib.util as u; print(*u.find_spec('$package').submodule_search_locations)")" \
            -type d -name tests -prune -exec rm -r {} + || exit 1; \
    done

COPY README.md LICENSE ./
COPY schemas schemas
COPY models models
COPY streams streams
RUN pip install --quiet --no-deps . && rm -rf /src/*
WORKDIR /data
RUN python -m streams.precompile

ENV HOME=/data LIVETAGS_DATA_DIR=/data LIVETAGS_WEB_HOST=0.0.0.0 LIVETAGS_WEB_PORT=8640
EXPOSE 8640
# By number, so that Kubernetes sees that it is not root.
USER 10001:10001
HEALTHCHECK --interval=10s --timeout=5s --start-period=180s --retries=3 \
    CMD ["python", "-m", "streams.web.healthy", "http://127.0.0.1:8640/api/health"]
ENTRYPOINT ["livetags"]
CMD ["--help"]
