//! STATION 11: pages.
