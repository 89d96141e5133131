//! One node: sources, engines, response
