use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use jiff::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::access::{InvalidToken, NewToken, Scope, create, revoke};
use crate::clock::ManualClock;

struct Bench {
    _folder: TempDir,
    file: TokenFile,
    clock: Arc<ManualClock>,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            file: TokenFile::in_folder(&folder.path().join("data")),
            clock: Arc::new(ManualClock::starting_at(now())),
            _folder: folder,
        }
    }

    fn store(&self) -> TokenStore {
        TokenStore::open(self.file.clone(), self.clock.clone()).unwrap()
    }

    fn create(&self, scopes: &[Scope]) -> String {
        let new = NewToken {
            scopes: scopes.into(),
            ..NewToken::default()
        };
        create(&self.file, new, now()).unwrap().text
    }

    fn second(&self) {
        self.clock.advance(Duration::from_secs(1));
    }
}

fn now() -> Timestamp {
    "2025-06-01T12:00:00Z".parse().unwrap()
}

fn id(text: &str) -> &str {
    &text[4..12]
}

#[test]
fn a_new_token_is_verified_and_grants_what_it_was_made_for() {
    let bench = Bench::new();
    let new = NewToken {
        name: Some("deploy".into()),
        scopes: vec![Scope::DataWrite, Scope::Ingest, Scope::DataWrite],
        collection: Some("notes".into()),
        expires_at: None,
    };
    let created = create(&bench.file, new, now()).unwrap();
    let grant = bench.store().verify(&created.text).unwrap();
    assert_eq!(grant.token_id, id(&created.text));
    assert_eq!(grant.name.as_deref(), Some("deploy"));
    assert_eq!(grant.scopes, [Scope::Ingest, Scope::DataWrite]);
    assert!(grant.allows(Scope::DataRead, Some("notes")) && !grant.allows(Scope::DataRead, Some("other")));
}

#[test]
fn the_file_keeps_only_a_hash_and_only_its_owner_reads_it() {
    let bench = Bench::new();
    let text = bench.create(&[Scope::Admin]);
    let content = fs::read_to_string(bench.file.path()).unwrap();
    assert!(!content.contains(&text[13..]), "the secret is in the file");
    assert!(
        content.contains("\"version\": 1") && content.contains("2025-06-01T12:00:00.000Z"),
        "{content}"
    );
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(bench.file.path()), 0o600);
    assert_eq!(mode(bench.file.path().parent().unwrap()), 0o700);
    assert!(!bench.file.path().with_extension("json.new").exists());
}

#[test]
fn wrong_tokens_are_refused() {
    let bench = Bench::new();
    let (good, other) = (bench.create(&[Scope::Admin]), bench.create(&[Scope::Admin]));
    let store = bench.store();
    let mixed = format!("{}{}", &good[..13], &other[13..]);
    assert_eq!(store.verify(&mixed), Err(Refusal::Unknown));
    // An id that nobody has, with the secret whose hash stands for nobody being out of reach.
    assert_eq!(
        store.verify(&format!("mst_ffffffff_{}", "0".repeat(64))),
        Err(Refusal::Unknown)
    );
    for malformed in ["", "mst_", "Bearer x", &good[1..]] {
        assert_eq!(store.verify(malformed), Err(Refusal::Malformed), "{malformed}");
    }
    assert!(store.verify(&good).is_ok());
}

#[test]
fn a_token_ends_at_its_expiry_and_still_counts_as_existing() {
    let bench = Bench::new();
    let new = NewToken {
        scopes: vec![Scope::Ingest],
        expires_at: Some(now() + Duration::from_secs(60)),
        ..NewToken::default()
    };
    let text = create(&bench.file, new, now()).unwrap().text;
    let store = bench.store();
    bench.clock.set_wall(now() + Duration::from_millis(59_999));
    assert!(store.verify(&text).is_ok());
    bench.clock.set_wall(now() + Duration::from_secs(60));
    assert_eq!(store.verify(&text), Err(Refusal::Expired));
    assert!(!store.is_empty());
    let wrong = format!("{}{}", &text[..13], "0".repeat(64));
    assert_eq!(store.verify(&wrong), Err(Refusal::Unknown));
}

#[test]
fn tokens_made_and_revoked_while_the_server_runs_are_noticed_within_a_second() {
    let bench = Bench::new();
    let store = bench.store();
    assert!(store.is_empty());
    let text = bench.create(&[Scope::Admin]);
    assert_eq!(
        store.verify(&text),
        Err(Refusal::Unknown),
        "looked at the file more than once a second"
    );
    bench.second();
    assert!(store.verify(&text).is_ok());
    assert!(!store.is_empty());
    let (gone, left) = revoke(&bench.file, id(&text)).unwrap().unwrap();
    assert_eq!((gone.id.as_str(), left), (id(&text), 0));
    bench.second();
    assert_eq!(store.verify(&text), Err(Refusal::Unknown));
    assert!(store.is_empty());
}

#[test]
fn a_file_that_breaks_or_vanishes_keeps_the_last_good_tokens() {
    let bench = Bench::new();
    let text = bench.create(&[Scope::Admin]);
    let store = bench.store();
    let good = fs::read(bench.file.path()).unwrap();
    fs::write(bench.file.path(), "{").unwrap();
    bench.second();
    assert!(store.verify(&text).is_ok());
    fs::remove_file(bench.file.path()).unwrap();
    bench.second();
    assert!(store.verify(&text).is_ok() && !store.is_empty());
    fs::write(bench.file.path(), good).unwrap();
    let other = bench.create(&[Scope::Ingest]);
    bench.second();
    assert!(store.verify(&text).is_ok() && store.verify(&other).is_ok());
}

#[test]
fn a_broken_file_refuses_the_start() {
    let bench = Bench::new();
    bench.create(&[Scope::Admin]);
    let good = fs::read_to_string(bench.file.path()).unwrap();
    let id = &good[good.find("\"id\": \"").unwrap() + 7..][..8];
    let broken = [
        (String::new(), "is not a valid token file"),
        ("[]".into(), "is not a valid token file"),
        (good.replace("admin", "root"), "unknown variant `root`"),
        (good.replace("\"version\": 1", "\"version\": 2"), "has version 2"),
        (
            good.replace("\"id\"", "\"onlyFrom\": \"10.0.0.1\", \"id\""),
            "unknown field `onlyFrom`",
        ),
        (good.replace(id, "xyz"), "an id that is not 8"),
        (good.replace("\"hash\": \"", "\"hash\": \"0"), "a hash that is not 64"),
        (good.replace("\"admin\"", ""), "without scopes"),
    ];
    for (content, expected) in broken {
        assert_ne!(content, good);
        fs::write(bench.file.path(), &content).unwrap();
        let error = TokenStore::open(bench.file.clone(), bench.clock.clone())
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains(expected), "{error}");
        assert!(
            create(
                &bench.file,
                NewToken {
                    scopes: vec![Scope::Admin],
                    ..NewToken::default()
                },
                now()
            )
            .is_err()
        );
        assert_eq!(
            fs::read_to_string(bench.file.path()).unwrap(),
            content,
            "a broken file was overwritten"
        );
    }
}

#[test]
fn two_tokens_with_one_id_are_refused() {
    let bench = Bench::new();
    let (one, two) = (bench.create(&[Scope::Admin]), bench.create(&[Scope::Ingest]));
    let content = fs::read_to_string(bench.file.path())
        .unwrap()
        .replace(id(&two), id(&one));
    fs::write(bench.file.path(), content).unwrap();
    assert!(bench.file.read().unwrap_err().to_string().contains("two tokens"));
}

#[test]
fn tokens_that_make_no_sense_are_not_made() {
    let bench = Bench::new();
    let refused = |scopes: &[Scope], collection: Option<&str>, expires_at: Option<Timestamp>| {
        let (scopes, collection) = (scopes.into(), collection.map(Into::into));
        create(
            &bench.file,
            NewToken {
                name: None,
                scopes,
                collection,
                expires_at,
            },
            now(),
        )
        .unwrap_err()
    };
    assert!(matches!(refused(&[], None, None), InvalidToken::NoScope));
    assert!(matches!(
        refused(&[Scope::Ingest], Some("c"), None),
        InvalidToken::CollectionWithoutData
    ));
    assert!(matches!(
        refused(&[Scope::Admin, Scope::DataRead], Some("c"), None),
        InvalidToken::CollectionWithAdmin
    ));
    assert!(matches!(
        refused(&[Scope::Ingest], None, Some(now())),
        InvalidToken::AlreadyExpired
    ));
    assert!(
        !bench.file.path().parent().unwrap().exists(),
        "a refused token left something behind"
    );
}

#[test]
fn revoking_an_unknown_token_changes_nothing_and_creates_nothing() {
    let bench = Bench::new();
    assert_eq!(revoke(&bench.file, "00000000").unwrap(), None);
    assert!(!bench.file.path().parent().unwrap().exists());
    let text = bench.create(&[Scope::Admin]);
    assert_eq!(revoke(&bench.file, "nonsense").unwrap(), None);
    assert!(bench.store().verify(&text).is_ok());
}

#[test]
fn tokens_made_at_the_same_time_are_all_kept() {
    let bench = Bench::new();
    let texts: Vec<String> = std::thread::scope(|scope| {
        let makers: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| (0..5).map(|_| bench.create(&[Scope::Ingest])).collect::<Vec<_>>()))
            .collect();
        makers.into_iter().flat_map(|maker| maker.join().unwrap()).collect()
    });
    assert_eq!(texts.len(), 40);
    let store = bench.store();
    assert!(texts.iter().all(|text| store.verify(text).is_ok()));
    assert_eq!(bench.file.read().unwrap().unwrap().len(), 40);
}

#[test]
fn the_leftover_of_a_dead_writer_is_no_obstacle() {
    let bench = Bench::new();
    bench.create(&[Scope::Admin]);
    fs::write(bench.file.path().with_extension("json.new"), "half").unwrap();
    let text = bench.create(&[Scope::Admin]);
    assert!(bench.store().verify(&text).is_ok());
}
