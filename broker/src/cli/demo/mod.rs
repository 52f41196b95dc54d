//! `millpond demo`: data to try things with, and its replay into a broker.
//!
//! | file | what it holds |
//! |---|---|
//! | `taq` | the data: a day of stock trades and quotes, made from a seed |
//! | `replay` | the command `demo taq`: from its flags to its summary |
//! | `pace` | when each record is due |
//! | `meter` | counts and latencies |
//! | `progress` | the line that is shown once a second |

mod meter;
mod pace;
mod progress;
mod replay;
pub mod taq;

use clap::{Args, Subcommand};

use super::failure::Failure;
pub use replay::TaqArgs;

/// The flags of `demo`.
#[derive(Args, Debug)]
pub struct DemoArgs {
    #[command(subcommand)]
    data: DemoData,
}

#[derive(Subcommand, Debug)]
enum DemoData {
    /// Stock trades in the format of NYSE's Daily TAQ, replayed into a topic
    ///
    /// Writes the trades of one day, 09:30 to 16:00, of an invented stock market: 4,000 symbols and 2,000 traders, of which
    /// a few carry most of the flow, with prices that walk in ticks. A record is 71 bytes of fixed width, then a sender
    /// and one to ten receivers; its key is the symbol, so that a symbol's trades stay in order. The same seed makes
    /// the same records, byte for byte.
    Taq(TaqArgs),
}

/// Runs a demo. It makes its own runtime: producing as fast as it goes needs more than one thread.
pub fn run(args: &DemoArgs) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match &args.data {
        DemoData::Taq(args) => runtime.block_on(replay::run(args)),
    }
}
