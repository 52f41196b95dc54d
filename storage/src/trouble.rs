//! What fails behind the clients' backs: it is tried again and again, and told of once.
//!
//! A disk that fails for one timeline fails at every round, twice a second. So what is told of is news: that something fails, that it fails in another way, that it
//! goes well again. How often it failed is counted.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::mem::Discriminant;
use std::sync::Mutex;

use crate::error::{Error, Result};
use crate::stats::Stats;
use crate::timeline::lock;

/// How went last what is done again and again: in which way each thing fails that does not go well.
#[derive(Default, Debug)]
pub(crate) struct Troubles(Mutex<BTreeMap<&'static str, Discriminant<Error>>>);

impl Troubles {
    /// Takes down how something went, tells of it if that is news, and gives it back.
    pub(crate) fn note<T>(&self, stats: &Stats, of: &dyn Display, what: &'static str, went: Result<T>) -> Result<T> {
        let is_news = self.is_news(what, went.as_ref().err());
        match &went {
            Ok(_) if is_news => tracing::info!(%of, "{what} goes well again"),
            Ok(_) | Err(Error::Closed) => {}
            Err(error) => {
                stats.upkeep_failures.add(1);
                if is_news {
                    tracing::warn!(%of, %error, "{what} failed: it is tried again, and told of when that changes");
                } else {
                    tracing::debug!(%of, %error, "{what} failed again");
                }
            }
        }
        went
    }

    /// That something is closing is none.
    fn is_news(&self, what: &'static str, error: Option<&Error>) -> bool {
        let mut failing = lock(&self.0);
        match error {
            None => failing.remove(what).is_some(),
            Some(Error::Closed) => false,
            Some(error) => {
                let way = std::mem::discriminant(error);
                failing.insert(what, way) != Some(way)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_failing_is_told_of_once() {
        let troubles = Troubles::default();
        let unreadable = |n: u32| Error::Io { path: format!("segments/{n}.seg").into(), why: "broken".to_owned() };
        let full = Error::Full("no room".to_owned());
        let news = |what, error: Option<&Error>| troubles.is_news(what, error);
        assert!(!news("sealing", None), "all is well");
        assert!(news("sealing", Some(&unreadable(1))));
        assert!(!news("sealing", Some(&unreadable(2))), "the same again, wherever it is");
        assert!(news("retention", Some(&unreadable(1))), "something else");
        assert!(news("sealing", Some(&full)), "in another way");
        assert!(!news("sealing", Some(&Error::Closed)) && !news("sealing", Some(&full)), "closing is no end of it");
        assert!(news("sealing", None) && !news("sealing", None), "it goes well again");
        assert!(news("sealing", Some(&full)));
    }
}
