//! A file's bytes, unpacked where it is packed (floor 8): plain, gzip or zstd, told by how it begins.
//!
//! What must stay true: a piece is unpacked at a time; what is cut short or damaged is an error and never an early end.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The window that every zstd decoder should accept (RFC 8878, section 3.1.1.1.2).
const ZSTD_WINDOW_BYTES: u64 = 8 << 20;
const BUFFER_BYTES: usize = 64 << 10;

/// A file that is being read.
pub(super) struct Input {
    /// What is in it.
    pub(super) bytes: Box<dyn BufRead>,
    /// How many bytes it takes, as it is; unknown for standard input.
    pub(super) size: Option<u64>,
    /// How many of those were read.
    pub(super) read: Rc<Cell<u64>>,
}

/// Opens a file; `-` is standard input.
pub(super) fn open(path: &Path) -> io::Result<Input> {
    let read = Rc::new(Cell::new(0));
    let (source, size): (Box<dyn Read>, _) = if path.as_os_str() == "-" {
        (Box::new(io::stdin().lock()), None)
    } else {
        let file = File::open(path)?;
        let meta = file.metadata()?;
        if meta.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        (Box::new(file), meta.is_file().then_some(meta.len()))
    };
    let counted = Counted {
        source,
        read: Rc::clone(&read),
    };
    let bytes = unpacked(counted)?;
    Ok(Input { bytes, size, read })
}

struct Counted {
    source: Box<dyn Read>,
    read: Rc<Cell<u64>>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.read.set(self.read.get() + count as u64);
        Ok(count)
    }
}

fn unpacked(mut source: impl Read + 'static) -> io::Result<Box<dyn BufRead>> {
    let mut begin = Vec::with_capacity(ZSTD.len());
    source.by_ref().take(ZSTD.len() as u64).read_to_end(&mut begin)?;
    let (is_gzip, is_zstd) = (begin.starts_with(&GZIP), begin == ZSTD);
    let whole = BufReader::with_capacity(BUFFER_BYTES, Cursor::new(begin).chain(source));
    Ok(if is_gzip {
        Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(whole)))
    } else if is_zstd {
        Box::new(BufReader::with_capacity(BUFFER_BYTES, Frames::new(whole)))
    } else {
        Box::new(whole)
    })
}

/// What zstd packed: one frame after the other.
struct Frames<R> {
    source: R,
    decoder: FrameDecoder,
    is_inside: bool,
}

impl<R: BufRead> Frames<R> {
    fn new(source: R) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(ZSTD_WINDOW_BYTES);
        Self {
            source,
            decoder,
            is_inside: false,
        }
    }

    /// Whether another frame begins.
    fn begin(&mut self) -> io::Result<bool> {
        if self.source.fill_buf()?.is_empty() {
            return Ok(false);
        }
        match self.decoder.reset(&mut self.source) {
            Ok(()) => self.is_inside = true,
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                let skipped = io::copy(&mut self.source.by_ref().take(length.into()), &mut io::sink())?;
                if skipped < u64::from(length) {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            Err(error) => return Err(io::Error::other(error)),
        }
        Ok(true)
    }

    fn end(&mut self) -> io::Result<()> {
        self.is_inside = false;
        let stored = self.decoder.get_checksum_from_data();
        if stored.is_some() && stored != self.decoder.get_calculated_checksum() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the checksum of a zstd frame is wrong",
            ));
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.is_inside {
                while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                    let one = BlockDecodingStrategy::UptoBlocks(1);
                    self.decoder
                        .decode_blocks(&mut self.source, one)
                        .map_err(io::Error::other)?;
                }
                let count = self.decoder.read(buffer)?;
                if count > 0 {
                    return Ok(count);
                }
                self.end()?;
            }
            if !self.begin()? {
                return Ok(0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn read(packed: Vec<u8>) -> io::Result<String> {
        let mut text = String::new();
        unpacked(Cursor::new(packed))?.read_to_string(&mut text).map(|_| text)
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(text.as_bytes()).unwrap();
        packer.finish().unwrap()
    }

    fn zstd(text: &str) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(text.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest)
    }

    #[test]
    fn plain_and_packed_files_give_the_same_also_in_several_parts() {
        let (first, second) = ("one line\n".repeat(100_000), "another\n".repeat(3));
        let whole = format!("{first}{second}");
        assert!(read(whole.clone().into_bytes()).unwrap() == whole);
        assert!(read([gzip(&first), gzip(&second)].concat()).unwrap() == whole);
        let skippable = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
        assert!(read([&zstd(&first)[..], &skippable, &zstd(&second)].concat()).unwrap() == whole);
        for short in ["", "a", "\u{1f}", "(\u{7f}"] {
            assert_eq!(read(short.as_bytes().to_vec()).unwrap(), short);
        }
    }

    #[test]
    fn what_is_cut_short_is_an_error() {
        for packed in [gzip("one line\n"), zstd("one line\n")] {
            for length in [6, packed.len() / 2, packed.len() - 1] {
                assert!(read(packed[..length].to_vec()).is_err(), "{length} of {packed:?}");
            }
            assert!(read([&packed[..], b"more"].concat()).is_err());
        }
    }
}
