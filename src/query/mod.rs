//! STATION 8: rows, read.
