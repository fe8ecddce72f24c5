//! Error codes as answers carry them.

use crate::protocol::ErrorCode;

/// The error code of an outcome: 0 for success.
pub(super) fn code_of<T>(outcome: &Result<T, ErrorCode>) -> i16 {
    outcome.as_ref().err().map_or(0, ErrorCode::code)
}

/// The code of an error, 0 for none.
pub(super) fn code_if(error: Option<ErrorCode>) -> i16 {
    error.map_or(0, |error| error.code())
}

/// The error as a client of `version` knows it: before `fenced_from` a fenced producer has an invalid epoch.
pub(super) fn known_to(version: i16, fenced_from: i16, error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::ProducerFenced if version < fenced_from => ErrorCode::InvalidProducerEpoch,
        error => error,
    }
}
