//! Tests of the wider templates: the short way to a key leads where the long one does.

use proptest::prelude::*;

use super::*;

/// Texts in which a mask may join others, close a bracket or a quote, or end a repetition.
fn text() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "red",
        "fox",
        "b_c",
        "fox",
        "17",
        "4",
        "'x'",
        "\"",
        "'",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ", ",
        ",",
        ": ",
        " - ",
        "/",
        "=",
        "k=",
        " ",
        " ",
        " ",
        " and ",
        " id 7, ",
        "a 1 b 2 ",
        "true",
        "ipsum dolor",
        "\n",
        "é",
        "用户",
        "E404",
        "; ",
    ]);
    prop::collection::vec(part, 1..24).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_short_way_to_a_key_leads_where_the_long_one_does(text in text()) {
        let template = Template::new(&text, vec![7, 7]);
        let rendered = template.rendered();
        let singles: Vec<Candidate> = template.candidates(&rendered).collect();
        let pairs: Vec<Candidate> = template.pairs(&rendered, &singles).collect();
        for candidate in singles.iter().chain(&pairs) {
            let wider = template.masked(candidate.places.all());
            prop_assert_eq!(candidate.key, wider.into_key(), "{:?} of {:?}", &candidate.places, &text);
        }
    }
}

#[test]
fn most_words_are_told_the_short_way() {
    let template = Template::new(
        "could not open the door of room 17 (it was locked), see 4 of 5",
        Vec::new(),
    );
    let rendered = template.rendered();
    let told = |at: usize| rendered.key(&template.pieces, &[at]).is_some();
    let words: Vec<&str> = template.pieces.iter().map(|piece| piece.text).collect();
    let at = |word: &str| words.iter().position(|one| *one == word).expect(word);
    assert!(told(at("could")) && told(at("door")) && told(at("open")));
    assert!(
        !told(at("was")) && !told(at("room")) && !told(at("see")),
        "brackets and values beside it need a look"
    );
}
