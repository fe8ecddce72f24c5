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
