//! STATION 4: usage to money.
