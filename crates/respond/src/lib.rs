//! The write side of Linux: journal first, then the change
