//! Refusals of `records` as problems (floor 6): each says what was wrong and what helps.
use serde_json::Value;

use super::reply::entity_tag;
use crate::http::{Code, FieldError, Problem};
use crate::records::collections::DELETED_AT_ONCE_MAX;
use crate::records::{CollectionRefusal, DOCUMENT_MAX_BYTES, Key, Refusal, TooLarge};

/// 404: there is no such collection, and how to make one.
pub fn collection_missing(name: &str) -> Problem {
    let detail = format!("There is no collection {name}; PUT /api/data/{name} creates it.");
    Problem::new(Code::CollectionNotFound, detail)
}

/// 412 with the version that stands, which the client wants next.
pub fn unmet(current: Option<i64>) -> Problem {
    let detail = match current {
        Some(version) => format!("The conditions sent do not hold: the document's version is {version}."),
        None => "The conditions sent do not hold: there is no such document.".to_owned(),
    };
    let mut problem = Problem::new(Code::PreconditionFailed, detail);
    problem
        .extra
        .insert("currentVersion", current.map_or(Value::Null, Value::from));
    problem
        .headers
        .extend(current.map(|version| ("ETag", entity_tag(version))));
    problem
}

/// 413: the document, as it would be stored, is too large.
pub fn too_large(_: TooLarge) -> Problem {
    let detail = format!(
        "A document may have at most {DOCUMENT_MAX_BYTES} bytes, with its id, createdAt, updatedAt and version."
    );
    Problem::new(Code::PayloadTooLarge, detail)
}

/// 422: JSON, but no object.
pub fn not_an_object(kind: &str) -> Problem {
    let mut problem = Problem::new(
        Code::ValidationFailed,
        format!("The body must be a JSON object, not {kind}."),
    );
    problem.errors.push(FieldError::new("", "must be a JSON object"));
    problem
}

/// The problem of a document's refusal.
pub fn refused(refusal: Refusal, key: &Key) -> Problem {
    let Key { collection, id } = key;
    match refusal {
        Refusal::NoCollection => collection_missing(collection.as_str()),
        Refusal::NoDocument => Problem::new(
            Code::NotFound,
            format!("The collection {collection} has no document {id}."),
        ),
        Refusal::Exists => {
            let detail = format!("The document {id} exists already; PUT /api/data/{collection}/{id} replaces it.");
            Problem::new(Code::Conflict, detail)
        }
        Refusal::Unmet(current) => unmet(current),
        Refusal::TooLarge => too_large(TooLarge),
    }
}

/// The problem of a collection's refusal.
pub fn collection_refused(refusal: CollectionRefusal, name: &str) -> Problem {
    let (documents, advice) = match refusal {
        CollectionRefusal::Missing => return collection_missing(name),
        CollectionRefusal::NotEmpty(documents) => (documents, "force=true deletes them too".to_owned()),
        CollectionRefusal::TooMany(documents) => (
            documents,
            format!("at most {DELETED_AT_ONCE_MAX} can be deleted with it: delete some of them first"),
        ),
    };
    let mut problem = Problem::new(
        Code::Conflict,
        format!("The collection {name} is not empty (documents: {documents}); {advice}."),
    );
    problem.extra.insert("documents", documents.into());
    problem
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{CollectionName, DocumentId};

    #[test]
    fn a_failed_condition_tells_the_version_that_stands() {
        let there = unmet(Some(4));
        assert_eq!(there.extra["currentVersion"], 4);
        assert_eq!(there.headers, [("ETag", "\"4\"".to_owned())]);
        let absent = unmet(None);
        assert_eq!(
            (&absent.extra["currentVersion"], absent.headers.len()),
            (&Value::Null, 0)
        );
    }

    #[test]
    fn each_refusal_has_its_own_code() {
        let key = Key {
            collection: CollectionName::parse("notes").unwrap(),
            id: DocumentId::parse("n1").unwrap(),
        };
        for (refusal, code) in [
            (Refusal::NoCollection, Code::CollectionNotFound),
            (Refusal::NoDocument, Code::NotFound),
            (Refusal::Exists, Code::Conflict),
            (Refusal::Unmet(Some(1)), Code::PreconditionFailed),
            (Refusal::TooLarge, Code::PayloadTooLarge),
        ] {
            assert_eq!(refused(refusal, &key).code, code);
        }
        assert!(
            refused(Refusal::NoCollection, &key)
                .detail
                .contains("PUT /api/data/notes")
        );
    }

    #[test]
    fn a_collection_that_is_not_empty_says_how_many_stand_in_the_way() {
        let problem = collection_refused(CollectionRefusal::NotEmpty(3), "notes");
        assert_eq!(
            (problem.code, &problem.extra["documents"]),
            (Code::Conflict, &Value::from(3))
        );
        assert!(problem.detail.contains("force=true"));
        assert!(
            !collection_refused(CollectionRefusal::TooMany(5000), "notes")
                .detail
                .contains("force")
        );
    }
}
