//! STATION 10: JSON, health, metrics.
