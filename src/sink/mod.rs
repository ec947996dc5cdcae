//! STATION 7: what leaves the pipeline as metrics. Rows go through `store`.
//!
//! | file | what |
//! |---|---|
//! | `names` | every metric of the sinks: name, labels, help |
//! | `labels` | label values kept short, clean and few |
//! | `prometheus` | records to Prometheus metrics |

pub mod labels;
pub mod names;
pub mod prometheus;
