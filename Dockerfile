# JupyterLab with the experiment:
#   docker build -t perfkit . && docker run --rm -p 127.0.0.1:8888:8888 --cpuset-cpus=0,1 perfkit
# The experiment alone, its run kept in ./runs (writable by user 1000):
#   docker run --rm --cpuset-cpus=0,1 -v "$PWD/runs:/perfkit/data/runs" perfkit papermill sweep.ipynb /tmp/out.ipynb -p vus 500
#
# --cpuset-cpus gives two whole cores; --cpus=2 only limits time, and then server and k6 share cores with others. In a
# container the scheduler does not share cores by session, so servers of a comparison may get unequal shares, which
# moves CPU per call; the comparison says so. `docker run --rm perfkit python -m perfkit doctor` tells what is the case.
FROM grafana/k6:1.1.0 AS k6

FROM python:3.11.7-slim-bookworm

# hadolint ignore=DL3008 # make decides no number
RUN apt-get update \
    && apt-get install -y --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --no-log-init --create-home --uid 1000 perfkit \
    && install -d -o perfkit /perfkit

COPY --from=k6 /usr/bin/k6 /usr/local/bin/k6
WORKDIR /perfkit
USER 1000
COPY --chown=1000 . .
RUN make setup && mkdir -p data/runs

ENV PATH="/perfkit/.venv/bin:$PATH"
WORKDIR /perfkit/notebooks
EXPOSE 8888
CMD ["jupyter", "lab", "--ip=0.0.0.0", "--port=8888", "--no-browser"]
