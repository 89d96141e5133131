//! Store, API, access, console
