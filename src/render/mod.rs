//! Route table to engine configuration. The only room with proxy syntax. Pure.
