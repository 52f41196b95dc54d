//! What schemas mean, what is refused and in which words; that texts and definitions are two forms of one thing.

use proptest::prelude::*;

use super::super::config_keys::{Change, agree, change, checked};
use super::*;

fn parse(format: &str, schema: &str) -> Definition {
    Definition::parse(format, Some(schema)).unwrap()
}

fn refused(format: &str, schema: &str) -> String {
    Definition::parse(format, Some(schema)).unwrap_err().to_string()
}

fn shown(definition: &Definition) -> Vec<String> {
    definition.columns.iter().map(|column| format!("{} {}", column.name, column.column_type)).collect()
}

#[test]
fn formats_have_their_names() {
    for format in Format::ALL {
        assert_eq!(Format::find(format.name()), Some(format));
    }
    assert_eq!(Format::find("JSON"), None);
}

#[test]
fn a_json_schema_has_paths() {
    let definition = parse("json", r#"Symbol text, price decimal(11,4) path 'trade."p.x"', "At" timestamp(3)"#);
    assert_eq!(shown(&definition), ["symbol text", "price decimal(11,4)", "At timestamp(3)"]);
    let paths: Vec<_> = definition.columns.iter().map(|column| &column.place).collect();
    let path = |names: &[&str]| Place::Path(names.iter().map(|&name| name.to_owned()).collect());
    assert_eq!(paths, [&path(&["Symbol"]), &path(&["trade", "p.x"]), &path(&["At"])]);
}

#[test]
fn a_fixed_width_schema_has_places() {
    let definition = parse("fixed-width", "price decimal(11,4) at 39 length 11 implied, to int at 75 length 4 repeat");
    let [price, to] = &definition.columns[..] else { panic!("two columns") };
    assert!(price.is_implied);
    assert_eq!(price.place, Place::Bytes { at: 39, length: 11, is_repeated: false });
    assert_eq!(to.column_type, ColumnType::List(Box::new(ColumnType::Int)));
    assert_eq!(to.place, Place::Bytes { at: 75, length: 4, is_repeated: true });
}

#[test]
fn separators_are_said_first() {
    assert_eq!(parse("csv", "a int").separator, b',');
    assert_eq!(parse("csv", "by ';' a int").separator, b';');
    assert_eq!(parse("delimited", "a int").separator, b'|');
    assert_eq!(parse("delimited", "by '\\t' a int").separator, b'\t');
    assert_eq!(shown(&parse("csv", "by text")), ["by text"]);
    assert!(refused("csv", "by ';;' a int").contains("one character"));
    assert!(refused("json", "by ';' a int").contains("csv and delimited"));
}

#[test]
fn taq_is_built_in_in_both_forms() {
    let fixed = parse("fixed-width", "taq");
    assert_eq!(fixed.columns.len(), 13);
    let (first, last) = (&fixed.columns[0], &fixed.columns[12]);
    assert_eq!((first.name.as_str(), first.presence), ("time", Presence::Required));
    assert_eq!((last.name.as_str(), last.presence), ("receivers", Presence::Optional));
    assert_eq!(parse("delimited", " TAQ ").columns.len(), 15);
    assert!(refused("csv", "taq").contains("fixed-width and delimited"));
}

#[test]
fn refusals_say_where_and_what_to_write() {
    for (format, schema, words) in [
        ("json", "a int, b", "column 2 (b): it has no type: write boolean, int"),
        ("json", "a int, b float", "column 2 (b): there is no type float: write double, or decimal(p,s)"),
        ("json", "a decimal", "column 1 (a): decimal needs its digits: write decimal(18,4)"),
        ("json", "a decimal(39,2)", "decimal(39,2) cannot be: 1 to 38 digits"),
        ("json", "a decimal(3,4)", "decimal(3,4) cannot be"),
        ("json", "a timestamp(5)", "3, 6 or 9"),
        ("json", "a int b text", "b has no meaning behind a type: write path '…', or a comma"),
        ("json", "a int at 3 length 4", "they are for fixed-width"),
        ("json", "a int path 'x..y'", "write names with points between them"),
        ("json", "a int optional", "what an object does not have is null"),
        ("json", "a int, A text", "columns 1 and 2 are both called a"),
        ("json", "_offset bigint", "column 1 (_offset): every record has a column of this name"),
        ("json", "a int,", "column 2: a name was expected, not the end"),
        ("json", "", "needs millpond.value.schema in the same request, for instance: symbol text"),
        ("json", "a text 'x", "is not closed"),
        ("json", "a-b text", "'-' has no meaning here"),
        ("csv", "a int path 'x'", "path is not for format csv"),
        ("csv", "a int implied", "implied says where a decimal has its point"),
        ("csv", "a int squeezed", "squeezed is for text"),
        ("fixed-width", "a int", "its bytes are missing: write at 39 length 11"),
        ("fixed-width", "a int at 0 length 0", "length needs a number from 1"),
        ("fixed-width", "a int at 0 length 4 repeat required", "it may be empty"),
        ("raw", "a int", "format raw has no columns"),
        ("avro", "{", "it is no JSON"),
        ("avro", r#""int""#, "columns are the fields of a record"),
    ] {
        let said = refused(format, schema);
        assert!(said.contains(words), "{format} {schema:?}: {said}");
        assert!(said.contains(SCHEMA_KEY), "{said}");
    }
    assert!(refused("xml", "a int").contains("must be raw or json"));
}

fn both(format: Option<&str>, schema: Option<&str>) -> Result<Overrides, String> {
    let pairs = [(FORMAT_KEY, format), (SCHEMA_KEY, schema)];
    checked(pairs.into_iter().filter(|(_, value)| value.is_some())).map_err(|why| why.to_string())
}

#[test]
fn the_two_keys_are_checked_together() {
    let keys = both(Some("json"), Some(" a int ")).unwrap();
    assert_eq!(keys[SCHEMA_KEY], "a int");
    assert!(both(None, Some("a int")).unwrap_err().contains("set both in one request"));
    assert!(both(Some("json"), None).unwrap_err().contains("in the same request"));
    assert!(both(Some("raw"), None).is_ok());
    assert!(both(None, Some("")).is_ok());
    assert!(both(Some("json"), Some(&"a".repeat(SCHEMA_BYTES_MAX + 1))).unwrap_err().contains("at most 32767 bytes"));

    let mut keys = keys;
    change(&mut keys, FORMAT_KEY, Change::Delete).unwrap();
    assert!(agree(&keys).unwrap_err().to_string().contains("remove both"));
    change(&mut keys, SCHEMA_KEY, Change::Delete).unwrap();
    assert!(agree(&keys).is_ok());
}

#[test]
fn a_topics_own_format_brings_its_own_schema() {
    let stream = both(Some("json"), Some("a int")).unwrap();
    let own = both(Some("csv"), Some("b int")).unwrap();
    let of = |own: &Overrides| Definition::of(&stream, own).unwrap();
    assert_eq!(shown(&of(&own)), ["b int"]);
    assert_eq!(shown(&of(&Overrides::new())), ["a int"]);
    assert_eq!(of(&both(Some("raw"), None).unwrap()), Definition::raw());
}

#[test]
fn avro_types_have_columns() {
    let schema = r#"{"type": "record", "name": "trade", "namespace": "x.y", "fields": [
        {"name": "Symbol", "type": "string"},
        {"name": "px", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 11, "scale": 4}]},
        {"name": "wide", "type": {"type": "bytes", "logicalType": "decimal", "precision": 50}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "wall", "type": {"type": "long", "logicalType": "local-timestamp-micros"}},
        {"name": "t", "type": {"type": "int", "logicalType": "time-millis"}},
        {"name": "odd", "type": {"type": "string", "logicalType": "time-millis"}},
        {"name": "side", "type": {"type": "enum", "name": "Side", "symbols": ["B", "A"]}},
        {"name": "other", "type": "x.y.Side"},
        {"name": "tags", "type": {"type": "array", "items": "Side"}},
        {"name": "more", "type": {"type": "map", "values": "long"}},
        {"name": "one", "type": ["int", "null", "string"]},
        {"name": "in", "type": {"type": "record", "name": "In", "fields": [{"name": "aB", "type": "boolean"}]}},
        {"name": "_key", "type": {"type": "fixed", "name": "F", "size": 3}},
        {"name": "symbol", "type": "null"}]}"#;
    assert_eq!(
        shown(&parse("avro", schema)),
        [
            "symbol text",
            "px decimal(11,4)",
            "wide bytea",
            "at timestamp(3)",
            "wall timestamp without time zone",
            "t time",
            "odd text",
            "side text",
            "other text",
            "tags text[]",
            "more map(text, bigint)",
            "one struct(member0 int, member1 text)",
            "in struct(aB boolean)",
            "_key_ bytea",
            "symbol_ text",
        ]
    );
}

#[test]
fn avro_schemas_without_columns_are_refused() {
    let record =
        |field: &str| format!(r#"{{"type": "record", "name": "r", "fields": [{{"name": "f", "type": {field}}}]}}"#);
    for (field, words) in [
        (r#""r""#, "column f: type r contains itself"),
        (r#"["null", "r"]"#, "contains itself"),
        (r#""s""#, "there is no type s"),
        (r#"{"type": "array"}"#, "array has no \"items\""),
        (r#"[["int"]]"#, "a union stands in a union"),
        ("[]", "no branches"),
        (r#"{"type": "fixed", "name": "f", "size": -1}"#, "no number of bytes"),
        (r#"{"type": "enum", "name": "r", "symbols": []}"#, "defined twice"),
        ("3", "3 is no type"),
    ] {
        let said = refused("avro", &record(field));
        assert!(said.contains(words), "{field}: {said}");
    }
}

/// Each type is made of two of the one before: what it amounts to doubles with each.
#[test]
fn types_that_multiply_are_refused() {
    let mut inner = r#"{"type": "record", "name": "r0", "fields": []}"#.to_owned();
    for level in 1..30 {
        let before = level - 1;
        inner = format!(
            r#"{{"type": "record", "name": "r{level}", "fields": [{{"name": "a", "type": {inner}}}, {{"name": "b", "type": "r{before}"}}]}}"#
        );
    }
    assert!(refused("avro", &inner).contains("it amounts to more than"));
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z_][a-z0-9_]{0,8}", "[ -~]{1,8}", "[äß日 \"'.]{1,4}"]
}

fn scalar() -> impl Strategy<Value = ColumnType> {
    let decimal = (1..=38_u8).prop_flat_map(|precision| {
        (Just(precision), 0..=precision).prop_map(|(precision, scale)| ColumnType::Decimal { precision, scale })
    });
    let timestamp =
        prop_oneof![Just(TimeUnit::Milliseconds), Just(TimeUnit::Microseconds), Just(TimeUnit::Nanoseconds)]
            .prop_map(|unit| ColumnType::Timestamp { unit, is_utc: true });
    let plain = prop::sample::select(vec![
        ColumnType::Boolean,
        ColumnType::Int,
        ColumnType::BigInt,
        ColumnType::Double,
        ColumnType::Text,
        ColumnType::Bytea,
        ColumnType::Date,
        ColumnType::Time,
    ]);
    prop_oneof![plain, decimal, timestamp]
}

fn column(format: Format) -> impl Strategy<Value = Column> {
    let place = match format {
        Format::Json => prop::collection::vec(name(), 1..4).prop_map(Place::Path).boxed(),
        Format::FixedWidth => (0..2_000_usize, 1..50_usize, any::<bool>())
            .prop_map(|(at, length, is_repeated)| Place::Bytes { at, length, is_repeated })
            .boxed(),
        _ => Just(Place::Order).boxed(),
    };
    let presence = prop::sample::select(vec![Presence::Expected, Presence::Optional, Presence::Required]);
    (name(), scalar(), place, presence, any::<bool>()).prop_map(move |(name, scalar, place, presence, marked)| {
        let marked = marked && format != Format::Json;
        let is_list = matches!(place, Place::Bytes { is_repeated: true, .. });
        let presence = match (format, presence) {
            (Format::Json, _) => Presence::Expected,
            (_, Presence::Required) if is_list => Presence::Optional,
            (_, presence) => presence,
        };
        Column {
            name,
            is_implied: marked && matches!(scalar, ColumnType::Decimal { .. }),
            is_squeezed: marked && scalar == ColumnType::Text,
            column_type: if is_list { ColumnType::List(Box::new(scalar)) } else { scalar },
            place,
            presence,
        }
    })
}

fn definition() -> impl Strategy<Value = Definition> {
    prop::sample::select(vec![Format::Json, Format::Csv, Format::Delimited, Format::FixedWidth]).prop_flat_map(
        |format| {
            let separator = match format {
                Format::Csv | Format::Delimited => prop::sample::select(b",;|\t'\\ ^\x01".to_vec()).boxed(),
                _ => Just(b',').boxed(),
            };
            let columns = prop::collection::vec(column(format), 1..8).prop_filter("names are different", |columns| {
                let is_free = |column: &Column| !RECORD_COLUMNS.contains(&column.name.as_str());
                let is_first = |at: usize, column: &Column| columns[..at].iter().all(|other| other.name != column.name);
                columns.iter().enumerate().all(|(at, column)| is_free(column) && is_first(at, column))
            });
            (separator, columns).prop_map(move |(separator, columns)| Definition { format, separator, columns })
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_reads_as_the_same(definition in definition()) {
        let written = text(&definition);
        prop_assert_eq!(Definition::parse(definition.format.name(), Some(&written)), Ok(definition), "{}", written);
    }

    #[test]
    fn no_text_is_too_much(
        format in prop::sample::select(Format::NAMES.to_vec()),
        schema in prop_oneof![
            ".{0,80}",
            "([a-z]{1,3}|[0-9]{1,22}|[(),'\"_.]|decimal|path|at|length|int|by| ){0,20}",
            "([{\\[\\]}:,]|\"(type|record|name|fields|items|array|map|int)\"){0,30}",
        ],
    ) {
        let _ = Definition::parse(format, Some(&schema));
    }
}
