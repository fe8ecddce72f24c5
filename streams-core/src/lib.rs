//! The engine: topology, Processor API, tasks and the runtime that drives them.
