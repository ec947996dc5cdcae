//! The messages of OTLP, as opentelemetry-proto's `.proto` files have them.

/// The fields of one message: JSON name, number, type.
pub(super) type Schema = &'static [(&'static str, u32, Type)];

/// How a field is spelled in JSON and in protobuf.
#[derive(Debug, Clone, Copy)]
pub(super) enum Type {
    Text,
    /// Hex or base64 of this many bytes.
    Id(usize),
    Base64,
    Varint,
    Fixed64,
    Double,
    Bool,
    /// Names of the numbers from 0 on.
    Enum(&'static [&'static str]),
    Message(fn() -> Schema),
}

use Type::{Base64, Bool, Double, Enum, Fixed64, Id, Message, Text, Varint};

pub(super) const TRACES: Schema = &[("resourceSpans", 1, Message(|| RESOURCE_SPANS))];
const RESOURCE_SPANS: Schema = &[
    ("resource", 1, Message(|| RESOURCE)),
    ("scopeSpans", 2, Message(|| SCOPE_SPANS)),
    ("schemaUrl", 3, Text),
];
const RESOURCE: Schema = &[
    ("attributes", 1, Message(|| KEY_VALUE)),
    ("droppedAttributesCount", 2, Varint),
];
const SCOPE: Schema = &[
    ("name", 1, Text),
    ("version", 2, Text),
    ("attributes", 3, Message(|| KEY_VALUE)),
    ("droppedAttributesCount", 4, Varint),
];
const KEY_VALUE: Schema = &[("key", 1, Text), ("value", 2, Message(|| ANY_VALUE))];
const ANY_VALUE: Schema = &[
    ("stringValue", 1, Text),
    ("boolValue", 2, Bool),
    ("intValue", 3, Varint),
    ("doubleValue", 4, Double),
    ("arrayValue", 5, Message(|| ARRAY_VALUE)),
    ("kvlistValue", 6, Message(|| KEY_VALUE_LIST)),
    ("bytesValue", 7, Base64),
];
const ARRAY_VALUE: Schema = &[("values", 1, Message(|| ANY_VALUE))];
const KEY_VALUE_LIST: Schema = &[("values", 1, Message(|| KEY_VALUE))];
const SCOPE_SPANS: Schema = &[
    ("scope", 1, Message(|| SCOPE)),
    ("spans", 2, Message(|| SPAN)),
    ("schemaUrl", 3, Text),
];
const SPAN_KINDS: &[&str] = &[
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];
const STATUS_CODES: &[&str] = &["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];
const SPAN: Schema = &[
    ("traceId", 1, Id(16)),
    ("spanId", 2, Id(8)),
    ("traceState", 3, Text),
    ("parentSpanId", 4, Id(8)),
    ("name", 5, Text),
    ("kind", 6, Enum(SPAN_KINDS)),
    ("startTimeUnixNano", 7, Fixed64),
    ("endTimeUnixNano", 8, Fixed64),
    ("attributes", 9, Message(|| KEY_VALUE)),
    ("droppedAttributesCount", 10, Varint),
    ("events", 11, Message(|| EVENT)),
    ("droppedEventsCount", 12, Varint),
    ("links", 13, Message(|| LINK)),
    ("droppedLinksCount", 14, Varint),
    ("status", 15, Message(|| STATUS)),
];
const EVENT: Schema = &[
    ("timeUnixNano", 1, Fixed64),
    ("name", 2, Text),
    ("attributes", 3, Message(|| KEY_VALUE)),
];
const LINK: Schema = &[
    ("traceId", 1, Id(16)),
    ("spanId", 2, Id(8)),
    ("attributes", 4, Message(|| KEY_VALUE)),
];
const STATUS: Schema = &[("message", 2, Text), ("code", 3, Enum(STATUS_CODES))];

pub(super) const LOGS: Schema = &[("resourceLogs", 1, Message(|| RESOURCE_LOGS))];
const RESOURCE_LOGS: Schema = &[
    ("resource", 1, Message(|| RESOURCE)),
    ("scopeLogs", 2, Message(|| SCOPE_LOGS)),
    ("schemaUrl", 3, Text),
];
const SCOPE_LOGS: Schema = &[
    ("scope", 1, Message(|| SCOPE)),
    ("logRecords", 2, Message(|| LOG_RECORD)),
    ("schemaUrl", 3, Text),
];
const LOG_RECORD: Schema = &[
    ("timeUnixNano", 1, Fixed64),
    ("severityNumber", 2, Varint),
    ("severityText", 3, Text),
    ("body", 5, Message(|| ANY_VALUE)),
    ("attributes", 6, Message(|| KEY_VALUE)),
    ("traceId", 9, Id(16)),
    ("spanId", 10, Id(8)),
    ("observedTimeUnixNano", 11, Fixed64),
    ("eventName", 12, Text),
];

pub(super) const METRICS: Schema = &[("resourceMetrics", 1, Message(|| RESOURCE_METRICS))];
const RESOURCE_METRICS: Schema = &[
    ("resource", 1, Message(|| RESOURCE)),
    ("scopeMetrics", 2, Message(|| SCOPE_METRICS)),
];
const SCOPE_METRICS: Schema = &[
    ("scope", 1, Message(|| SCOPE)),
    ("metrics", 2, Message(|| METRIC)),
];
const METRIC: Schema = &[
    ("name", 1, Text),
    ("description", 2, Text),
    ("unit", 3, Text),
    ("gauge", 5, Message(|| POINTS)),
    ("sum", 7, Message(|| POINTS)),
    ("histogram", 9, Message(|| HISTOGRAM)),
];
const TEMPORALITIES: &[&str] = &[
    "AGGREGATION_TEMPORALITY_UNSPECIFIED",
    "AGGREGATION_TEMPORALITY_DELTA",
    "AGGREGATION_TEMPORALITY_CUMULATIVE",
];
const POINTS: Schema = &[
    ("dataPoints", 1, Message(|| NUMBER_POINT)),
    ("aggregationTemporality", 2, Enum(TEMPORALITIES)),
    ("isMonotonic", 3, Bool),
];
const NUMBER_POINT: Schema = &[
    ("attributes", 7, Message(|| KEY_VALUE)),
    ("startTimeUnixNano", 2, Fixed64),
    ("timeUnixNano", 3, Fixed64),
    ("asDouble", 4, Double),
    ("asInt", 6, Fixed64),
];
const HISTOGRAM: Schema = &[
    ("dataPoints", 1, Message(|| HISTOGRAM_POINT)),
    ("aggregationTemporality", 2, Enum(TEMPORALITIES)),
];
const HISTOGRAM_POINT: Schema = &[
    ("attributes", 9, Message(|| KEY_VALUE)),
    ("startTimeUnixNano", 2, Fixed64),
    ("timeUnixNano", 3, Fixed64),
    ("count", 4, Fixed64),
    ("sum", 5, Double),
    ("bucketCounts", 6, Fixed64),
    ("explicitBounds", 7, Double),
];
