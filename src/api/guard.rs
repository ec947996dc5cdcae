//! Headers on every answer, and a guard against DNS rebinding: a page of another site that points
//! its name at 127.0.0.1 must not read prompts with the visitor's browser.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Request, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

/// No scripts, no other origins, no frames.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
                      frame-ancestors 'none'; base-uri 'none'";

/// Adds the security headers.
pub async fn headers(request: Request<Body>, next: Next) -> Response {
    let mut answer = next.run(request).await;
    let headers = answer.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    answer
}

/// Serves requests that name this machine: an address or `localhost`, or no name at all. A name
/// of a proxy in front is for the proxy to rewrite.
pub async fn own_host(request: Request<Body>, next: Next) -> Response {
    if is_own(request.headers()) {
        return next.run(request).await;
    }
    let hint = "open this page by address or as localhost; a proxy in front should set the Host header so\n";
    (StatusCode::MISDIRECTED_REQUEST, hint).into_response()
}

fn is_own(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST) else {
        return true;
    };
    let Ok(host) = host.to_str() else {
        return false;
    };
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_served() {
        let own = |host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            is_own(&headers)
        };
        for host in ["localhost:9464", "127.0.0.1", "[::1]:9464", "10.1.2.3:80"] {
            assert!(own(host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:9464",
            "localhost.evil.example",
            "",
        ] {
            assert!(!own(host), "{host}");
        }
    }
}
