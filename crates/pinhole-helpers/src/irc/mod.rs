//! IRC (placeholder).
