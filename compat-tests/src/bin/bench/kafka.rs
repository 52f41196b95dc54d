//! Apache Kafka from its jars: a broker and controller in one process, with its own defaults where they are not about
//! addresses and replicas. Memory and collector are those of Kafka's start script.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::process::free_address;

/// Any 16 bytes in base64 will do.
const CLUSTER_ID: &str = "TWlsbHBvbmQtYmVuY2gtMQ";
const JVM: [&str; 7] = [
    "-Xmx1g",
    "-Xms1g",
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
];
const LOGGING: &str = "\
rootLogger.level=WARN
rootLogger.appenderRef.console.ref=console
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d %p %c{1}: %m%n
";

/// Writes its configuration and formats its storage in `directory`.
pub(crate) fn prepare(libs: &Path, directory: &Path, address: &str) {
    let controller = free_address();
    let data = directory.join("data");
    let replicas: String = ["offsets.topic", "transaction.state.log", "share.coordinator.state.topic"]
        .map(|topic| format!("{topic}.replication.factor=1\n"))
        .concat();
    let properties = format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         controller.quorum.bootstrap.servers={controller}\n\
         listeners=PLAINTEXT://{address},CONTROLLER://{controller}\n\
         advertised.listeners=PLAINTEXT://{address},CONTROLLER://{controller}\n\
         inter.broker.listener.name=PLAINTEXT\n\
         controller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n\
         transaction.state.log.min.isr=1\n\
         share.coordinator.state.topic.min.isr=1\n\
         {replicas}\
         log.dirs={}\n",
        data.display()
    );
    fs::write(directory.join("server.properties"), properties).expect("the directory can be written");
    fs::write(directory.join("log4j2.properties"), LOGGING).expect("the directory can be written");
    let format = java(libs, directory)
        .args(["kafka.tools.StorageTool", "format", "--standalone", "-t", CLUSTER_ID, "-c", "server.properties"])
        .stdin(Stdio::null())
        .output()
        .expect("java runs");
    assert!(format.status.success(), "Kafka does not format its storage: {}", String::from_utf8_lossy(&format.stderr));
}

/// The broker, on a prepared directory.
pub(crate) fn command(libs: &Path, directory: &Path) -> Command {
    let mut command = java(libs, directory);
    command.args(["kafka.Kafka", "server.properties"]);
    command
}

fn java(libs: &Path, directory: &Path) -> Command {
    let libs = libs.canonicalize().expect("the directory of the jars is there");
    let mut command = Command::new("java");
    command.current_dir(directory).args(JVM).arg("-Dlog4j2.configurationFile=log4j2.properties");
    command.arg("-cp").arg(libs.join("*"));
    command
}
