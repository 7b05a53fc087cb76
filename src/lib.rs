//! Swarmgate: a Kubernetes-style ingress operator for Docker Swarm.
