//! The real Swarm: the bollard adapter of the port. The only room that names bollard.
