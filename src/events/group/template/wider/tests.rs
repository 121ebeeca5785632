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
        "Old Orders",
        "Acme North",
        " of Red Pine Lodge",
        "user Ann Berg",
        " d-e ",
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
    fn the_short_way_to_a_key_leads_where_the_long_one_does(text in text(), new in any::<bool>()) {
        let mut template = Template::new(&text, vec![7, 7]);
        template.judge_by(if new { Rules::Three } else { Rules::Two });
        let rendered = template.rendered(Spare::default());
        let singles: Vec<Candidate> = template.candidates(&rendered).collect();
        let pairs: Vec<Candidate> = template.pairs(&rendered, &singles).collect();
        for candidate in singles.iter().chain(&pairs) {
            let wider = template.masked(candidate.places.all());
            prop_assert_eq!(candidate.key, wider.into_key(), "{:?} of {:?}", &candidate.places, &text);
        }
    }
}

/// Sentences with a name, which other names or a value may stand for.
fn sentence() -> impl Strategy<Value = (String, String)> {
    let frame = prop::sample::select(vec![
        "channel {} stopped for good",
        "import of {} failed at line 4",
        "no answer from {} to Carl Lund (customer: {})",
        "could not move {} to 'x' for Old Orders, [a, b], again",
        "badge 7 of {} is not valid",
    ]);
    let name = prop::sample::select(vec!["Acme North", "Red Pine Lodge", "Zoë Smith-Jones", "Failed Items"]);
    (frame, name).prop_map(|(frame, name)| (frame.replace("{}", name), frame.replace("{}", "17")))
}

proptest! {
    #[test]
    fn a_message_with_a_value_has_the_key_that_a_name_in_its_place_leads_to((named, valued) in sentence()) {
        let mut template = Template::new(&named, Vec::new());
        template.judge_by(Rules::Three);
        let rendered = template.rendered(Spare::default());
        let singles: Vec<Candidate> = template.candidates(&rendered).collect();
        let mut all = singles.iter().cloned().chain(template.pairs(&rendered, &singles));
        let key = Template::new(&valued, Vec::new()).into_key();
        prop_assert!(all.any(|candidate| candidate.key == key), "{} and {}", named, valued);
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
