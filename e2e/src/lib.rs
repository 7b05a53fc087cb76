//! The real-Swarm laboratory: a private multi-node Docker Swarm on one machine, and helpers for tests on it. It must never
//! reach a host outside its own network namespaces, nor end a process it did not start.

pub mod command;
pub mod image;
pub mod lab;
pub mod measure;
pub mod testbed;
pub mod wait;
