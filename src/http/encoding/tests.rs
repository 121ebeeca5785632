use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

use super::*;

const TEXT: &[u8] = b"Mainstay Mainstay Mainstay: the same words once more, the same words once more.";
/// `TEXT` by a brotli encoder at quality 11.
const BROTLI: &[u8] = include_bytes!("text.br");

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zlib(text: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn deflate(text: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zstd(text: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest)
}

fn every_encoding() -> [(Encoding, Vec<u8>); 5] {
    [
        (Encoding::Gzip, gzip(TEXT)),
        (Encoding::Deflate, zlib(TEXT)),
        (Encoding::Deflate, deflate(TEXT)),
        (Encoding::Brotli, BROTLI.to_vec()),
        (Encoding::Zstd, zstd(TEXT)),
    ]
}

#[test]
fn each_encoding_gives_back_what_went_in() {
    for (encoding, packed) in every_encoding() {
        assert_eq!(unpack(encoding, &packed, 1000).unwrap(), TEXT, "{encoding:?}");
        assert_eq!(unpack(encoding, &packed, TEXT.len()).unwrap(), TEXT, "{encoding:?}");
    }
}

#[test]
fn what_is_cut_short_or_followed_by_more_is_refused() {
    for (encoding, packed) in every_encoding() {
        for length in 0..packed.len() {
            let cut = unpack(encoding, &packed[..length], 1000);
            assert_eq!(cut, Err(Unpackable::Corrupt), "{encoding:?} cut at {length}");
        }
        let more = [&packed[..], b"\x07more than there should be"].concat();
        assert_eq!(unpack(encoding, &more, 1000), Err(Unpackable::Corrupt), "{encoding:?}");
    }
}

#[test]
fn several_members_and_frames_are_one_body() {
    for (encoding, one) in [(Encoding::Gzip, gzip(TEXT)), (Encoding::Zstd, zstd(TEXT))] {
        let twice = [&one[..], &one].concat();
        assert_eq!(unpack(encoding, &twice, 1000).unwrap(), [TEXT, TEXT].concat());
        assert_eq!(unpack(encoding, &twice, 2 * TEXT.len() - 1), Err(Unpackable::TooLarge));
    }
    let skipped = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3][..], &zstd(TEXT)].concat();
    assert_eq!(unpack(Encoding::Zstd, &skipped, 1000).unwrap(), TEXT);
}

#[test]
fn a_bomb_costs_the_limit() {
    let zeros = vec![0; 50 << 20];
    for (encoding, packed) in [
        (Encoding::Gzip, gzip(&zeros)),
        (Encoding::Deflate, zlib(&zeros)),
        (Encoding::Zstd, zstd(&zeros)),
    ] {
        assert_eq!(
            unpack(encoding, &packed, 1 << 20),
            Err(Unpackable::TooLarge),
            "{encoding:?}"
        );
    }
    // A frame that asks for a window of 1 GiB, which an honest body within the limit never needs.
    let greedy = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa0, 0x01, 0x00, 0x00];
    assert_eq!(unpack(Encoding::Zstd, &greedy, 1 << 20), Err(Unpackable::Corrupt));
}

#[test]
fn one_known_encoding_is_allowed() {
    let of = |headers: &[&str]| Encoding::of(headers.iter().copied());
    assert_eq!(of(&[]), Ok(Encoding::Identity));
    assert_eq!(of(&[" GZIP "]), Ok(Encoding::Gzip));
    assert_eq!(of(&["br"]), Ok(Encoding::Brotli));
    assert!(of(&["gzip, gzip"]).unwrap_err().contains("one upon another"));
    assert!(of(&["gzip", "br"]).unwrap_err().contains("one upon another"));
    assert!(of(&["lzma"]).unwrap_err().contains("lzma"));
}

#[rocket::async_test]
async fn large_bodies_are_unpacked_like_small_ones() {
    let large = vec![b'x'; 3 * SMALL_BYTES];
    let unpacked = decoded(Encoding::Gzip, gzip(&large), 1 << 20).await.unwrap();
    assert_eq!(unpacked, large);
    let refused = decoded(Encoding::Gzip, gzip(&large), 2 * SMALL_BYTES)
        .await
        .unwrap_err();
    assert_eq!(refused.code, Code::PayloadTooLarge);
    let refused = decoded(Encoding::Zstd, b"no frame".to_vec(), 1000).await.unwrap_err();
    assert_eq!(refused.code, Code::InvalidRequest);
}
