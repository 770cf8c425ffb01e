# The images of Tidegate: targets `operator` and `runtime`.
#
# The context holds requirements/, operator/ and wheels/{operator,runtime} (`make wheels` downloads those). Nothing is
# fetched while an image is built, so it builds without a network. BASE needs Python 3.11 with its venv module, as
# python:3.11-slim-bookworm and Debian 12 with python3-venv have it.
ARG BASE=python:3.11-slim-bookworm

# The builders' pip lives in an environment of its own, so that none ends up in an image. Tidegate's code lies beside
# its dependencies: a change of code is a layer of its own, and a small one.
FROM ${BASE} AS builder
RUN python3 -m venv /installer \
 && python3 -m venv --without-pip /opt/tidegate \
 && echo /opt/tidegate/src > "$(/opt/tidegate/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/tidegate.pth"
# `--no-compile` and then all at once: by hash and unchecked, because the root file system is read-only where this runs,
# and because time stamps are nothing to rely on in images. The tests that packages bring are a quarter of their size.
ENV INSTALL="/installer/bin/pip --python /opt/tidegate/bin/python --no-cache-dir --disable-pip-version-check --no-input \
install --quiet --no-index --find-links=/wheels --require-hashes --only-binary=:all: --no-compile" \
    COMPILE="/opt/tidegate/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/tidegate/lib"

FROM builder AS operator-builder
RUN --mount=type=bind,source=wheels/operator,target=/wheels \
    --mount=type=bind,source=requirements/operator.txt,target=/requirements.txt \
    ${INSTALL} --requirement /requirements.txt \
 && find /opt/tidegate/lib -type d -name tests -prune -exec rm -rf {} + \
 && ${COMPILE}

FROM builder AS runtime-builder
RUN --mount=type=bind,source=wheels/runtime,target=/wheels \
    --mount=type=bind,source=requirements/runtime.txt,target=/requirements.txt \
    ${INSTALL} --requirement /requirements.txt \
 && find /opt/tidegate/lib -type d -name tests -prune -exec rm -rf {} + \
 && ${COMPILE}

# What both images are: a user without rights, bytecode from the build, nothing written but to /tmp, nobody called home.
FROM ${BASE} AS final
RUN echo 'tidegate:x:65532:65532::/tmp:/usr/sbin/nologin' >> /etc/passwd && echo 'tidegate:x:65532:' >> /etc/group
ENV PATH=/opt/tidegate/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/tmp \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONSAFEPATH=1 \
    GIT_PYTHON_REFRESH=quiet \
    MLFLOW_DISABLE_TELEMETRY=true
WORKDIR /tmp
STOPSIGNAL SIGTERM

# The model server of the presets `tidegate` and `mlserver` (there: the init container).
FROM final AS runtime
COPY --from=runtime-builder /opt/tidegate /opt/tidegate
COPY operator/tidegate_runtime /opt/tidegate/src/tidegate_runtime
RUN chmod -R a+rX /opt/tidegate/src && python -m compileall -q --invalidation-mode unchecked-hash /opt/tidegate/src
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/opt/tidegate/bin/python", "-m", "tidegate_runtime"]
CMD ["serve"]

# The operator: last, so that it is what a build without a target makes.
FROM final AS operator
# glibc gives each thread a heap of its own, up to eight for a core, and raises by itself what it keeps of freed memory:
# two heaps and a fixed limit do for threads that wait for a registry.
ENV MALLOC_ARENA_MAX=2 \
    MALLOC_TRIM_THRESHOLD_=131072
COPY --from=operator-builder /opt/tidegate /opt/tidegate
COPY operator/tidegate /opt/tidegate/src/tidegate
RUN chmod -R a+rX /opt/tidegate/src && python -m compileall -q --invalidation-mode unchecked-hash /opt/tidegate/src
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/opt/tidegate/bin/python", "-m", "tidegate"]
