//! STATION 6: rows, written.
