//! The read side of Linux
