//! The entry point: wiring only, no decisions.

fn main() {}
