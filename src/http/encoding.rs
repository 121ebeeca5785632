//! Compressed bodies (floor 5): gzip, deflate, br and zstd, taken apart within a limit.
//!
//! What must stay true: what comes out is counted while it comes out, so that a bomb costs at most the limit and one
//! window; what is cut short, damaged or followed by something else is refused whole. Blocking work; [`decoded`] keeps
//! what takes long off the async workers. Used by handlers whose clients compress.

use std::io::{self, Read};

use rocket::http::ContentType;
use rocket::request::{FromRequest, Outcome, Request};

use super::code::Code;
use super::problem::Problem;
use super::trace::refuse;

/// The encodings that are understood, as `Accept-Encoding` lists them.
pub const ALLOWED: &str = "gzip, deflate, br, zstd";
/// What is decoded where it is: compressed or not, more than this is felt by the other requests of a worker.
const SMALL_BYTES: usize = 64 << 10;
/// The window that every zstd decoder should accept (RFC 8878, section 3.1.1.1.2).
const ZSTD_WINDOW_BYTES: usize = 8 << 20;

/// How a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Not at all.
    Identity,
    /// RFC 1952, one member or several.
    Gzip,
    /// zlib (RFC 1950) as HTTP defines it, or raw deflate (RFC 1951) as some clients send it.
    Deflate,
    /// Brotli (RFC 7932).
    Brotli,
    /// Zstandard (RFC 8878), one frame or several.
    Zstd,
}

/// Why a body can't be unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unpackable {
    /// It would be larger than the limit.
    TooLarge,
    /// It is not what it is said to be, or not all of it.
    Corrupt,
}

impl Encoding {
    /// The encoding of all `Content-Encoding` headers together; absent is [`Encoding::Identity`].
    ///
    /// # Errors
    /// What is wrong with it: an unknown one, or one upon another.
    pub fn of<'h>(headers: impl Iterator<Item = &'h str>) -> Result<Self, String> {
        let mut named = headers.flat_map(|header| header.split(',')).map(str::trim);
        let mut named = named.by_ref().filter(|name| !name.is_empty());
        let Some(first) = named.next() else {
            return Ok(Self::Identity);
        };
        if let Some(second) = named.next() {
            return Err(format!("Content-Encoding {first}, {second} is one upon another"));
        }
        const NAMES: [(&str, Encoding); 6] = [
            ("identity", Encoding::Identity),
            ("gzip", Encoding::Gzip),
            ("x-gzip", Encoding::Gzip),
            ("deflate", Encoding::Deflate),
            ("br", Encoding::Brotli),
            ("zstd", Encoding::Zstd),
        ];
        let known = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(first));
        known
            .map(|(_, encoding)| *encoding)
            .ok_or_else(|| format!("Content-Encoding {first} is not understood"))
    }
}

/// What a packed body is said to be, for handlers that unpack one.
pub struct Packed<'r> {
    /// Its media type.
    pub media: Option<&'r ContentType>,
    /// How it is packed.
    pub encoding: Encoding,
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Packed<'r> {
    type Error = Problem;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Problem> {
        match encoding_of(request) {
            Ok(encoding) => Outcome::Success(Self {
                media: request.content_type(),
                encoding,
            }),
            Err(problem) => refuse(request, problem),
        }
    }
}

/// How the request's body is packed.
///
/// # Errors
/// 415 naming the encodings that are understood.
pub fn encoding_of(request: &Request<'_>) -> Result<Encoding, Problem> {
    Encoding::of(request.headers().get("Content-Encoding")).map_err(|why| {
        let detail = format!("{why}; allowed is one of: {ALLOWED}.");
        Problem::new(Code::UnsupportedMediaType, detail).with_header("Accept-Encoding", ALLOWED)
    })
}

/// The body unpacked, at most `limit` bytes of it; off the async workers when that takes long.
///
/// # Errors
/// 400 for a damaged body, 413 for one that is too large when unpacked.
pub async fn decoded(encoding: Encoding, body: Vec<u8>, limit: usize) -> Result<Vec<u8>, Problem> {
    if encoding == Encoding::Identity {
        return Ok(body);
    }
    // Only its beginning tells how large a body is; a small one is done by then.
    let unpacked = match unpack(encoding, &body, limit.min(SMALL_BYTES)) {
        Err(Unpackable::TooLarge) if limit > SMALL_BYTES => {
            let all = move || unpack(encoding, &body, limit);
            tokio::task::spawn_blocking(all)
                .await
                .map_err(|_| Problem::new(Code::Internal, "The body could not be unpacked."))?
        }
        done => done,
    };
    unpacked.map_err(|why| match why {
        Unpackable::TooLarge => {
            let detail = format!("The body is larger than the {limit} bytes allowed here when it is unpacked.");
            Problem::new(Code::PayloadTooLarge, detail)
        }
        Unpackable::Corrupt => {
            let detail = "The body is not what its Content-Encoding says, or not all of it.";
            Problem::new(Code::InvalidRequest, detail)
        }
    })
}

/// Unpacks `body`; blocking.
///
/// # Errors
/// It has more than `limit` bytes then, or it is damaged.
pub fn unpack(encoding: Encoding, body: &[u8], limit: usize) -> Result<Vec<u8>, Unpackable> {
    let mut out = Vec::new();
    match encoding {
        Encoding::Identity => read_all(body, &mut out, limit)?,
        Encoding::Gzip => read_all(flate2::bufread::MultiGzDecoder::new(body), &mut out, limit)?,
        Encoding::Deflate if is_zlib(body) => {
            let mut decoder = flate2::bufread::ZlibDecoder::new(body);
            read_all(&mut decoder, &mut out, limit)?;
            nothing_after(decoder.into_inner())?;
        }
        Encoding::Deflate => {
            let mut decoder = flate2::bufread::DeflateDecoder::new(body);
            read_all(&mut decoder, &mut out, limit)?;
            nothing_after(decoder.into_inner())?;
        }
        Encoding::Brotli => brotli(body, &mut out, limit)?,
        Encoding::Zstd => zstd(body, &mut out, limit)?,
    }
    Ok(out)
}

fn brotli(body: &[u8], out: &mut Vec<u8>, limit: usize) -> Result<(), Unpackable> {
    const BUFFER_BYTES: usize = 4096;
    let mut decoder = brotli_decompressor::Decompressor::new(body, BUFFER_BYTES);
    read_all(&mut decoder, out, limit)?;
    nothing_after(decoder.get_ref())?;
    // What its buffer still holds is told by reading past the end.
    decoder.read(&mut [0]).map(drop).map_err(corrupt)
}

fn zstd(mut body: &[u8], out: &mut Vec<u8>, limit: usize) -> Result<(), Unpackable> {
    use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
    use ruzstd::decoding::{FrameDecoder, StreamingDecoder};
    let mut decoder = FrameDecoder::new();
    decoder.set_max_window_size(limit.max(ZSTD_WINDOW_BYTES) as u64);
    loop {
        match StreamingDecoder::new_with_decoder(&mut body, &mut decoder) {
            Ok(mut frame) => read_all(&mut frame, out, limit)?,
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                body = body.get(length as usize..).ok_or(Unpackable::Corrupt)?;
            }
            Err(_) => return Err(Unpackable::Corrupt),
        }
        let stored = decoder.get_checksum_from_data();
        if stored.is_some() && stored != decoder.get_calculated_checksum() {
            return Err(Unpackable::Corrupt);
        }
        if body.is_empty() {
            return Ok(());
        }
    }
}

/// Appends all of `from`, as long as `out` stays within `limit`.
fn read_all(from: impl Read, out: &mut Vec<u8>, limit: usize) -> Result<(), Unpackable> {
    let room = (limit - out.len()) as u64;
    from.take(room + 1).read_to_end(out).map_err(corrupt)?;
    if out.len() > limit {
        return Err(Unpackable::TooLarge);
    }
    Ok(())
}

fn corrupt(_: io::Error) -> Unpackable {
    Unpackable::Corrupt
}

fn nothing_after(rest: &[u8]) -> Result<(), Unpackable> {
    if rest.is_empty() {
        Ok(())
    } else {
        Err(Unpackable::Corrupt)
    }
}

/// Whether the two first bytes are zlib's header: method 8, a window it can have, and the check of both (RFC 1950).
pub fn is_zlib(body: &[u8]) -> bool {
    matches!(body, [cmf, flags, ..]
        if cmf & 0x0f == 8 && cmf >> 4 <= 7 && u16::from_be_bytes([*cmf, *flags]).is_multiple_of(31))
}

#[cfg(test)]
mod tests;
