//! A configured value as text (floor 0), whichever source wrote it and however.
//!
//! What must stay true: nothing is rounded or guessed. Called inside `config` alone.

use figment::value::Value;

/// The text of a plain value. A person may write a number as `20` or as `"20"`.
///
/// # Errors
/// What was found instead, in words.
pub(super) fn text_of(value: &Value) -> Result<String, &'static str> {
    match value {
        Value::String(_, text) => Ok(text.clone()),
        Value::Char(_, letter) => Ok(letter.to_string()),
        Value::Num(_, number) => match (number.to_u128(), number.to_i128()) {
            (Some(number), _) => Ok(number.to_string()),
            (None, Some(number)) => Ok(number.to_string()),
            (None, None) => Err("a number with a fraction"),
        },
        Value::Bool(..) => Err("true or false"),
        Value::Dict(..) => Err("a table"),
        Value::Array(..) => Err("a list"),
        Value::Empty(..) => Err("an empty value"),
    }
}

/// Digits alone: no sign, no point, no unit, no blanks.
pub(super) fn whole(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}
