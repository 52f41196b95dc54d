//! Configuration in Kafka's numbers: resources, layers and types, as several APIs name them.

use super::error::ErrorCode;
use crate::config::ConfigType;
use crate::topics::describe::ConfigSource;

/// The resource type of a topic.
pub(super) const TOPIC: i8 = 2;
/// The resource type of a broker.
pub(super) const BROKER: i8 = 4;

/// The number of a layer.
pub(super) fn source(source: ConfigSource) -> i8 {
    match source {
        ConfigSource::Topic => 1,
        ConfigSource::StaticBroker => 4,
        ConfigSource::Default => 5,
    }
}

/// The number of a type.
pub(super) fn config_type(config_type: ConfigType) -> i8 {
    match config_type {
        ConfigType::Boolean => 1,
        ConfigType::String => 2,
        ConfigType::Int => 3,
        ConfigType::Short => 4,
        ConfigType::Long => 5,
        ConfigType::Double => 6,
        ConfigType::List => 7,
    }
}

/// A refusal of what was asked of one resource: its code and message.
pub(super) type Refusal = (ErrorCode, String);

/// A request that makes no sense.
pub(super) fn invalid(why: impl Into<String>) -> Refusal {
    (ErrorCode::InvalidRequest, why.into())
}

/// Whether a broker's resource name is that of this one.
pub(super) fn check_broker(name: &str, node_id: i32) -> Result<(), Refusal> {
    match name.parse::<i32>() {
        Ok(id) if id == node_id => Ok(()),
        Ok(_) => Err(invalid(format!("Unexpected broker id, expected {node_id}, but received {name}"))),
        Err(_) => Err(invalid(format!("Node id must be an integer, but it is: {name}"))),
    }
}
