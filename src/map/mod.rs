//! STATION 3: attributes to records.
