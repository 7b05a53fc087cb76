//! Everything that goes out: logs, metrics (each name once), HTTP endpoints.
