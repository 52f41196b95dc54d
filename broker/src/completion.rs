//! From the engine's completions to futures: what is submitted takes the first half, what waits is the second.

use std::future::Future;

use tokio::sync::oneshot;

/// A completion and the future of what it is called with. The future gives none if the completion is dropped uncalled: the
/// engine has closed. Dropping the future cancels nothing but the waiting.
pub fn pair<T: Send + 'static>()
-> (impl FnOnce(T) + Send + 'static, impl Future<Output = Option<T>> + Send + 'static + use<T>) {
    let (sender, receiver) = oneshot::channel();
    let complete = move |value| {
        // Nobody waits any more: the connection is gone.
        let _unwanted = sender.send(value);
    };
    (complete, async { receiver.await.ok() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_completion_that_is_dropped_ends_the_wait() {
        let (complete, future) = pair::<u8>();
        drop(complete);
        assert_eq!(future.await, None);
        let (complete, future) = pair();
        complete(7);
        assert_eq!(future.await, Some(7));
    }
}
