//! The `OpenAPI` document against what is served.

use super::*;

#[tokio::test]
async fn every_operation_of_the_document_is_served() {
    let server = Server::with_broker().await;
    let methods = ["get", "post", "patch", "delete", "put"];
    let paths = server.document["paths"].as_object().unwrap().clone();
    assert!(paths.len() > 20 && paths.contains_key("/v1/openapi.json"));
    for (path, operations) in &paths {
        let asked = path.replace("{address}", "127.0.0.1:1").replace(['{', '}'], "");
        for method in methods {
            let request = reqwest::Client::new().request(method.to_uppercase().parse().unwrap(), server.url(&asked));
            let response = request.send().await.unwrap();
            let (status, text) = (response.status().as_u16(), response.text().await.unwrap());
            let is_served = status != 405 && !text.contains("unknown-path");
            assert_eq!(is_served, operations.get(method).is_some(), "{method} {path}: {status} {text}");
        }
    }
}

#[tokio::test]
async fn what_the_document_refers_to_is_in_it() {
    let server = Server::start().await;
    assert_eq!(server.document["openapi"], "3.1.0");
    let text = server.document.to_string();
    let mut ids = std::collections::BTreeSet::new();
    for operations in server.document["paths"].as_object().unwrap().values() {
        for operation in operations.as_object().unwrap().values() {
            assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{operation}");
            assert!(operation["responses"].as_object().unwrap().keys().any(|status| status.starts_with('2')));
        }
    }
    let references = text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap());
    let mut count = 0;
    for reference in references {
        assert!(server.document.pointer(reference).is_some(), "nothing is at {reference}");
        count += 1;
    }
    assert!(count > 100);
}

#[tokio::test]
async fn the_document_is_there_before_the_data_is() {
    let server = Server::start().await;
    assert_eq!(server.ask("GET", "/v1/openapi.json", "").await.0, 200);
    assert_eq!(server.refused("GET", "/v1/volumes", "").await, (503, "unavailable".to_owned()));
}
