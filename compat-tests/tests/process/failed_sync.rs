//! A sync that fails ends the process with a clear word: the kernel has dropped the pages, and a retry would lie.

use std::fs;
use std::path::Path;
use std::process::Command;

use millpond_compat_tests::batch::{Batch, Record};
use millpond_compat_tests::requests;
use millpond_compat_tests::server::{Builder, Server};

use crate::known::{Known, TOPIC};

/// A broker whose syncs fail while the file `MILLPOND_TEST_SYNCS_FAIL` is there, and wait while `MILLPOND_TEST_SYNCS_WAIT` is: by a library, which is built
/// into a directory.
pub(crate) fn with_syncs(directory: &Path) -> Builder {
    let library = directory.join("syncs.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/process/syncs.c");
    let status = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).args([source, "-ldl"]).status();
    assert!(status.expect("there is a C compiler").success());
    Server::builder().variable("LD_PRELOAD", library)
}

#[test]
fn a_failed_sync_ends_the_process_and_acknowledges_nothing() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let trigger = directory.path().join("fail");
    let mut server = with_syncs(directory.path()).variable("MILLPOND_TEST_SYNCS_FAIL", &trigger).start();
    let known = Known::make(&server);
    fs::write(&trigger, b"").expect("it can be written");
    let batch = Batch::of([Record::of("never acknowledged")]).encode();
    let request = requests::produce(-1, [(TOPIC.to_owned(), 0, batch)]);
    let mut wire = server.wire();
    if let Ok(answer) = wire.try_call(requests::PRODUCE, &request) {
        let part = &answer.responses[0].partition_responses[0];
        assert_ne!(part.error_code, 0, "acknowledged although its sync failed");
    }
    let status = server.ended();
    assert!(!status.success(), "{status}");
    let output = server.printed("a sync failed");
    assert!(output.contains("Input/output error") && !output.contains("panicked"), "{output}");
    let refused = server.try_restart().expect_err("nothing can be made durable");
    assert!(refused.contains("Input/output error"), "{refused}");

    fs::remove_file(&trigger).expect("it is there");
    server.restart();
    let mut wire = server.wire();
    // What was not acknowledged may be there or not, at the end; what was is.
    let (batches, _) = requests::read_log(&mut wire, TOPIC, 0, 0);
    assert!(batches.len() == known.acknowledged[0].len() || batches.len() == known.acknowledged[0].len() + 1);
    assert!(server.stop().success());
}
