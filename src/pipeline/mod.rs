//! Spool to sinks, running.
