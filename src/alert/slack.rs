//! A notice as Slack reads it, and its way there.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::{judge::Notice, rules::Severity};
use crate::query::examples::Example;

const PATIENCE: Duration = Duration::from_secs(10);

/// Why a message did not arrive. The URL is a secret and is not in it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No answer, or not from Slack.
    #[error("the webhook can't be reached: {0}")]
    Unreachable(String),
    /// An answer that is none of success.
    #[error("the webhook answered {0}")]
    Refused(u16),
}

/// A webhook.
#[derive(Debug)]
pub struct Slack {
    url: SecretString,
    agent: ureq::Agent,
}

impl Slack {
    /// Sends to `url`.
    pub fn new(url: SecretString) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .build();
        Self {
            url,
            agent: config.into(),
        }
    }

    /// Sends one message; waits for the answer, at most 10 seconds.
    pub fn send(&self, message: &Value) -> Result<(), Error> {
        let sent = self
            .agent
            .post(self.url.expose_secret())
            .header("content-type", "application/json")
            .send(message.to_string());
        match sent {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(Error::Refused(answer.status().as_u16())),
            // Some of its errors quote the URL.
            Err(ureq::Error::Io(error)) => Err(Error::Unreachable(error.kind().to_string())),
            Err(ureq::Error::Timeout(_)) => Err(Error::Unreachable("no answer in time".into())),
            Err(ureq::Error::HostNotFound) => Err(Error::Unreachable("unknown host".into())),
            Err(_) => Err(Error::Unreachable(
                "it is no HTTP or HTTPS server, or the URL is wrong".into(),
            )),
        }
    }
}

/// A notice in Slack's format. `base` is where people reach our own pages.
pub fn message(notice: &Notice, examples: &[Example], base: &str) -> Value {
    let (head, color) = match notice.severity {
        None => ("RESOLVED", "good"),
        Some(Severity::Warning) => ("WARNING", "warning"),
        Some(Severity::Critical) => ("CRITICAL", "danger"),
    };
    let alert = notice.key.alert;
    let group = escaped(&notice.key.group);
    let title = format!("[{head}] {alert} {group}");
    let title = title.trim_end();
    let mut text = format!(
        "*{}*\n{}\n",
        escaped(&notice.summary),
        escaped(&notice.detail)
    );
    if notice.severity.is_some() {
        for example in examples.iter().take(3) {
            text.push_str(&format!(
                "<{base}/traces/{0}|trace {0}> of {1}\n",
                example.trace_id,
                escaped(&example.service)
            ));
        }
    }
    text.push_str(&format!(
        "<{base}/runbook/{alert}|Runbook> · <{base}/runbook/{alert}#traces|Example traces> · <{base}/|Overview>"
    ));
    json!({ "attachments": [{
        "color": color,
        "fallback": title,
        "title": title,
        "title_link": format!("{base}/runbook/{alert}"),
        "text": text,
        "mrkdwn_in": ["text"],
    }] })
}

/// Slack reads these three as its own markup.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
