//! `millpond demo versions`: what Millpond is for, in a minute.
//!
//! A trading day is replayed into a volume, where version 1 of a program counts it. After the close, while trades go on,
//! the volume is frozen as it was at the close; of the snapshot a clone is made; and version 2 of the program runs on the
//! clone, with the same names of topics and of its group, behind another port. Then both results are compared. All of it
//! goes over the wire and HTTP, and stays for whoever wants to look.
//!
//! | file | what it holds |
//! |---|---|
//! | `day` | the trades of a day with its sessions |
//! | `bars` | the analytics: what the two versions count |
//! | `program` | the analytics as an application: a member of a group |
//! | `tape` | the replay |
//! | `ground` | volumes, topics, listeners, snapshot and clone |
//! | `results` | the versions' results, read back and compared |
//! | `report` | what is told, to people and to programs |

mod bars;
mod day;
mod ground;
mod program;
mod report;
mod results;
mod tape;

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use tokio::time::Instant;

use super::super::brokers::BrokersArgs;
use super::super::calendar::Date;
use super::super::failure::Failure;
use super::super::output::print;
use super::super::remote::{Remote, RemoteArgs, json};
use super::taq::{CLOSE_MS, OPENING_MS, TimeOfDay};
use crate::client::{Client, ClientError};
use crate::config::Address;
use bars::Rules;
use day::{Day, in_new_york};
use ground::{Found, Ground, name_of};
use program::{Outcome, Program, TRADES};
use report::{Acknowledgements, Report, Telling, Took};
use tape::{Acknowledged, Tape};

/// The flags of `demo versions`.
#[derive(Args, Clone, Debug)]
pub struct VersionsArgs {
    #[command(flatten)]
    brokers: BrokersArgs,

    #[command(flatten)]
    remote: RemoteArgs,

    /// The live volume, which is created; the clone is called the same with -v2 behind
    #[arg(long, value_name = "NAME", default_value = "trading")]
    volume: String,

    /// Where clients see the live volume, and where the clone; port 0 is any free one
    #[arg(
        long,
        value_name = "ADDRESS,ADDRESS",
        value_delimiter = ',',
        default_value = "127.0.0.1:9192,127.0.0.1:9193"
    )]
    listen: Vec<SocketAddr>,

    /// How many trades the day has
    #[arg(long, value_name = "N", default_value = "300000", value_parser = super::replay::count)]
    records: u64,

    /// Trades a second; a quarter of it after the close
    #[arg(long, value_name = "N", default_value = "25000", value_parser = super::replay::positive)]
    rate: u64,

    /// The same seed makes the same trades
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Partitions of the topics
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(i32).range(1..))]
    partitions: i32,

    /// The trading day [default: the last weekday whose session is over]
    #[arg(long, value_name = "YYYY-MM-DD")]
    date: Option<Date>,

    /// Remove what an earlier run left, then run
    #[arg(long, conflicts_with = "clean")]
    again: bool,

    /// Only remove what an earlier run left
    #[arg(long)]
    clean: bool,
}

/// So many trades put some into every session and partition.
const RECORDS_MIN: u64 = 1_000;

/// When, on the exchange's clock, somebody decides to freeze the close.
const DECIDED: (u32, u32) = (16, 5);

/// Runs the command.
pub(super) async fn run(args: &VersionsArgs) -> Result<(), Failure> {
    let ground = args.ground()?;
    let found = ground.found().await?;
    if args.clean {
        ground.clear(&found).await?;
        return removed(args, &found);
    }
    if args.again {
        ground.clear(&found).await?;
    } else if found.words().is_some() {
        return Err(Failure::new(args.telling(&ground).there_already(&found)));
    }
    ground.refuse_taken().await?;
    Demo::prepare(args, ground).await?.run().await
}

fn removed(args: &VersionsArgs, found: &Found) -> Result<(), Failure> {
    let words = found.words();
    let text = match (args.remote.json, words) {
        (true, words) => json(&serde_json::json!({ "deleted": words }))?,
        (false, Some(words)) => format!("Removed {words}.\n"),
        (false, None) => "There was nothing to remove.\n".to_owned(),
    };
    Ok(print(&text)?)
}

impl VersionsArgs {
    fn ground(&self) -> Result<Ground, Failure> {
        if self.records < RECORDS_MIN {
            return Err(Failure::new(format!(
                "--records {} is too few for a day: at least {RECORDS_MIN}",
                self.records
            )));
        }
        let addresses = <[SocketAddr; 2]>::try_from(self.listen.as_slice())
            .map_err(|_| Failure::new("--listen has two addresses, such as 127.0.0.1:9192,127.0.0.1:9193"))?;
        if addresses[0] == addresses[1] && addresses[0].port() != 0 {
            return Err(Failure::new("--listen has two addresses: one cannot show two volumes"));
        }
        let (volume, clone) = (self.volume.clone(), format!("{}-v2", self.volume));
        Ok(Ground { remote: Remote::new(&self.remote)?, volume, clone, addresses })
    }

    fn telling(&self, ground: &Ground) -> Telling {
        Telling {
            volume: ground.volume.clone(),
            clone: ground.clone.clone(),
            close: in_new_york(self.day(), 16, 0),
            noon: in_new_york(self.day(), 12, 0),
            server: self.remote.flag(),
            silent: self.remote.json,
        }
    }

    fn day(&self) -> Date {
        self.date.unwrap_or_else(|| Date::last_session(super::replay::now_ms()))
    }
}

/// The demo under way.
struct Demo<'a> {
    args: &'a VersionsArgs,
    client: Client,
    ground: Ground,
    telling: Telling,
    date: Date,
}

/// What came of freezing and cloning.
struct Frozen {
    took: Took,
    shared_bytes: u64,
    address: SocketAddr,
    /// From before the freeze until the clone could be connected to.
    from: Instant,
    until: Instant,
}

impl<'a> Demo<'a> {
    /// Makes the volume, and makes sure that both ways to the broker lead to the same one.
    async fn prepare(args: &'a VersionsArgs, ground: Ground) -> Result<Self, Failure> {
        let client = args.brokers.connect().await?;
        let telling = args.telling(&ground);
        ground.make(args.partitions).await?;
        let name = name_of(&ground.volume, TRADES);
        match client.topic_with_leaders(&name).await {
            Ok(_) => Ok(Self { args, client, ground, telling, date: args.day() }),
            Err(ClientError::UnknownTopic { .. }) => {
                ground.give_up().await?;
                Err(Failure::new(format!(
                    "{} does not know the volume that was just created over HTTP: --brokers and --server are to lead to the \
                     same Millpond",
                    args.brokers.show()
                )))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn run(self) -> Result<(), Failure> {
        let live = match self.ground.listen(self.ground.addresses[0], &self.ground.volume).await {
            Ok(address) => address,
            Err(failure) => {
                self.ground.give_up().await?;
                return Err(failure);
            }
        };
        let mut v1 = Program::start(self.reached(live), Rules::Every, self.date).await?;
        self.telling.begin(live, self.date, self.args.rate)?;
        let mut tape = self.tape().await?;
        self.play(&mut tape, &v1, at(OPENING_MS)).await?;
        self.telling.opening(tape.hand().sent())?;
        let sent = self.play(&mut tape, &v1, at(CLOSE_MS)).await?;
        // Nobody has to wait here; but so it is certain what the snapshot will hold.
        v1.read(sent).await?;
        self.telling.close(sent)?;
        tape.slow_down();
        self.play(&mut tape, &v1, at((DECIDED.0 * 60 + DECIDED.1) * 60_000)).await?;
        self.telling.decision(DECIDED)?;

        let rest = tokio::spawn(tape.play_out());
        let frozen = self.freeze().await?;
        self.telling.frozen(&frozen.took, frozen.shared_bytes, frozen.address)?;
        let (v2, v2_took) = self.second(frozen.address).await?;
        self.telling.second_ended(v2.tally.input.records, v2.bars, v2_took, rest.is_finished())?;
        let acknowledged = rest.await??;
        let v1 = v1.finish().await?;
        let report = self.report(live, &frozen, [v1, v2], &acknowledged).await?;
        report.check()?;
        if self.args.remote.json {
            return Ok(print(&json(&report)?)?);
        }
        Ok(print(&report.text(&self.telling))?)
    }

    async fn tape(&self) -> Result<Tape, Failure> {
        let day = Day::new(self.date, self.args.seed, self.args.records);
        Tape::new(self.client.clone(), &name_of(&self.ground.volume, TRADES), day, self.args.rate).await
    }

    async fn play(&self, tape: &mut Tape, v1: &Program, until: TimeOfDay) -> Result<u64, Failure> {
        let line = self.telling.line(tape.hand(), v1.reading());
        let sent = tape.play_until(until).await;
        line.end().await;
        sent
    }

    async fn freeze(&self) -> Result<Frozen, Failure> {
        let from = Instant::now();
        let (snapshot, snapshot_took) = self.ground.freeze(&self.telling.close).await?;
        let (clone, clone_took) = self.ground.clone().await?;
        let address = self.ground.listen(self.ground.addresses[1], &clone.name).await?;
        let took = Took { snapshot: snapshot_took, clone: clone_took, lsn: snapshot.lsn };
        Ok(Frozen { took, shared_bytes: clone.bytes, address, from, until: Instant::now() })
    }

    /// Runs version 2 to the end of the clone.
    async fn second(&self, address: SocketAddr) -> Result<(Outcome, Duration), Failure> {
        let v2 = Program::start(self.reached(address), Rules::Eligible, self.date).await?;
        let from = Instant::now();
        Ok((v2.finish().await?, from.elapsed()))
    }

    async fn report(
        &self,
        live: SocketAddr,
        frozen: &Frozen,
        outcomes: [Outcome; 2],
        acknowledged: &[Acknowledged],
    ) -> Result<Report, Failure> {
        let v1 = results::totals(self.reached(live)).await?;
        let v2 = results::totals(self.reached(frozen.address)).await?;
        let meanwhile = acknowledged.iter().filter(|batch| (frozen.from..=frozen.until).contains(&batch.at));
        let rows = results::compared(&v1, &v2);
        Ok(Report {
            volume: self.ground.volume.clone(),
            snapshot: format!("{}@{}", self.ground.volume, ground::SNAPSHOT),
            clone: self.ground.clone.clone(),
            as_of: self.telling.close.clone(),
            seed: self.args.seed,
            records: self.args.records,
            lsn: frozen.took.lsn,
            snapshot_microseconds: report::microseconds(frozen.took.snapshot),
            clone_microseconds: report::microseconds(frozen.took.clone),
            shared_bytes: frozen.shared_bytes,
            acknowledged: Acknowledgements::of(acknowledged.iter()),
            acknowledged_while_frozen: Acknowledgements::of(meanwhile),
            versions: outcomes.map(report::Version::from).into(),
            addresses: [live, frozen.address],
            whole: results::whole(&rows),
            symbols: rows,
        })
    }

    /// Where clients reach a listener: one that listens everywhere is found where the broker is.
    fn reached(&self, listener: SocketAddr) -> Address {
        let mut address = Address::from(listener);
        if let Some(broker) = self.args.brokers.first().filter(|_| listener.ip().is_unspecified()) {
            address.host.clone_from(&broker.host);
        }
        address
    }
}

fn at(milliseconds: u32) -> TimeOfDay {
    TimeOfDay::from_milliseconds(milliseconds).expect("these are constants, all before midnight")
}
