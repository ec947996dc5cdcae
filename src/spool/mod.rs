//! STATION 2: the durable log.
