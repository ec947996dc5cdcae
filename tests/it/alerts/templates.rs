//! Alertmanager's templates, rendered by its own tool with names that were not meant for them.

use serde_json::json;

use super::rules::{rules, yaml};
use crate::support::{
    monitoring::{project, tool},
    process::Folder,
};

fn render(kind: &str, template: &str, data: &str) -> String {
    let (ok, text) = tool(
        "amtool",
        &[
            "template",
            "render",
            &format!("--template.type={kind}"),
            "--template.glob=config/alertmanager.tmpl",
            &format!("--template.data={data}"),
            &format!("--template.text={{{{ template \"{template}\" . }}}}"),
        ],
    );
    assert!(ok, "{template}: {text}");
    text
}

#[test]
fn names_stay_names_in_slack_and_in_mail() {
    let folder = Folder::new("templates");
    let file = folder.path().join("data.json");
    let hostile = "<!channel> & <b>";
    let alert = |status: &str| {
        json!({
            "status": status,
            "labels": { "severity": "critical", "pipeline": hostile },
            "annotations": {
                "summary": format!("12% of the requests of {hostile} fail"),
                "value": "12%", "threshold": "over 10%", "dashboard": "errors",
            },
            "startsAt": "2026-11-20T10:00:00Z", "endsAt": "2026-11-20T11:00:00Z",
        })
    };
    for status in ["firing", "resolved"] {
        let data = json!({
            "receiver": "slack", "status": status, "externalURL": "http://x",
            "groupLabels": { "alertname": "ErrorRateHigh", "pipeline": hostile },
            "commonLabels": { "alertname": "ErrorRateHigh", "severity": "critical", "pipeline": hostile },
            "commonAnnotations": { "dashboard": "errors" },
            "alerts": [alert(status), alert(status)],
        });
        std::fs::write(&file, data.to_string()).unwrap();
        let file = file.to_str().unwrap();
        for template in ["spanledger.title", "spanledger.slack"] {
            let text = render("text", template, file);
            assert!(text.contains("&lt;!channel&gt; &amp; &lt;b&gt;"), "{text}");
            assert!(!text.contains("<!") && !text.contains("<b>"), "{text}");
        }
        let mail = render("html", "spanledger.mail", file);
        assert!(mail.contains("&lt;!channel&gt; &amp; &lt;b&gt;"), "{mail}");
        assert!(
            mail.contains("/runbook/ErrorRateHigh\">Runbook</a>"),
            "{mail}"
        );
        let subject = render("text", "spanledger.subject", file);
        let head = if status == "firing" {
            "CRITICAL"
        } else {
            "RESOLVED"
        };
        assert_eq!(subject.trim(), format!("[{head}:2] ErrorRateHigh"));
    }
}

/// Mail is off until its route is uncommented; then it must be right.
#[test]
fn the_route_to_mail_can_be_uncommented() {
    let text = std::fs::read_to_string(project("config/alertmanager.yml")).unwrap();
    let mut changed = 0;
    let uncommented = text.lines().map(|line| match line.strip_prefix("    # ") {
        Some(rest) => {
            changed += 1;
            format!("    {rest}\n")
        }
        None => format!("{line}\n"),
    });
    let uncommented: String = uncommented.collect();
    assert!(
        changed >= 3
            && uncommented
                .contains("    - matchers: [severity=\"critical\"]\n      receiver: mail\n")
    );
    let uncommented = uncommented.replace("    Always fires.", "    # Always fires.");
    let folder = Folder::new("mail");
    let path = folder.path().join("alertmanager.yml");
    std::fs::write(&path, uncommented).unwrap();
    std::fs::copy(
        project("config/alertmanager.tmpl"),
        folder.path().join("alertmanager.tmpl"),
    )
    .unwrap();
    let (ok, text) = tool("amtool", &["check-config", path.to_str().unwrap()]);
    assert!(ok, "{text}");
    let (ok, text) = tool(
        "amtool",
        &[
            "config",
            "routes",
            "test",
            &format!("--config.file={}", path.display()),
            "severity=critical",
            "alertname=StoreDown",
        ],
    );
    assert!(ok && text.starts_with("mail,slack\n"), "{text}");
}

/// The labels that keep one thing apart from another are those that the rules give.
#[test]
fn critical_silences_the_warning_of_the_same_thing_alone() {
    let config = yaml("config/alertmanager.yml");
    let equal = config["inhibit_rules"][0]["equal"].as_array().unwrap();
    let mut told = 0;
    for rule in &rules("alerts") {
        let text = rule["annotations"]["summary"].as_str().unwrap_or_default();
        for part in text.split("$labels.").skip(1) {
            let label: String = part.chars().take_while(|c| c.is_alphanumeric()).collect();
            let has_critical = rules("alerts").iter().any(|other| {
                other["alert"] == rule["alert"] && other["labels"]["severity"] == "critical"
            });
            let has_warning = rules("alerts").iter().any(|other| {
                other["alert"] == rule["alert"] && other["labels"]["severity"] == "warning"
            });
            if has_critical && has_warning {
                told += 1;
                assert!(
                    equal.iter().any(|name| *name == *label),
                    "{}: {label}",
                    rule["alert"]
                );
            }
        }
    }
    assert!(told > 10, "{told}");
}
