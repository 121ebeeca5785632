//! Tests of the lists.

use super::*;

#[test]
fn every_word_of_a_list_is_found_and_no_other() {
    fn check<const PLACES: usize>(words: &Words<PLACES>, list: &[&str]) {
        assert!(list.len() * 2 <= PLACES, "half of the places must be empty");
        for word in list {
            assert!(words.has(word), "{word}");
            assert!(!words.has(&format!("{word}\0")) && !words.has(&format!("{word}x")));
        }
        assert!(!words.has("") && !words.has("qqqq") && !words.has_any_case("a word longer than any"));
    }
    check(&CONSTANT_WORDS, CONSTANTS);
    check(&NAMED_WORDS, NAMED);
    check(&NOT_NAME_WORDS, &[GRAMMAR, OUTCOMES].concat());
    check(&IN_NO_NAME_WORDS, &[GRAMMAR, OF_PHRASES].concat());
    check(&ENDS_NO_NAME_WORDS, &[OUTCOMES, ENDS_OF_PHRASES].concat());
    check(&UNIT_WORDS, UNITS);
    check(&DATED_WORDS, &[MONTHS, WEEKDAYS].concat());
    check(&ZONE_WORDS, ZONES);
    check(&VERB_WORDS, VERBS);
    check(&TLD_WORDS, TLDS);
    assert!(names_something("User") && !names_something("denied") && is_unit("KB") && is_tld("org"));
    assert!(is_constant("NaN") && !is_constant("Nan\u{e9}") && !is_day_or_month("jan") && is_zone("am"));
}

#[test]
fn small_letters_are_made_of_the_capitals_of_ascii_alone() {
    for byte in 0..=127_u8 {
        let text = char::from(byte).to_string();
        assert_eq!(lower(number(&text)), number(&text.to_ascii_lowercase()), "{byte}");
    }
    for text in ["É", "ÀZé", "[{@`Z", "ABCDEFGHIJKLMNO", "zZ\u{7f}Aé"] {
        assert_eq!(lower(number(text)), number(&text.to_ascii_lowercase()), "{text}");
    }
}
