//! STATION 5: each call once.
