//! Tests of the names.

use crate::events::group::Rules;
use crate::events::group::pieces::{Piece, render_key};
use crate::events::group::template::Template;
use crate::events::group::words::{Class, Kind};

/// The names of several words in a text, after those after a word such as `user`.
fn names(text: &str) -> Vec<(String, Class)> {
    let mut template = Template::new(text, Vec::new());
    template.judge_by(Rules::Three);
    let several = |piece: &&Piece<'_>| piece.text.contains(' ') && !piece.is_mask();
    let of = |piece: &Piece<'_>| match piece.kind {
        Kind::Word(class) => Some((piece.text.to_owned(), class)),
        _ => None,
    };
    template.pieces().iter().filter(several).filter_map(of).collect()
}

#[test]
fn capitalised_words_inside_a_sentence_are_one_name() {
    for (text, name, class) in [
        ("Import of Acme North failed", "Acme North", Class::Name),
        ("Channel Old Orders stopped", "Old Orders", Class::Keyed),
        ("waiting for channel Old Orders", "Old Orders", Class::Keyed),
        ("mail of Anna Smith-Jones bounced", "Anna Smith-Jones", Class::Name),
        ("cannot find Red Pine Lodge at 4", "Red Pine Lodge", Class::Name),
        ("queue of Failed Orders is full", "Failed Orders", Class::Name),
        ("rejected (customer: Acme North)", "Acme North", Class::Name),
        ("Patient Zoë Müller was not found", "Zoë Müller", Class::Name),
        ("Клиент Анна Петрова не найден", "Анна Петрова", Class::Name),
        ("12:04:05 Patient Anna Berg left", "Anna Berg", Class::Name),
        ("ward: Patient Anna Berg left", "Anna Berg", Class::Name),
        (
            "no answer for Hill Street Garage South",
            "Hill Street Garage South",
            Class::Name,
        ),
        ("no such course: Shared Stock and others", "Shared Stock", Class::Name),
        ("no answer for Acme North, retrying", "Acme North", Class::Name),
    ] {
        assert_eq!(names(text), [(name.to_owned(), class)], "{text}");
    }
    assert_eq!(names("moved from Acme North to Acme South, by Anna Berg").len(), 3);
}

#[test]
fn capitalised_words_that_say_something_are_none() {
    for text in [
        "could not reach it: Connection Refused",
        "answered 404 Not Found again",
        "answered 502 Bad Gateway again",
        "got Internal Server Error from it",
        "got Too Many Requests from it",
        "it says Payload Too Large here",
        "it says Access Denied here",
        "it died of Stack Overflow",
        "Failed To Open File for 17",
        "Unable To Reach The Server Again",
        "import: Customer Acme is unknown",
        "it saw A Name With Too Many Words In It",
        "An Entire Title With Capitals Everywhere",
        "Channel Orders stopped",
        "it saw SOME LOUD WORDS here",
        "it saw CamelCase OtherCase here",
        "it saw snake_case Other_Case here",
        "at Mon Jan 2 it fell",
        "Old Orders were lost",
        "Die Datei fehlt im Ordner",
        "tags [Old Orders, New Items, x] unknown",
        "it has Two  Spaces here",
        "Old",
        "",
    ] {
        assert!(names(text).is_empty(), "{text}: {:?}", names(text));
    }
}

#[test]
fn the_key_is_the_same_by_every_version_of_the_rules() {
    for text in [
        "Import of Acme North failed: Acme South, Acme North 5, Acme North 6",
        "[Old Orders, New Items] and (Old Orders) and \"Old Orders of All Things That Are\"",
        "Channel Old Orders",
    ] {
        let key = |rules| {
            let mut template = Template::new(text, vec![1]);
            template.judge_by(rules);
            let mut bytes = Vec::new();
            render_key(text, template.pieces(), &mut bytes);
            (bytes, template.shown(), template.into_key())
        };
        assert_eq!(key(Rules::Two), key(Rules::Three), "{text}");
    }
}
