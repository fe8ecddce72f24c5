//! The pages of the guide, `docs/`: their programs are compiled and run by `cargo test`.

macro_rules! pages {
    ($($page:ident = $file:literal),* $(,)?) => {
        $(
            #[doc = include_str!(concat!("../../docs/", $file))]
            mod $page {}
        )*
    };
}

pages! {
    concepts = "concepts.md",
    time_and_windows = "time-and-windows.md",
    joins = "joins.md",
    tables = "tables.md",
    state = "state.md",
    processor_api = "processor-api.md",
    testing = "testing.md",
    operating = "operating.md",
    coming_from_kafka_streams = "coming-from-kafka-streams.md",
}
