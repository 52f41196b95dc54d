//! What each Kafka API brings along: a row in the table, a test file, the versions in its opening; and that none knows
//! another.

use crate::none;
use crate::source::{Source, root, sources};

const FOLDER: &str = "broker/src/api/";

/// The files that hold an API, beside the table's: `<name>.rs`, or `<name>/mod.rs` with more beside it.
fn apis() -> Vec<Source> {
    sources().into_iter().filter(|source| name(source).is_some() && source.code.contains("impl Api for ")).collect()
}

/// The API's name, where a file's place is that of an API.
fn name(source: &Source) -> Option<&str> {
    let place = source.path.strip_prefix(FOLDER)?;
    let name = place.strip_suffix("/mod.rs").or(place.strip_suffix(".rs"))?;
    (!name.contains('/') && name != "mod").then_some(name)
}

/// The types that answer requests.
fn handlers(api: &Source) -> impl Iterator<Item = &str> {
    let end = |text: &str| text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
    api.code.split("impl Api for ").skip(1).map(move |text| &text[..end(text)])
}

#[test]
fn every_api_has_its_row_and_its_tests() {
    let sources = sources();
    let text = |path: &str| sources.iter().find(|source| source.path == path).map_or("", |source| source.code.as_str());
    let table = text("broker/src/api/mod.rs");
    let tests = text("compat-tests/tests/api/main.rs");
    let mut found = Vec::new();
    for api in apis() {
        let Some(name) = name(&api) else { continue };
        if !handlers(&api).all(|handler| table.contains(&format!("{handler}>()"))) {
            found.push(format!("{}: no row in api/mod.rs", api.path));
        }
        let test = format!("compat-tests/tests/api/{name}.rs");
        let is_tested = root().join(&test).is_file() && tests.contains(&format!("mod {name};"));
        if !is_tested {
            found.push(format!("{}: no tests in {test}, or no line for them in main.rs", api.path));
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
            let Some(name) = name(other) else { continue };
            let paths = [format!("super::{name}::"), format!("api::{name}::"), format!("super::{name};")];
            if paths.iter().any(|path| api.code.contains(path.as_str())) {
                found.push(format!("{} imports {}", api.path, other.path));
            }
        }
    }
    none("APIs that import each other", &found);
}
