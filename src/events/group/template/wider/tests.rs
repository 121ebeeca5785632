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
        let rendered = template.rendered(Spare::default());
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
        "see 4 things: could not open the door of room 17 again (it was locked) or x (y) z",
        Vec::new(),
    );
    let rendered = template.rendered(Spare::default());
    let words: Vec<&str> = template.pieces.iter().map(|piece| piece.text).collect();
    let at = |word: &str| words.iter().position(|one| *one == word).expect(word);
    let merged = |all: &[&str]| {
        let places: Vec<usize> = all.iter().map(|word| at(word)).collect();
        rendered.told(&places).map(|told| told.merged)
    };
    for word in ["could", "door", "open", "was", "x"] {
        assert_eq!(merged(&[word]), Some(false), "{word} stands alone");
    }
    for word in ["room", "see"] {
        assert_eq!(merged(&[word]), Some(true), "{word} and the value beside it are one");
    }
    let neighbours = merged(&["could", "not", "door"]);
    assert_eq!(neighbours, Some(false), "they are one mask");
    let bracketed = (merged(&["y"]), merged(&["was", "locked"]));
    assert_eq!(bracketed, (None, None), "what is in brackets needs a look");
}
