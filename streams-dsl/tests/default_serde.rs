//! The derive: JSON, or a format of one's own.

// A test that meets an error has failed.
#![allow(clippy::unwrap_used)]

use streams_dsl::prelude::*;
use streams_dsl::serdes::SerdeError;
use streams_test_driver::TopologyTestDriver;

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, DefaultSerde)]
struct Ride {
    zone: String,
    fare: f64,
}

#[derive(Debug, Clone, PartialEq, DefaultSerde)]
#[default_serde(OneByte)]
enum Colour {
    Red,
    Blue,
}

#[derive(Default)]
struct OneByte;

impl Serde<Colour> for OneByte {
    fn serialize(&self, value: &Colour, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        out.push(if *value == Colour::Red { b'r' } else { b'b' });
        Ok(())
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<Colour, SerdeError> {
        match bytes {
            b"r" => Ok(Colour::Red),
            b"b" => Ok(Colour::Blue),
            _ => Err(SerdeError::invalid::<Colour>("neither r nor b")),
        }
    }
}

#[test]
fn a_derived_type_is_json_and_a_named_format_is_itself() {
    let builder = StreamsBuilder::new();
    let rides = builder.stream::<String, Ride>("rides");
    rides.map_values(|ride| if ride.fare > 10.0 { Colour::Red } else { Colour::Blue }).to("colours");
    let mut driver = TopologyTestDriver::new(builder.build().unwrap()).unwrap();
    let rides = driver.input_topic_with("rides", Utf8, Utf8);
    rides.pipe(&mut driver, "a".to_owned(), r#"{"zone":"north","fare":12.5}"#.to_owned()).unwrap();
    let colours = driver.output_topic_with::<String, String>("colours", Utf8, Utf8);
    assert_eq!(colours.read_values(&mut driver).unwrap(), ["r"]);
}

#[test]
fn a_null_where_the_type_has_no_room_tells_the_remedy() {
    let builder = StreamsBuilder::new();
    builder.stream::<String, Ride>("rides").to("copy");
    let mut driver = TopologyTestDriver::new(builder.build().unwrap()).unwrap();
    let rides = driver.input_topic::<String, Option<Ride>>("rides");
    let error = rides.pipe(&mut driver, "a".to_owned(), None).unwrap_err();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(inner) = source {
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    assert!(text.contains("read the topic as `Option<"), "{text}");
}
