//! Route table to engine configuration: one folder per engine, the only ones with its syntax. What is the same for every
//! engine stands here. Pure and total. Must never read files, clocks or the environment.

mod layout;
mod nginx;
mod tls_files;

pub use layout::Layout;
pub use nginx::{
    CONFIG_FILE, Measure, PREFIX_HEADER, TRIES_MAX, answers_by_name, footprint, info_headers, is_found_by_name, parts, render, render_in,
    request_headers, retry_time_ms, security_advisories, slot_of, template_fault,
};
pub use tls_files::{AuthorityFile, Materials, PairFiles, SecretFile, authorities};

/// What a configuration is for: who runs it, and whether it may hold addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// For our agent, now: addresses. nginx 1.27.4 or newer, no root, everything it writes below the run directory.
    Live,
    /// For our agent, at a start when nobody answers: names that the engine's DNS resolves while it runs, because an
    /// address may have become a stranger's. Does not change when endpoints change, except for the only addresses in it:
    /// those of nodes with a port that is one service's own ([`Endpoint::lasting`]). nginx 1.27.4 or newer.
    Boot,
    /// For any stock nginx image from 1.25.5 on (`rollout: replace`): addresses, its own user and paths, one file.
    Stock,
}
