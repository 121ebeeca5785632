//! Any JSON into its compact form (floor 2, pure): whitespace outside strings removed, depth bounded.
//!
//! What must stay true: numbers, strings and the order of members stay byte for byte as they were sent; the result has no
//! line break, so that an event fits on one line of NDJSON. The input is valid JSON already.

use serde_json::value::RawValue;

/// Deepest nesting that is taken: deeper than any honest details, shallower than readers' own limits.
const MAX_DEPTH: usize = 64;

/// The compact form; the error says how deep it may be.
pub(super) fn compact(value: &RawValue) -> Result<Box<RawValue>, String> {
    let text = value.get();
    let mut out = Vec::with_capacity(text.len());
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        if in_string {
            out.push(byte);
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => continue,
            b'"' => in_string = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(format!("must be nested at most {MAX_DEPTH} levels deep"));
        }
        out.push(byte);
    }
    // Removing ASCII whitespace between tokens of valid JSON leaves valid UTF-8 and valid JSON.
    String::from_utf8(out)
        .ok()
        .and_then(|text| RawValue::from_string(text).ok())
        .ok_or_else(|| "is not valid JSON".to_owned())
}
