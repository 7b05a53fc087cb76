//! Carries out one planned step through the Swarm port. Decides nothing: the step is exact.
