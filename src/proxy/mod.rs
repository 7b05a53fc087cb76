//! The agent in the proxy container (PID 1): fetch, test, swap, reload, report. Never touches the Docker API.
