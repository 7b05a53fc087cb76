//! The loop: wake, pass, retry, per service cluster. The only room that knows the order of all stages.
