//! Batches that Kafka's own clients wrote.
