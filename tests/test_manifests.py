import subprocess

import pytest
import yaml

from perfkit.cli import main
from perfkit.manifests import MANIFESTS, Wanted
from tests.support import ROOT


def documents(text):
    return list(yaml.safe_load_all(text))


@pytest.mark.full
@pytest.mark.parametrize("version", ["1.29", "1.33", "newest"])
def test_kubernetes_takes_the_manifests(version):
    import kubernetes_validate  # it takes four seconds

    version = kubernetes_validate.latest_version() if version == "newest" else version
    made = documents(MANIFESTS["kubernetes"](Wanted(hosts=4)))
    assert [one["kind"] for one in made] == ["Service", "Deployment", "Service", "StatefulSet", "NetworkPolicy"]
    for one in made:
        kubernetes_validate.validate(one, version, strict=True)


def test_each_host_has_a_node_and_whole_cpus_of_its_own():
    (hosts,) = [one for one in documents(MANIFESTS["kubernetes"](Wanted(4, 3, "1Gi"))) if one["kind"] == "StatefulSet"]
    pod = hosts["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    assert hosts["spec"]["replicas"] == 4
    assert container["resources"]["requests"] == container["resources"]["limits"] == {"cpu": "3", "memory": "1Gi"}
    (rule,) = pod["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert rule["topologyKey"] == "kubernetes.io/hostname"
    assert rule["labelSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    assert container["securityContext"]["seccompProfile"]["type"] == "Unconfined"


def test_what_selects_pods_finds_them():
    made = documents(MANIFESTS["kubernetes"](Wanted()))
    pods = [one["spec"]["template"]["metadata"]["labels"] for one in made if "template" in one["spec"]]
    for one in made:
        if one["kind"] == "Service":
            assert any(one["spec"]["selector"].items() <= labels.items() for labels in pods)


@pytest.mark.full
def test_a_wrong_manifest_is_found():
    import kubernetes_validate

    made = documents(MANIFESTS["kubernetes"](Wanted()))
    made[1]["spec"]["replicaz"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(made[1], "1.33", strict=True)


@pytest.mark.full
def test_the_operators_run_has_the_script_and_one_runner_less_than_hosts():
    import kubernetes_validate

    config, run = documents(MANIFESTS["k6-operator"](Wanted(hosts=3, address="s:1")))
    kubernetes_validate.validate(config, "1.33", strict=True)
    assert config["data"]["counter.js"] == (ROOT / "k6/counter.js").read_text()
    assert (run["apiVersion"], run["kind"], run["spec"]["parallelism"]) == ("k6.io/v1alpha1", "TestRun", 2)
    assert run["spec"]["script"]["configMap"] == {"name": config["metadata"]["name"], "file": "counter.js"}
    assert {"name": "ADDRESS", "value": "s:1"} in run["spec"]["runner"]["env"]


def test_the_script_for_slurm_is_one(tmp_path):
    script = tmp_path / "perfkit.sh"
    script.write_text(MANIFESTS["slurm"](Wanted(hosts=5)))
    subprocess.run(["bash", "-n", script], check=True)
    assert "#SBATCH --nodes=5" in script.read_text()
    assert "--exclusive" in script.read_text()


def test_the_command_prints_them(capsys):
    assert main(["manifests", "kubernetes", "--hosts", "5", "--image", "registry/perfkit:1"]) == 0
    made = documents(capsys.readouterr().out)
    assert made[3]["spec"]["replicas"] == 5
    assert made[3]["spec"]["template"]["spec"]["containers"][0]["image"] == "registry/perfkit:1"


@pytest.mark.parametrize("words", [["nomad"], ["kubernetes", "--hosts", "1"], ["kubernetes", "--cpus", "1.5"]])
def test_what_can_not_be_is_refused(words, capsys):
    assert main(["manifests", *words]) == 2
    assert words[-1] in capsys.readouterr().err
