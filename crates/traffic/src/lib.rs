//! Bytes in, what was said out
