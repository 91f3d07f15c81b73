"""Clusters that others start: manifests for Kubernetes, a script for SLURM, and a TestRun for the k6-operator."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from perfkit.checkout import ROOT

PORT = 8786
"""Where Dask's scheduler listens."""

WORKER = ("--nthreads", "1", "--no-nanny", "--memory-limit", "0", "--no-dashboard")
"""Of a worker that takes next to nothing of its host: no second process, no measuring of itself."""

QUIET = {
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.worker.profile.enabled": "False",
}
"""Dask's settings with which it takes less than half a per cent of a core, instead of two."""

VARIABLES = {f"DASK_{name.upper().replace('.', '__').replace('-', '_')}": value for name, value in QUIET.items()}
"""The same, as Dask reads them from the environment."""

PART_OF = {"app.kubernetes.io/part-of": "perfkit"}

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a cluster is to be like."""

    hosts: int = 3
    """one serves, the others load"""
    cpus: int = 2
    """whole ones of each host"""
    memory: str = "2Gi"
    image: str = "perfkit"
    """as `docker build -t perfkit .` makes it, where the cluster finds it"""
    address: str = "counter:50055"
    """of the server that the k6-operator loads"""
    vus: int = 50


def kubernetes(wanted: Wanted) -> str:
    """Return manifests of a Dask cluster with one pod a node, each with whole CPUs of its own."""
    return _yaml(_scheduler_service(), _scheduler(wanted), _hosts_service(), _hosts(wanted), _policy())


def slurm(wanted: Wanted) -> str:
    """Return a script for sbatch: whole nodes, a worker on each, the sweep from the last one's scheduler."""
    exports = "\n".join(f"export {name}={value}" for name, value in VARIABLES.items())
    return f"""#!/bin/bash
# sbatch this from perfkit's checkout, which every node must see at the same path.
#SBATCH --job-name=perfkit
#SBATCH --nodes={wanted.hosts}
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --time=01:00:00
set -euo pipefail
{exports}
nodes=($(scontrol show hostnames "$SLURM_JOB_NODELIST"))
scheduler="tcp://${{nodes[-1]}}:{PORT}"
# Steps share the job's cores, and see all of them: perfkit places servers and k6 itself.
step=(srun --overlap --cpu-bind=none)
"${{step[@]}}" --nodes=1 --ntasks=1 --nodelist="${{nodes[-1]}}" .venv/bin/dask scheduler --port {PORT} --no-dashboard &
"${{step[@]}}" bash -c 'exec .venv/bin/dask worker "$0" --name "$SLURMD_NODENAME" {" ".join(WORKER)}' "$scheduler" &
.venv/bin/python -m perfkit sweep --vus {wanted.vus} --cluster "$scheduler" --server-on "${{nodes[0]}}"
kill %1 %2
"""


def k6_operator(wanted: Wanted) -> str:
    """Return a ConfigMap of counter.js and a TestRun that runs it; results stay in the logs of its pods, unmerged."""
    files = {path.name: path.read_text() for path in (*ROOT.glob("k6/*.js"), ROOT / "proto" / "counter.proto")}
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "perfkit-counter", "labels": PART_OF},
        "data": files,
    }
    variables = {"ADDRESS": wanted.address, "VUS": str(wanted.vus), "DURATION_S": "10", "PROTO": "/test"}
    run = {
        "apiVersion": "k6.io/v1alpha1",
        "kind": "TestRun",
        "metadata": {"name": "perfkit-counter", "labels": PART_OF},
        "spec": {
            "parallelism": wanted.hosts - 1,
            "separate": True,
            "script": {"configMap": {"name": "perfkit-counter", "file": "counter.js"}},
            "runner": {
                "image": "grafana/k6:1.1.0",
                "env": [{"name": name, "value": value} for name, value in variables.items()],
                "resources": _whole(wanted),
            },
        },
    }
    return _yaml(config, run)


MANIFESTS: Mapping[str, Callable[[Wanted], str]] = {
    "kubernetes": kubernetes,
    "slurm": slurm,
    "k6-operator": k6_operator,
}
"""what is printed → from what is wanted"""


def _scheduler_service() -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "perfkit-scheduler", "labels": PART_OF},
        "spec": {"selector": {"app": "perfkit-scheduler"}, "ports": [{"name": "dask", "port": PORT}]},
    }


def _scheduler(wanted: Wanted) -> Manifest:
    labels = {"app": "perfkit-scheduler", **PART_OF}
    container = {
        "name": "scheduler",
        "image": wanted.image,
        "command": ["dask", "scheduler", "--port", str(PORT), "--no-dashboard"],
        "ports": [{"name": "dask", "containerPort": PORT}],
        "readinessProbe": {"tcpSocket": {"port": "dask"}},
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "perfkit-scheduler", "labels": PART_OF},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "perfkit-scheduler"}},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def _hosts_service() -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "perfkit-host", "labels": PART_OF},
        "spec": {"clusterIP": "None", "selector": {"app": "perfkit-host"}},
    }


def _hosts(wanted: Wanted) -> Manifest:
    """Return workers, named perfkit-host-0 and so on; no two of them on a node, and none that shares its cores."""
    labels = {"app": "perfkit-host", **PART_OF}
    apart = {"labelSelector": {"matchLabels": {"app": "perfkit-host"}}, "topologyKey": "kubernetes.io/hostname"}
    named = {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    container = {
        "name": "host",
        "image": wanted.image,
        "command": ["dask", "worker", f"tcp://perfkit-scheduler:{PORT}", "--name", "$(POD_NAME)", *WORKER],
        "env": [named, *({"name": name, "value": value} for name, value in VARIABLES.items())],
        "resources": _whole(wanted),
        # The default profile refuses personality(ADDR_NO_RANDOMIZE), and then copies of one server differ by 6 %.
        "securityContext": {"seccompProfile": {"type": "Unconfined"}, "allowPrivilegeEscalation": False},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "perfkit-host", "labels": PART_OF},
        "spec": {
            "replicas": wanted.hosts,
            "serviceName": "perfkit-host",
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": {"app": "perfkit-host"}},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "affinity": {
                        "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [apart]},
                    },
                    "containers": [container],
                },
            },
        },
    }


def _policy() -> Manifest:
    """Let in only perfkit's own pods: whoever reaches a scheduler or a worker can run code there."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "perfkit", "labels": PART_OF},
        "spec": {
            "podSelector": {"matchLabels": PART_OF},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": {"matchLabels": PART_OF}}]}],
        },
    }


def _whole(wanted: Wanted) -> dict[str, dict[str, str]]:
    """Return requests and limits alike, in whole CPUs: for a Guaranteed pod a static CPU manager sets cores apart."""
    all_of_it = {"cpu": str(wanted.cpus), "memory": wanted.memory}
    return {"requests": all_of_it, "limits": dict(all_of_it)}


class _Plain(yaml.SafeDumper):
    """Long texts as blocks, and nothing by reference."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Plain.add_representer(str, _text)


def _yaml(*manifests: Manifest) -> str:
    text: str = yaml.dump_all(manifests, Dumper=_Plain, sort_keys=False)
    return text
