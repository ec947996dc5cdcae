//! STATION 9: what a ledger needs over time.
