//! What brings Spanledger to where it runs: compose, image, systemd, Kubernetes. Checked with their
//! own tools as far as these run without an engine or a cluster.

use std::{collections::BTreeSet, process::Command};

use serde_json::Value;

use crate::{
    alerts::{
        names::{named, of_the_binary},
        rules::yaml,
    },
    sdk_python::python,
    support::{
        monitoring::{project, tool},
        process::{Folder, Service, command},
    },
};

const COMPOSE: &str = "docker-compose.monitoring.yml";

fn strings(value: &Value) -> Vec<&str> {
    let items = value.as_array().into_iter().flatten();
    items.map(|item| item.as_str().unwrap()).collect()
}

#[test]
fn compose_is_pinned_healthy_and_open_to_nobody() {
    let compose = yaml(COMPOSE);
    let services = compose["services"].as_object().unwrap();
    for name in [
        "spanledger",
        "postgres",
        "prometheus",
        "alertmanager",
        "grafana",
    ] {
        assert!(services[name]["healthcheck"]["test"].is_array(), "{name}");
        assert!(services[name]["profiles"].is_null(), "{name} always runs");
    }
    for name in ["backend", "ui", "ollama", "chroma"] {
        assert_eq!(strings(&services[name]["profiles"]), ["app"], "{name}");
    }
    let volumes = compose["volumes"].as_object().unwrap();
    let mut used = BTreeSet::new();
    for (name, service) in services {
        let image = service["image"].as_str().unwrap();
        let tag = image.trim_end_matches('}').rsplit(':').next().unwrap();
        let is_pinned = tag == "local" || tag.contains('.') && tag.contains(char::is_numeric);
        assert!(is_pinned, "{name}: {image}");
        for port in strings(&service["ports"]) {
            assert!(port.starts_with("127.0.0.1:"), "{name}: {port}");
        }
        for mount in strings(&service["volumes"]) {
            match mount.split_once(':').unwrap().0 {
                from if from.starts_with("./") => assert!(project(from).exists(), "{name}: {from}"),
                // ${SLACK_URL_FILE:-/dev/null}
                from if from.starts_with("${") => {}
                from => {
                    assert!(volumes.contains_key(from), "{name}: {from}");
                    used.insert(from.to_owned());
                }
            }
        }
        for (key, value) in service["environment"].as_object().into_iter().flatten() {
            let value = value.as_str().unwrap_or_default();
            if key.contains("PASSWORD") || key.ends_with("STORE_URL") {
                assert!(
                    value.contains("PASSWORD:?"),
                    "{name}: {key} must be asked for"
                );
            }
        }
    }
    assert_eq!(used, volumes.keys().cloned().collect());
    let (has_tool, _) = tool("sh", &["-c", "docker compose version"]);
    if !has_tool {
        eprintln!("docker compose is not here: {COMPOSE} was looked at by this test alone");
        return;
    }
    let config = format!("docker compose --profile app -f {COMPOSE} config --quiet");
    let secrets = "POSTGRES_PASSWORD=a SPANLEDGER_READER_PASSWORD=b GRAFANA_PASSWORD=c";
    let (ok, text) = tool("sh", &["-c", &format!("{secrets} {config}")]);
    assert!(ok, "{text}");
    let (ok, text) = tool("sh", &["-c", &config]);
    assert!(!ok && text.contains("POSTGRES_PASSWORD"), "{text}");
}

#[test]
fn the_image_is_no_root_and_asks_the_service_for_its_health() {
    let text = std::fs::read_to_string(project("config/Dockerfile")).unwrap();
    let last = text.rsplit("\nFROM ").next().unwrap();
    assert!(last.contains("\nUSER 65532:65532\n"));
    let line = last
        .lines()
        .find(|line| line.contains("CMD [\"/usr"))
        .unwrap();
    assert!(
        line.contains(r#"CMD ["/usr/local/bin/spanledger", "health"]"#),
        "{line}"
    );

    let folder = Folder::new("health");
    let health = || command(folder.path()).arg("health").output().unwrap();
    // Port 0 is nobody's.
    assert_eq!(health().status.code(), Some(1));
    let service = Service::start(folder.path());
    let answer = health();
    let text = String::from_utf8_lossy(&answer.stderr);
    assert_eq!(answer.status.code(), Some(0), "{text}");
    service.kill();
    assert_eq!(health().status.code(), Some(1));
}

#[test]
fn the_unit_is_understood_by_systemd() {
    let folder = Folder::new("systemd");
    let unit = std::fs::read_to_string(project("config/spanledger.service")).unwrap();
    let installed = "/usr/local/bin/spanledger ";
    assert!(unit.contains(installed));
    let here = format!("{} ", env!("CARGO_BIN_EXE_spanledger"));
    let path = folder.path().join("spanledger.service");
    std::fs::write(&path, unit.replace(installed, &here)).unwrap();
    let (ok, text) = tool("systemd-analyze", &["verify", path.to_str().unwrap()]);
    let about_it: Vec<&str> = text.lines().filter(|l| l.contains("spanledger")).collect();
    assert!(ok && about_it.is_empty(), "{text}");
    // What the unit starts takes these arguments.
    let config = folder.path().join("spanledger.toml");
    std::fs::write(&config, "").unwrap();
    let output = command(folder.path())
        .args(["--config", config.to_str().unwrap(), "config", "check"])
        .output()
        .unwrap();
    assert!(output.status.success());
}

fn manifests() -> Vec<String> {
    let files = std::fs::read_dir(project("config/kubernetes")).unwrap();
    files
        .map(|file| {
            format!(
                "config/kubernetes/{}",
                file.unwrap().file_name().to_str().unwrap()
            )
        })
        .collect()
}

#[test]
fn manifests_fit_the_schemas_of_kubernetes() {
    let output = Command::new(python())
        .arg(project("tests/it/python/manifests.py"))
        .args(manifests())
        .current_dir(project(""))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(
        output.status.success(),
        "{text}\nIf the schemas are missing: tests/run installs them."
    );
    assert!(text.contains("5 manifests are fine"), "{text}");
}

#[test]
fn what_scales_and_scrapes_names_what_there_is() {
    let kustomization = yaml("config/kubernetes/kustomization.yaml");
    for file in strings(&kustomization["resources"]) {
        assert!(project("config/kubernetes").join(file).exists(), "{file}");
    }
    let set = yaml("config/kubernetes/statefulset.yaml");
    let container = &set["spec"]["template"]["spec"]["containers"][0];
    let ports = container["ports"].as_array().unwrap();
    let ports: BTreeSet<&str> = ports.iter().map(|p| p["name"].as_str().unwrap()).collect();
    let monitor = yaml("config/kubernetes/servicemonitor.yaml");
    let scraped = monitor["spec"]["endpoints"][0]["port"].as_str().unwrap();
    assert!(ports.contains(scraped));
    let own = yaml("config/kubernetes/autoscale-keda.yaml");
    assert_eq!(
        own["spec"]["scaleTargetRef"]["name"],
        set["metadata"]["name"]
    );
    let known = of_the_binary();
    let app = yaml("config/kubernetes/autoscale-app-keda.yaml");
    for scaled in [own, app] {
        for trigger in scaled["spec"]["triggers"].as_array().unwrap() {
            let query = trigger["metadata"]["query"].as_str().unwrap();
            let found = named(query);
            for metric in &found.metrics {
                assert!(known.contains_key(metric), "{metric} in {query}");
            }
            for (metric, label) in &found.matched {
                assert!(known[metric].contains(label), "{label} in {query}");
            }
        }
    }
}
