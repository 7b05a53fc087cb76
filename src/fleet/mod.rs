//! The second representation: which services, configs, secrets and networks must exist. Pure; knows no engine syntax.
