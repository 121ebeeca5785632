//! What must not cost an r2d2 pool its capacity.

use super::*;
use crate::config::PoolSettings;
use crate::db::pool::ConnectionPool;

fn pool(most: u32) -> (tempfile::TempDir, ConnectionPool, Arc<AtomicU64>) {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("a.db");
    let made = Connection::open(&path).expect("opens");
    made.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t(a)")
        .expect("made");
    drop(made);
    let opened = identity(&path).expect("there");
    let terms = Terms {
        lifetime: Duration::from_secs(600),
        epoch: Epoch::default(),
        cache_kib: 256,
    };
    let statements = Arc::new(Statements::new(Duration::MAX, crate::clock::from_epoch_ms(0)));
    let holders = Arc::new(Holders::new(&path));
    let manager = Manager::new(&path, opened, Role::Reader, terms, holders, statements);
    let panics = Arc::clone(&manager.panics);
    let settings = PoolSettings {
        max: most,
        min: 0,
        ..PoolSettings::default()
    };
    (folder, ConnectionPool::new(manager, &settings, "app"), panics)
}

fn all_of(pool: &ConnectionPool, most: u32) {
    let until = Instant::now() + Duration::from_secs(30);
    let mut held = Vec::new();
    while held.len() < most as usize {
        // A failed connect is told at once; whoever waits on gets a connection.
        held.extend(pool.checkout("test", until));
        assert!(Instant::now() < until, "{} of {most} places are left", held.len());
    }
}

#[test]
fn fault_24_panics_while_connecting_or_checking_cost_no_place() {
    let (_folder, pool, panics) = pool(3);
    panics.store(3, Ordering::Release);
    all_of(&pool, 3);
    assert_eq!(panics.load(Ordering::Acquire), 0, "it did panic");
    std::thread::sleep(BYPASS + Duration::from_millis(50));
    panics.store(3, Ordering::Release);
    all_of(&pool, 3);
    assert_eq!(panics.load(Ordering::Acquire), 0, "it did panic");
}

#[test]
fn a_connection_with_an_open_transaction_or_a_panic_never_comes_back() {
    let (_folder, pool, _) = pool(1);
    let until = || Instant::now() + Duration::from_secs(30);
    let open = pool.checkout("test", until()).expect("one");
    open.execute_batch("BEGIN; SELECT count(*) FROM t").expect("begun");
    drop(open);
    let mut next = pool.checkout("test", until()).expect("another one");
    next.execute_batch("BEGIN; ROLLBACK").expect("none is open");
    next.execute_batch("CREATE TEMP TABLE mark(a)").unwrap_or_default();
    next.poison();
    drop(next);
    all_of(&pool, 1);
}
