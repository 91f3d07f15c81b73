# Runs the experiment: docker build -t perfkit . && docker run --rm -v "$PWD/data/runs:/perfkit/data/runs" perfkit VUS=500
# Two cores or more (--cpus is no pinning; --cpuset-cpus=0,1 is).
FROM python:3.11.7-slim-bookworm

# hadolint ignore=DL3008 # make decides no number
RUN apt-get update \
    && apt-get install -y --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /perfkit
COPY . .
RUN make setup

ENTRYPOINT ["make", "sweep"]
