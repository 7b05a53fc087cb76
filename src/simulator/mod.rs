//! An in-memory Swarm behind the same port, seeded, with faults. Must behave as the real one does.
