//! The stations' settings, composed; defaults, file, environment.
