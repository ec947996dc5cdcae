//! Synthetic apps through the real SDK.
