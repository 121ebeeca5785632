use super::normalise;

#[test]
fn statements_have_the_shape_they_should() {
    for (sql, shape) in [
        ("select 1", "select ?"),
        (
            "SELECT  a,b\n FROM t -- why\nWHERE x='it''s' /* no */ AND y = -1.5e-3;",
            "SELECT a, b FROM t WHERE x = ? AND y = ?",
        ),
        (
            "SELECT a - 1 FROM t WHERE b > +2 AND c = ?3",
            "SELECT a - ? FROM t WHERE b > ? AND c = ?",
        ),
        (
            "SELECT * FROM t WHERE a IN (1, -2,'x' , ?) AND b in(SELECT 1)",
            "SELECT * FROM t WHERE a IN (?) AND b in (SELECT ?)",
        ),
        (
            "INSERT INTO t (a,b) VALUES (1,'x'),(2, NULL), (?,?) ON CONFLICT DO NOTHING",
            "INSERT INTO t(a, b) VALUES (?, ?) ON CONFLICT DO NOTHING",
        ),
        (
            "SELECT \"a b\", [c d], `e` FROM \"T\"",
            "SELECT \"a b\", [c d], `e` FROM \"T\"",
        ),
        (
            "SELECT json_extract(body,'$.a.b[0]') , '$100' FROM d",
            "SELECT json_extract(body, '$.a.b[0]'), ? FROM d",
        ),
        (
            "SELECT x'ff', 0x1F, .5, 1_000, :name, @n, $n",
            "SELECT ?, ?, ?, ?, ?, ?, ?",
        ),
        ("SELECT t . a FROM t", "SELECT t.a FROM t"),
        ("", ""),
        ("-- nothing", ""),
        ("SELECT 'unfinished", "SELECT ?"),
        (
            "SELECT größe FROM t WHERE ü->>'$.x' = 'ä'",
            "SELECT größe FROM t WHERE ü ->> '$.x' = ?",
        ),
    ] {
        assert_eq!(normalise(sql), shape, "{sql}");
    }
}

#[test]
fn any_text_is_taken_and_the_shape_of_a_shape_is_itself() {
    let pieces = [
        "SELECT", "in", "VALUES", "(", ")", ",", "'", "''", "\"", "[", "]", "`", "--", "\n", "/*", "*/", "x'", "1",
        "-", "+", ".", ".5", "1e", "e", "?", "?1", ":", ":a", "$", "$.a", "'$.a'", "ä", "€", "😀", ";", " ", "->",
        "->>", "|", "#", "@", "\0", "_", "NOT",
    ];
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..30_000 {
        let text: String = (0..random.usize(0..14))
            .map(|_| pieces[random.usize(..pieces.len())])
            .collect();
        let once = normalise(&text);
        assert_eq!(normalise(&once), once, "{text:?}");
    }
}

#[test]
fn no_value_survives() {
    let mut random = fastrand::Rng::with_seed(11);
    let frames = [
        "SELECT {} FROM t",
        "SELECT a FROM t WHERE b = {} AND c IN ({}, {})",
        "INSERT INTO t VALUES ({}, {})",
        "UPDATE t SET a={}--{}\nWHERE b BETWEEN {} AND {}",
    ];
    for _ in 0..2000 {
        let mut text = String::new();
        for part in frames[random.usize(..frames.len())].split_inclusive("{}") {
            let value = match random.u8(0..3) {
                0 => "'s3cret'",
                1 => "-739110",
                _ => "x'739110'",
            };
            text.push_str(&part.replace("{}", value));
        }
        let shape = normalise(&text);
        assert!(
            !shape.contains("s3cret") && !shape.contains("739110"),
            "{text} -> {shape}"
        );
    }
}
