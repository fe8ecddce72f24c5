//! Request headers, versions 1 and 2.

use bytes::{Buf, Bytes};
use kafka_protocol::protocol::StrBytes;

/// What stands before every request's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestHeader {
    /// Which API the body belongs to.
    pub(crate) api_key: i16,
    /// The version of the body.
    pub(crate) api_version: i16,
    /// Sent back in the answer, so that the client can pair them.
    pub(crate) correlation_id: i32,
    /// What the client calls itself.
    pub(crate) client_id: Option<StrBytes>,
}

/// A frame that is no request.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("request header is cut short or malformed")]
pub(crate) struct HeaderError;

impl RequestHeader {
    /// Reads the part that all header versions share from the front of `frame`. Header version 2 has tagged
    /// fields after it: see [`RequestHeader::skip_tagged_fields`].
    pub(crate) fn decode(frame: &mut Bytes) -> Result<Self, HeaderError> {
        let api_key = frame.try_get_i16().map_err(|_| HeaderError)?;
        let api_version = frame.try_get_i16().map_err(|_| HeaderError)?;
        let correlation_id = frame.try_get_i32().map_err(|_| HeaderError)?;
        let length = frame.try_get_i16().map_err(|_| HeaderError)?;
        let client_id = match usize::try_from(length) {
            Err(_) if length == -1 => None,
            Err(_) => return Err(HeaderError),
            Ok(length) if length > frame.len() => return Err(HeaderError),
            Ok(length) => Some(StrBytes::from_utf8(frame.split_to(length)).map_err(|_| HeaderError)?),
        };
        Ok(RequestHeader { api_key, api_version, correlation_id, client_id })
    }

    /// Skips the tagged fields with which a header of version 2 ends.
    pub(crate) fn skip_tagged_fields(frame: &mut Bytes) -> Result<(), HeaderError> {
        let fields = unsigned_varint(frame)?;
        for _ in 0..fields {
            unsigned_varint(frame)?;
            let length = unsigned_varint(frame)? as usize;
            if length > frame.len() {
                return Err(HeaderError);
            }
            frame.advance(length);
        }
        Ok(())
    }
}

/// Reads an unsigned LEB128 number of at most five bytes.
fn unsigned_varint(frame: &mut Bytes) -> Result<u32, HeaderError> {
    let mut value = 0u32;
    for shift in (0..35).step_by(7) {
        let byte = frame.try_get_u8().map_err(|_| HeaderError)?;
        value |= u32::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(HeaderError)
}

#[cfg(test)]
pub(crate) mod tests {
    use bytes::{BufMut, BytesMut};
    use kafka_protocol::protocol::Request;

    use super::*;

    /// A request as it stands in a frame, without the length prefix.
    pub(crate) fn request_frame<R: Request>(request: &R, version: i16, correlation_id: i32) -> Bytes {
        let mut frame = BytesMut::new();
        frame.put_i16(R::KEY);
        frame.put_i16(version);
        frame.put_i32(correlation_id);
        frame.put_i16(4);
        frame.put_slice(b"test");
        if R::header_version(version) >= 2 {
            frame.put_u8(0);
        }
        request.encode(&mut frame, version).unwrap();
        frame.freeze()
    }

    #[test]
    fn reads_a_header_and_refuses_a_cut_one() {
        let frame = Bytes::from_static(&[0, 18, 0, 3, 0, 0, 0, 7, 0, 2, b'm', b'e', 1, 5, 2, 0, 0, 9]);
        let mut body = frame.clone();
        let header = RequestHeader::decode(&mut body).unwrap();
        assert_eq!((header.api_key, header.api_version, header.correlation_id), (18, 3, 7));
        assert_eq!(header.client_id.as_deref(), Some("me"));
        RequestHeader::skip_tagged_fields(&mut body).unwrap();
        assert_eq!(body.as_ref(), &[9]);
        for cut in 0..12 {
            assert_eq!(RequestHeader::decode(&mut frame.slice(..cut)), Err(HeaderError));
        }
    }
}
