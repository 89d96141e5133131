//! Loads, checks and indexes the rule bundle
