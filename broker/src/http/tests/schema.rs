//! Whether a value is what a schema says: as much of JSON Schema as the document uses. A keyword that is not known here fails the
//! test, so that nothing is passed over.

use serde_json::{Map, Value};

/// What says nothing about a value, or nothing that is checked here.
const SILENT: [&str; 6] = ["description", "title", "format", "default", "example", "examples"];

/// Why a value is not what the schema says, with where; nothing if it is. References are looked up in `document`.
pub(super) fn check(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let Value::Object(keywords) = schema else {
        return if schema == &Value::Bool(true) { Ok(()) } else { Err(format!("{value} is not allowed")) };
    };
    for (keyword, says) in keywords {
        match keyword.as_str() {
            "$ref" => check(document, resolved(document, says), value)?,
            "type" => is_of_type(says, value)?,
            "enum" => is_one_of(says, value)?,
            "minimum" => is_at_least(says, value)?,
            // Looked at below, with the value taken apart.
            "properties" | "required" | "additionalProperties" | "propertyNames" | "items" | "prefixItems" => {}
            "allOf" => list(says).iter().try_for_each(|each| check(document, each, value))?,
            "oneOf" | "anyOf" => fits_one(document, list(says), value)?,
            silent if SILENT.contains(&silent) => {}
            unknown => panic!("the document has a keyword that is not checked: {unknown}"),
        }
    }
    match value {
        Value::Object(fields) => has_fields(document, keywords, fields),
        Value::Array(items) => has_items(document, keywords, items),
        _ => Ok(()),
    }
}

fn resolved<'a>(document: &'a Value, reference: &Value) -> &'a Value {
    let pointer =
        reference.as_str().and_then(|text| text.strip_prefix('#')).expect("references are within the document");
    document.pointer(pointer).unwrap_or_else(|| panic!("nothing is at {reference}"))
}

fn list(schemas: &Value) -> &[Value] {
    schemas.as_array().expect("a list of schemas")
}

fn is_of_type(says: &Value, value: &Value) -> Result<(), String> {
    let is = |kind: &Value| match kind.as_str().expect("the name of a type") {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other} is no type"),
    };
    let fits = says.as_array().map_or_else(|| is(says), |kinds| kinds.iter().any(is));
    if fits { Ok(()) } else { Err(format!("{value} is not of type {says}")) }
}

fn is_one_of(says: &Value, value: &Value) -> Result<(), String> {
    if list(says).contains(value) { Ok(()) } else { Err(format!("{value} is none of {says}")) }
}

fn is_at_least(says: &Value, value: &Value) -> Result<(), String> {
    match (says.as_f64(), value.as_f64()) {
        (Some(least), Some(number)) if number < least => Err(format!("{value} is below {says}")),
        _ => Ok(()),
    }
}

fn fits_one(document: &Value, schemas: &[Value], value: &Value) -> Result<(), String> {
    let why: Vec<String> = schemas.iter().filter_map(|each| check(document, each, value).err()).collect();
    if why.len() < schemas.len() { Ok(()) } else { Err(format!("{value} fits none: {}", why.join("; "))) }
}

fn has_fields(document: &Value, keywords: &Map<String, Value>, fields: &Map<String, Value>) -> Result<(), String> {
    let empty = Map::new();
    let known = keywords.get("properties").and_then(Value::as_object).unwrap_or(&empty);
    for name in keywords.get("required").and_then(Value::as_array).into_iter().flatten() {
        if !name.as_str().is_some_and(|name| fields.contains_key(name)) {
            return Err(format!("{name} is missing"));
        }
    }
    for (name, value) in fields {
        let schema = known.get(name).or_else(|| keywords.get("additionalProperties"));
        // A type that says nothing of further fields says all that it has: so says this test.
        let is_closed = keywords.contains_key("properties") && schema.is_none();
        if is_closed {
            return Err(format!("{name} is not in the schema"));
        }
        if let Some(schema) = schema {
            check(document, schema, value).map_err(|why| format!("{name}: {why}"))?;
        }
    }
    Ok(())
}

fn has_items(document: &Value, keywords: &Map<String, Value>, items: &[Value]) -> Result<(), String> {
    let first = keywords.get("prefixItems").map_or(&[][..], list);
    for (at, item) in items.iter().enumerate() {
        let schema = first.get(at).or_else(|| keywords.get("items"));
        if let Some(schema) = schema {
            check(document, schema, item).map_err(|why| format!("{at}: {why}"))?;
        }
    }
    if items.len() < first.len() { Err(format!("{} items of {}", items.len(), first.len())) } else { Ok(()) }
}

#[test]
fn what_does_not_fit_is_found() {
    let document = serde_json::json!({ "components": { "schemas": { "Point": {
        "type": "object",
        "required": ["x"],
        "properties": { "x": { "type": "integer", "minimum": 0 }, "y": { "type": ["integer", "null"] } },
    } } } });
    let schema = serde_json::json!({ "$ref": "#/components/schemas/Point" });
    let fits = |value: Value| check(&document, &schema, &value).is_ok();
    assert!(fits(serde_json::json!({ "x": 1, "y": null })) && fits(serde_json::json!({ "x": 1 })));
    for value in [r#"{"y": 1}"#, r#"{"x": -1}"#, r#"{"x": "1"}"#, r#"{"x": 1, "z": 2}"#, "[]"] {
        assert!(!fits(serde_json::from_str(value).unwrap()), "{value}");
    }
    let pairs = serde_json::json!({ "type": "array", "prefixItems": [{ "type": "integer" }, { "type": "string" }], "items": false });
    let fits = |value: Value| check(&document, &pairs, &value).is_ok();
    assert!(
        fits(serde_json::json!([1, "a"])) && !fits(serde_json::json!([1])) && !fits(serde_json::json!([1, "a", 2]))
    );
}
