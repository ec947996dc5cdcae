//! Cuts a large request into smaller ones that say the same, so that who reads them later needs
//! memory for a part of it at a time.
//!
//! The three requests are built alike: groups by resource (field 1), in them groups by scope
//! (field 2), in them spans, log records or metrics (field 2). A part repeats what a group says
//! beside these; the items' bytes are not touched.

use super::{
    Malformed,
    wire::{Fields, Wire},
};

const RESOURCES: u32 = 1;
const SCOPES: u32 = 2;
const ITEMS: u32 = 2;

/// The parts of a request, in order. Ends after the first error.
pub struct Parts<'a> {
    max_bytes: usize,
    resources: Fields<'a>,
    resource: Option<Group<'a>>,
    scope: Option<Group<'a>>,
    failed: bool,
}

/// Cuts `body` into parts of about `max_bytes`; an item that is larger is a part of its own. An
/// error: the frame is broken, or a group says more than an eighth of `max_bytes` of itself, which
/// every part would have to repeat.
pub fn parts(body: &[u8], max_bytes: usize) -> Parts<'_> {
    Parts {
        max_bytes,
        resources: Fields::new(body),
        resource: None,
        scope: None,
        failed: false,
    }
}

/// A group, and how far its members are read.
struct Group<'a> {
    /// Its fields beside the members, as they are.
    header: Vec<u8>,
    members: Fields<'a>,
    number: u32,
}

impl<'a> Group<'a> {
    fn new(body: &'a [u8], number: u32, max_header: usize) -> Result<Self, Malformed> {
        let (mut fields, mut header, mut start) = (Fields::new(body), Vec::new(), 0);
        while let Some(field) = fields.next() {
            let end = fields.position();
            if !is_member(&field?, number) {
                header.extend_from_slice(&body[start..end]);
            }
            if header.len() > max_header {
                return Err(Malformed {
                    what: "a resource or scope is too large for a request of this size",
                    at: start,
                });
            }
            start = end;
        }
        Ok(Self {
            header,
            members: Fields::new(body),
            number,
        })
    }

    fn next(&mut self) -> Option<Result<&'a [u8], Malformed>> {
        next_member(&mut self.members, self.number)
    }
}

fn is_member(field: &(u32, Wire<'_>), number: u32) -> bool {
    matches!(field, (found, Wire::Bytes(_)) if *found == number)
}

fn next_member<'a>(fields: &mut Fields<'a>, number: u32) -> Option<Result<&'a [u8], Malformed>> {
    fields.find_map(|field| match field {
        Ok((found, Wire::Bytes(member))) if found == number => Some(Ok(member)),
        Ok(_) => None,
        Err(malformed) => Some(Err(malformed)),
    })
}

impl Parts<'_> {
    fn part(&mut self) -> Result<Option<Vec<u8>>, Malformed> {
        let mut part = Vec::new();
        while part.len() < self.max_bytes && self.enter()? {
            self.fill(&mut part)?;
        }
        Ok(Some(part).filter(|part| !part.is_empty()))
    }

    /// The next item's resource is open; false at the end.
    fn enter(&mut self) -> Result<bool, Malformed> {
        if self.resource.is_none()
            && let Some(body) = next_member(&mut self.resources, RESOURCES).transpose()?
        {
            self.resource = Some(Group::new(body, SCOPES, self.max_bytes / 8)?);
        }
        Ok(self.resource.is_some())
    }

    /// Adds as much of the open resource as there is room for, but one item at least, if it has any:
    /// so what is repeated of it stands in a part once, however many scopes there are.
    fn fill(&mut self, part: &mut Vec<u8>) -> Result<(), Malformed> {
        let Some(resource) = &mut self.resource else {
            return Ok(());
        };
        let used = part.len() + resource.header.len();
        let mut scopes = Vec::new();
        let is_over = loop {
            if used + scopes.len() >= self.max_bytes && !scopes.is_empty() {
                break false;
            }
            let scope = match &mut self.scope {
                Some(scope) => scope,
                None => match resource.next().transpose()? {
                    Some(body) => self
                        .scope
                        .insert(Group::new(body, ITEMS, self.max_bytes / 8)?),
                    None => break true,
                },
            };
            let used = used + scopes.len() + scope.header.len();
            let mut items = Vec::new();
            let mut is_read = false;
            while used + items.len() < self.max_bytes || (items.is_empty() && scopes.is_empty()) {
                let Some(item) = scope.next().transpose()? else {
                    is_read = true;
                    break;
                };
                put(&mut items, ITEMS, &[item]);
            }
            if !items.is_empty() {
                put(&mut scopes, SCOPES, &[&scope.header, &items]);
            }
            if is_read {
                self.scope = None;
            } else if items.is_empty() {
                break false;
            }
        };
        if !scopes.is_empty() {
            put(part, RESOURCES, &[&resource.header, &scopes]);
        }
        if is_over {
            self.resource = None;
        }
        Ok(())
    }
}

impl Iterator for Parts<'_> {
    type Item = Result<Vec<u8>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let part = self.part();
        self.failed = part.is_err();
        part.transpose()
    }
}

/// A length-delimited field.
fn put(out: &mut Vec<u8>, number: u32, pieces: &[&[u8]]) {
    varint(out, u64::from(number << 3 | 2));
    varint(out, pieces.iter().map(|piece| piece.len() as u64).sum());
    for piece in pieces {
        out.extend_from_slice(piece);
    }
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::{
        collector::trace::v1::ExportTraceServiceRequest,
        resource::v1::Resource,
        trace::v1::{ResourceSpans, ScopeSpans, Span},
    };
    use prost::Message;

    fn request(resources: usize, spans: usize, header: usize) -> ExportTraceServiceRequest {
        let scope = |of: usize| ScopeSpans {
            spans: (0..spans)
                .map(|n| Span {
                    name: format!("{of} {n} {}", "x".repeat(n % 90)),
                    ..Default::default()
                })
                .collect(),
            schema_url: format!("scope {of}"),
            ..Default::default()
        };
        let resource = |of: usize| ResourceSpans {
            resource: Some(Resource::default()),
            scope_spans: vec![scope(of), scope(of + 100)],
            schema_url: "y".repeat(header),
        };
        ExportTraceServiceRequest {
            resource_spans: (0..resources).map(resource).collect(),
        }
    }

    /// Spans with what their groups say.
    fn said(request: &ExportTraceServiceRequest) -> Vec<(String, String, Span)> {
        let mut all = Vec::new();
        for resource in &request.resource_spans {
            for scope in &resource.scope_spans {
                for span in &scope.spans {
                    let groups = (resource.schema_url.clone(), scope.schema_url.clone());
                    all.push((groups.0, groups.1, span.clone()));
                }
            }
        }
        all
    }

    #[test]
    fn the_parts_say_what_the_whole_says() {
        for (resources, spans) in [(1, 1000), (300, 3), (7, 100), (1, 1), (0, 0)] {
            let whole = request(resources, spans, 40);
            let mut together = Vec::new();
            for part in parts(&whole.encode_to_vec(), 1000) {
                let part = part.unwrap();
                assert!(part.len() < 1400, "{}", part.len());
                let part = ExportTraceServiceRequest::decode(part.as_slice()).unwrap();
                together.extend(said(&part));
            }
            assert_eq!(together, said(&whole));
        }
    }

    /// Scenario: a resource that says much of itself, and thousands of scopes with a span or none.
    /// Guarantees: together the parts are hardly larger than the whole.
    #[test]
    fn what_many_scopes_share_is_not_repeated_for_each() {
        let mut whole = request(1, 1, 1000);
        let resource = &mut whole.resource_spans[0];
        let scopes = [1, 0].map(|spans| resource.scope_spans[spans].clone());
        resource.scope_spans = (0..20_000).map(|n| scopes[n % 2].clone()).collect();
        for scope in resource.scope_spans.iter_mut().step_by(3) {
            scope.spans.clear();
        }
        let encoded = whole.encode_to_vec();
        let parts: Vec<Vec<u8>> = parts(&encoded, 10_000).map(Result::unwrap).collect();
        let bytes: usize = parts.iter().map(Vec::len).sum();
        assert!(
            bytes < encoded.len() * 5 / 4,
            "{bytes} of {}",
            encoded.len()
        );
        let together = parts
            .iter()
            .map(|part| ExportTraceServiceRequest::decode(part.as_slice()).unwrap());
        assert_eq!(
            together.flat_map(|part| said(&part)).collect::<Vec<_>>(),
            said(&whole)
        );
    }

    #[test]
    fn what_would_be_repeated_too_often_is_refused() {
        let whole = request(1, 10, 200).encode_to_vec();
        assert!(parts(&whole, 1000).any(|part| part.is_err()));
        assert!(parts(&whole, 10_000).all(|part| part.is_ok()));
    }
}
