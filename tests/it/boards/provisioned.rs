//! The provisioning files and the boards fit each other.

use super::{
    committed,
    json::{text, variables},
};

fn file(name: &str) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/grafana/provisioning/");
    std::fs::read_to_string(format!("{path}{name}")).unwrap()
}

#[test]
fn boards_start_with_the_datasources_that_are_provisioned() {
    let datasources = file("datasources/spanledger.yaml");
    let mut checked = 0;
    for (name, board) in committed() {
        for variable in variables(&board)
            .iter()
            .filter(|v| v["type"] == "datasource")
        {
            let current = &variable["current"];
            let provisioned = format!(
                "  - name: {}\n    uid: {}\n    type: {}\n",
                text(current, "text"),
                text(current, "value"),
                text(variable, "query"),
            );
            assert!(datasources.contains(&provisioned), "{name}: {provisioned}");
            checked += 1;
        }
    }
    assert_eq!(checked, 14);
}

#[test]
fn no_password_is_in_the_repository() {
    let datasources = file("datasources/spanledger.yaml");
    let passwords: Vec<&str> = datasources
        .lines()
        .filter(|line| line.trim_start().starts_with("password:"))
        .collect();
    assert_eq!(
        passwords,
        ["      password: $__file{/run/secrets/spanledger_reader_password}"]
    );
}

/// The link of an alert leads to a board.
#[test]
fn alerts_name_boards() {
    let project = |path: &str| {
        std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    };
    let uids: Vec<String> = committed()
        .iter()
        .map(|(_, board)| text(board, "uid").to_owned())
        .collect();
    let template = project("config/alertmanager.tmpl");
    assert!(template.contains("/d/spanledger-{{ .CommonAnnotations.dashboard }}"));
    let mut named = 0;
    for line in project("config/rules/alerts.yml").lines() {
        if let Some(board) = line.trim().strip_prefix("dashboard: ") {
            assert!(uids.contains(&format!("spanledger-{board}")), "{board}");
            named += 1;
        }
    }
    assert!(named > 30, "{named}");
}
