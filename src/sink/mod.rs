//! STATION 7: where mapped batches go.
