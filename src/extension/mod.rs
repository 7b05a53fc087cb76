//! The render service of one cluster: route table in, tested engine configuration out. Never touches the Docker API.
