//! STATION 1: bytes in, durable answer out.
