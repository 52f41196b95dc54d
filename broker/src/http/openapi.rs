//! What is served under `/v1`, and the `OpenAPI` document of it: both are made of one list ([`Resources::on`]), so that neither says
//! more than the other. The schemas are those of the types that are read and written.

use std::collections::BTreeMap;

use axum::Router;
use axum::body::Bytes;
use axum::handler::Handler;
use axum::http::Method;
use axum::http::header::CONTENT_TYPE;
use axum::routing::{MethodFilter, on};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::HttpState;
use super::problem::Problem;

/// Where the document is.
pub(super) const PATH: &str = "/v1/openapi.json";
/// Why any request may fail.
const ALWAYS: [u16; 3] = [400, 403, 503];
/// Why any request with a body may fail, too: it takes too long to arrive, or is too large.
const OF_BODIES: [u16; 2] = [408, 413];

/// Routes, and what is said of them.
pub(super) struct Resources {
    router: Router<HttpState>,
    /// By path, then by method.
    paths: BTreeMap<&'static str, Map<String, Value>>,
    /// By name.
    schemas: BTreeMap<String, Value>,
}

/// What a method of a path does, takes and gives.
pub(super) struct Operation {
    method: Method,
    path: &'static str,
    summary: &'static str,
    parameters: Vec<Value>,
    body: Option<Value>,
    success: (u16, Option<Value>),
    failures: Vec<u16>,
    schemas: BTreeMap<String, Value>,
}

impl Operation {
    /// One that answers 204 unless it says otherwise.
    pub(super) fn new(method: Method, path: &'static str, summary: &'static str) -> Self {
        let names = path.split('/').filter_map(|step| step.strip_prefix('{')?.strip_suffix('}'));
        let parameters =
            names.map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }));
        Self {
            method,
            path,
            summary,
            parameters: parameters.collect(),
            body: None,
            success: (204, None),
            failures: ALWAYS.into(),
            schemas: BTreeMap::new(),
        }
    }

    /// With a parameter behind the path.
    pub(super) fn query(mut self, name: &str, kind: &str, is_required: bool, description: &str) -> Self {
        self.parameters.push(json!({
            "name": name,
            "in": "query",
            "required": is_required,
            "description": description,
            "schema": { "type": kind },
        }));
        self
    }

    /// With a body.
    pub(super) fn takes<T: ToSchema>(mut self) -> Self {
        self.body = Some(self.reference::<T>());
        self.fails(&OF_BODIES)
    }

    /// Answers so.
    pub(super) fn gives<T: ToSchema>(mut self, status: u16) -> Self {
        self.success = (status, Some(self.reference::<T>()));
        self
    }

    /// Answers with some object.
    fn gives_object(mut self) -> Self {
        self.success = (200, Some(json!({ "type": "object" })));
        self
    }

    /// May fail so, too.
    pub(super) fn fails(mut self, statuses: &[u16]) -> Self {
        self.failures.extend(statuses);
        self
    }

    /// A reference to the schema of a type, which is kept with those that it refers to.
    fn reference<T: ToSchema>(&mut self) -> Value {
        let mut all = vec![(T::name().into_owned(), T::schema())];
        T::schemas(&mut all);
        for (name, schema) in all {
            self.schemas.insert(name, json!(schema));
        }
        reference(&T::name())
    }

    fn described(&self) -> Value {
        let mut responses = Map::new();
        let (status, schema) = &self.success;
        let mut success = json!({ "description": "It is done" });
        if let Some(schema) = schema {
            success["content"] = json!({ "application/json": { "schema": schema } });
        }
        responses.insert(status.to_string(), success);
        for status in &self.failures {
            responses.insert(status.to_string(), problem(*status));
        }
        let mut operation = json!({
            "operationId": self.id(),
            "summary": self.summary,
            "tags": [self.path.split('/').nth(2).unwrap_or_default()],
            "responses": responses,
        });
        if !self.parameters.is_empty() {
            operation["parameters"] = json!(self.parameters);
        }
        if let Some(schema) = &self.body {
            operation["requestBody"] =
                json!({ "required": true, "content": { "application/json": { "schema": schema } } });
        }
        operation
    }

    /// `get_volumes_volume_streams`
    fn id(&self) -> String {
        let steps = self.path.split('/').skip(2).map(|step| step.trim_matches(['{', '}']).replace(['-', '.'], "_"));
        let words: Vec<String> = std::iter::once(self.method.as_str().to_ascii_lowercase()).chain(steps).collect();
        words.join("_")
    }
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn problem(status: u16) -> Value {
    let description = match status {
        400 => "The request cannot be understood or served",
        403 => "The request is not taken from where it comes, or the broker does not allow it",
        404 => "What is named is not there",
        408 => "The body took too long to arrive",
        409 => "What is there forbids it",
        410 => "That past is no longer kept",
        413 => "The body is too large",
        503 => "The broker cannot serve now",
        _ => "It is not done",
    };
    json!({
        "description": description,
        "content": { "application/problem+json": { "schema": reference(&Problem::name()) } },
    })
}

impl Resources {
    /// None yet.
    pub(super) fn new() -> Self {
        let schemas = [(Problem::name().into_owned(), json!(<Problem as utoipa::PartialSchema>::schema()))];
        Self { router: Router::new(), paths: BTreeMap::new(), schemas: schemas.into() }
    }

    /// Serves an operation.
    pub(super) fn on<T: 'static>(mut self, operation: Operation, handler: impl Handler<T, HttpState>) -> Self {
        let filter =
            MethodFilter::try_from(operation.method.clone()).expect("axum has a filter for every method of HTTP");
        self.router = self.router.route(operation.path, on(filter, handler));
        self.describe(operation);
        self
    }

    fn describe(&mut self, operation: Operation) {
        let of_path = self.paths.entry(operation.path).or_default();
        of_path.insert(operation.method.as_str().to_ascii_lowercase(), operation.described());
        self.schemas.extend(operation.schemas);
    }

    /// The document.
    fn document(&self) -> Value {
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": "Millpond",
                "description": "Volumes of a Millpond broker: their streams and topics, snapshots, clones, schedules and listeners.",
                "version": env!("CARGO_PKG_VERSION"),
                "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
            },
            "paths": self.paths,
            "components": { "schemas": self.schemas },
        })
    }

    /// The routes, that of the document among them.
    pub(super) fn into_router(mut self) -> Router<HttpState> {
        self.describe(Operation::new(Method::GET, PATH, "Gives this document").gives_object());
        let document = Bytes::from(self.document().to_string());
        let answer = move || std::future::ready(([(CONTENT_TYPE, "application/json")], document.clone()));
        self.router.route(PATH, on(MethodFilter::GET, answer))
    }
}
