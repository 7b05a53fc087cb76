//! Intent and snapshot to route table and findings. Total and pure: bad input gives findings, never failures.
