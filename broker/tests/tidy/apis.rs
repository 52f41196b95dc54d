//! What each Kafka API brings along: a row in the table, a test file, the versions in its opening; and that none knows
//! another.

use crate::none;
use crate::source::{Source, root, sources};

const FOLDER: &str = "broker/src/api/";

/// APIs whose tests are still to come; none may be added.
const UNTESTED: [&str; 0] = [];

/// The files that hold an API, beside the table's.
fn apis() -> Vec<Source> {
    let is_api = |source: &Source| {
        source.path.strip_prefix(FOLDER).is_some_and(|name| !name.contains('/') && name != "mod.rs")
            && source.code.contains("impl Api for ")
    };
    sources().into_iter().filter(is_api).collect()
}

/// The types that answer requests.
fn handlers(api: &Source) -> impl Iterator<Item = &str> {
    let name = |text: &'_ str| text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
    api.code.split("impl Api for ").skip(1).map(move |text| &text[..name(text)])
}

#[test]
fn every_api_has_its_row_and_its_tests() {
    let sources = sources();
    let text = |path: &str| sources.iter().find(|source| source.path == path).map_or("", |source| source.code.as_str());
    let table = text("broker/src/api/mod.rs");
    let tests = text("compat-tests/tests/api/main.rs");
    let mut found = Vec::new();
    for api in apis() {
        let name = api.stem();
        if !handlers(&api).all(|handler| table.contains(&format!("{handler}>()"))) {
            found.push(format!("{}: no row in api/mod.rs", api.path));
        }
        let test = format!("compat-tests/tests/api/{name}.rs");
        let is_tested = root().join(&test).is_file() && tests.contains(&format!("mod {name};"));
        if is_tested == UNTESTED.contains(&name) {
            found.push(format!(
                "{}: tests in {test} and a line in main.rs, or a row in UNTESTED: one of them",
                api.path
            ));
        }
    }
    none("APIs that are not whole", &found);
}

#[test]
fn every_api_opens_with_its_versions() {
    let opening = |source: &Source| {
        source.text.lines().take_while(|line| line.starts_with("//!")).collect::<String>().to_ascii_lowercase()
    };
    let found: Vec<String> =
        apis().iter().filter(|api| !opening(api).contains("version")).map(|api| api.path.clone()).collect();
    none("APIs whose opening does not speak of versions", &found);
}

#[test]
fn no_api_knows_another() {
    let apis = apis();
    let mut found = Vec::new();
    for api in &apis {
        for other in apis.iter().filter(|other| other.path != api.path) {
            let name = other.stem();
            let paths = [format!("super::{name}::"), format!("api::{name}::"), format!("super::{name};")];
            if paths.iter().any(|path| api.code.contains(path.as_str())) {
                found.push(format!("{} imports {}", api.path, other.path));
            }
        }
    }
    none("APIs that import each other", &found);
}
