//~ DefaultSerde cannot be derived for the generic type `Pair`
//~ type Serde = Json;
use streams_dsl::prelude::*;

#[derive(Clone, DefaultSerde)]
struct Pair<T> {
    left: T,
    right: T,
}

fn main() {}
