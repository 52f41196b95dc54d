//! `millpond demo`: data to try things with, its replay into a broker, and the story of what a broker of volumes is for.
//!
//! | file | what it holds |
//! |---|---|
//! | `taq` | the data: a day of stock trades and quotes, made from a seed |
//! | `replay` | the command `demo taq`: from its flags to its summary |
//! | `pace` | when each record is due |
//! | `meter` | counts and latencies |
//! | `progress` | the line that is shown once a second |
//! | `versions` | the command `demo versions`: two versions of a program, on a volume and on a clone of its past |

mod meter;
mod pace;
mod progress;
mod replay;
pub mod taq;
mod versions;

use clap::{Args, Subcommand};

use super::failure::Failure;
pub use replay::TaqArgs;
pub use versions::VersionsArgs;

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
    /// Two versions of a program on one trading day: live, and on a clone of the day as it was at the close
    ///
    /// Replays a day of trades into a new volume, where version 1 of a small program counts them. After the close, while
    /// trades go on, it freezes the volume as it was at the close, makes a clone of that, runs version 2 on the clone beside
    /// version 1, with the same names of topics and of its consumer group, and compares what both say.
    Versions(VersionsArgs),
}

/// Runs a demo. It makes its own runtime: producing as fast as it goes needs more than one thread.
pub fn run(args: &DemoArgs) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match &args.data {
        DemoData::Taq(args) => runtime.block_on(replay::run(args)),
        DemoData::Versions(args) => runtime.block_on(versions::run(args)),
    }
}
