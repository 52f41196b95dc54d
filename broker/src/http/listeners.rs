//! `/v1/listeners`: addresses that show one volume or one snapshot to Kafka clients, under short names.
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/listeners` | [`ListenerList`] |
//! | `POST /v1/listeners` with a [`NewListener`] | 201 and the [`Listener`], 404, 409 |
//! | `DELETE /v1/listeners/{address}` | 204, 404 |

use std::net::SocketAddr;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::HttpState;
use super::body::Body;
use super::path::Path;
use super::problem::Problem;
use crate::broker::Broker;
use crate::config::{Address, NotAnAddress};
use crate::scope::Scope;
use crate::server::{Added, ListenerError};
use crate::volumes::ViewName;

/// The listeners that were added, by address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ListenerList {
    /// Each of them.
    pub listeners: Vec<Listener>,
}

/// A listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Listener {
    /// Where it listens.
    #[schema(value_type = String)]
    pub address: SocketAddr,
    /// What it shows: `VOLUME` or `VOLUME@SNAPSHOT`; none if that is no more.
    pub shows: Option<String>,
    /// What its answers tell clients to connect to; the address at which each of them reached the broker where this is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advertised: Option<String>,
    /// Whether it is open; one that could not be opened at the start is tried again at the next.
    pub open: bool,
}

/// A listener to add. One that was added at the address before is bound anew, and its connections are closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewListener {
    /// Where it is to listen; port 0 is any free one.
    #[schema(value_type = String)]
    pub address: SocketAddr,
    /// What it is to show: `VOLUME` or `VOLUME@SNAPSHOT`.
    pub shows: String,
    /// What its answers are to tell clients to connect to, as `HOST:PORT`; where this is missing, the address at which each of them
    /// reached the broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advertised: Option<String>,
}

pub(super) async fn list(State(state): State<HttpState>) -> Result<Json<ListenerList>, Problem> {
    let broker = state.broker()?;
    let added = state.listeners()?.list().await;
    Ok(Json(ListenerList { listeners: added.into_iter().map(|added| shown(broker, added)).collect() }))
}

pub(super) async fn create(
    State(state): State<HttpState>,
    Body(new): Body<NewListener>,
) -> Result<(StatusCode, Json<Listener>), Problem> {
    let broker = state.broker()?;
    let scope = scope_of(broker, &new.shows)?;
    let advertised = new.advertised.as_deref().map(advertised).transpose()?;
    let address = state.listeners()?.add(new.address, scope, advertised.clone()).await?;
    Ok((StatusCode::CREATED, Json(shown(broker, Added { address, scope, advertised, is_open: true }))))
}

pub(super) async fn delete(State(state): State<HttpState>, Path(address): Path<String>) -> Result<StatusCode, Problem> {
    let address =
        address.parse().map_err(|_| Problem::bad_request(format!("'{address}' is no address like 127.0.0.1:9192")))?;
    state.listeners()?.remove(address).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn advertised(text: &str) -> Result<Address, Problem> {
    let address: Result<Address, NotAnAddress> = text.parse();
    match address {
        Ok(address) if address.port != 0 => Ok(address),
        Ok(_) => Err(Problem::bad_request(format!("'{text}' names no port that clients could connect to"))),
        Err(why) => Err(Problem::bad_request(format!("'{text}' is {why}"))),
    }
}

fn shown(broker: &Broker, Added { address, scope, advertised, is_open }: Added) -> Listener {
    let advertised = advertised.map(|advertised| advertised.to_string());
    Listener { address, shows: name_of(broker, scope), advertised, open: is_open }
}

pub(super) fn scope_of(broker: &Broker, shows: &str) -> Result<Scope, Problem> {
    let view: ViewName = shows.parse()?;
    if let Some(moment) = &view.moment {
        let volume = &view.volume;
        return Err(Problem::bad_request(format!(
            "A volume or a snapshot can be shown: take one of that moment first (`millpond snapshot create {volume} NAME --at {moment}`)."
        )));
    }
    match &view.snapshot {
        None => Ok(Scope::Volume(broker.volumes.id(&view.volume)?)),
        Some(snapshot) => Ok(Scope::Snapshot(broker.volumes.snapshot(&view.volume, snapshot)?.pin.id)),
    }
}

fn name_of(broker: &Broker, scope: Scope) -> Option<String> {
    match scope {
        Scope::Everything => Some("everything".to_owned()),
        Scope::Volume(id) => {
            broker.engine.system().state(|state| state.volume_by_id(id).map(|volume| volume.name.to_string()))
        }
        Scope::Snapshot(id) => {
            let found = broker.volumes.snapshot_by_id(id)?;
            Some(format!("{}@{}", found.volume, found.pin.name))
        }
    }
}

impl From<ListenerError> for Problem {
    fn from(error: ListenerError) -> Self {
        use StatusCode as Status;
        let (status, kind, title) = match &error {
            ListenerError::UnknownScope(_) | ListenerError::Snapshot(_) => {
                (Status::NOT_FOUND, "unknown-scope", "What is to be shown is not there")
            }
            ListenerError::UnknownAddress(_) => (Status::NOT_FOUND, "unknown-listener", "There is no such listener"),
            ListenerError::Bind(..) => (Status::CONFLICT, "cannot-listen", "The address cannot be listened on"),
            ListenerError::Storage(_) => return Self::unavailable(error.to_string()),
        };
        Self::new(status, kind, title, error.to_string())
    }
}
