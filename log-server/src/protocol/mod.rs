//! The wire format, as pure functions over bytes: no socket, no clock, no state.

mod answer_frame;
pub(crate) mod fields;
mod frame;
mod header;
mod shape;

pub(crate) use answer_frame::AnswerFrame;
pub(crate) use frame::{FrameError, take_frame};
pub(crate) use header::RequestHeader;
#[cfg(test)]
pub(crate) use header::tests::request_frame;
pub(crate) use kafka_protocol::error::ResponseError as ErrorCode;
pub(crate) use shape::Shape;
#[cfg(test)]
pub(crate) use shape::generated::Vocabulary;
