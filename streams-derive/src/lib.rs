//! The derive macro behind DefaultSerde.
