//! What is served under `/v1`: a row per operation.

use axum::http::Method;

use super::clones::{self, Diff, NewClone};
use super::groups::{self, Group, GroupList};
use super::listeners::{self, Listener, ListenerList, NewListener};
use super::openapi::{Operation, Resources};
use super::schedules::{self, NewSchedule, Schedule, ScheduleList};
use super::snapshots::{self, NewSnapshot, Restore, Snapshot, SnapshotChange, SnapshotList};
use super::streams::{self, NewStream, Stream, StreamList, StreamPolicy};
use super::topics::{self, NewTopic, Topic, TopicChange, TopicList};
use super::volumes::{self, Moment, NewVolume, Volume, VolumeChange, VolumeList};

/// All of it.
pub(super) fn resources() -> Resources {
    let resources = of_volumes(Resources::new());
    let resources = of_snapshots(of_streams(resources));
    of_groups(of_topics(of_listeners(of_schedules(of_clones(resources)))))
}

fn get(path: &'static str, summary: &'static str) -> Operation {
    Operation::new(Method::GET, path, summary)
}

fn post(path: &'static str, summary: &'static str) -> Operation {
    Operation::new(Method::POST, path, summary)
}

fn patch(path: &'static str, summary: &'static str) -> Operation {
    Operation::new(Method::PATCH, path, summary)
}

fn delete(path: &'static str, summary: &'static str) -> Operation {
    Operation::new(Method::DELETE, path, summary).fails(&[404])
}

fn forced(operation: Operation, description: &str) -> Operation {
    operation.query("force", "boolean", false, description).fails(&[409])
}

fn of_volumes(resources: Resources) -> Resources {
    const ALL: &str = "/v1/volumes";
    const ONE: &str = "/v1/volumes/{volume}";
    let purge = post("/v1/volumes/{volume}/purge-history", "Gives up the past of a volume, but for its snapshots");
    let delete = forced(delete(ONE, "Deletes a volume; its snapshots stay"), "Delete it although it holds records");
    resources
        .on(get(ALL, "Lists the volumes").gives::<VolumeList>(200), volumes::list)
        .on(post(ALL, "Creates a volume").takes::<NewVolume>().gives::<Volume>(201).fails(&[409]), volumes::create)
        .on(get(ONE, "Describes a volume").gives::<Volume>(200).fails(&[404]), volumes::describe)
        .on(
            patch(ONE, "Changes a volume").takes::<VolumeChange>().gives::<Volume>(200).fails(&[404, 409]),
            volumes::alter,
        )
        .on(delete, volumes::delete)
        .on(purge.gives::<Moment>(200).fails(&[404, 409]), volumes::purge_history)
}

fn of_streams(resources: Resources) -> Resources {
    const ALL: &str = "/v1/volumes/{volume}/streams";
    const ONE: &str = "/v1/volumes/{volume}/streams/{stream}";
    let delete = forced(delete(ONE, "Deletes a stream"), "Delete it with its topics");
    resources
        .on(get(ALL, "Lists the streams of a volume").gives::<StreamList>(200).fails(&[404]), streams::list)
        .on(post(ALL, "Creates a stream").takes::<NewStream>().gives::<Stream>(201).fails(&[404, 409]), streams::create)
        .on(get(ONE, "Describes a stream").gives::<Stream>(200).fails(&[404]), streams::describe)
        .on(
            patch(ONE, "Changes the policy of a stream").takes::<StreamPolicy>().gives::<Stream>(200).fails(&[404]),
            streams::alter,
        )
        .on(delete, streams::delete)
}

fn of_snapshots(resources: Resources) -> Resources {
    const ALL: &str = "/v1/volumes/{volume}/snapshots";
    const ONE: &str = "/v1/volumes/{volume}/snapshots/{snapshot}";
    let create = post(ALL, "Takes a snapshot of a volume as it is, or as it was").takes::<NewSnapshot>();
    let alter = patch(ONE, "Protects a snapshot, or says how long it is kept").takes::<SnapshotChange>();
    let restore = post("/v1/volumes/{volume}/restore", "Takes a volume back to a snapshot of it").takes::<Restore>();
    resources
        .on(get("/v1/snapshots", "Lists the snapshots of all volumes").gives::<SnapshotList>(200), snapshots::all)
        .on(get(ALL, "Lists the snapshots of a volume").gives::<SnapshotList>(200).fails(&[404]), snapshots::list)
        .on(create.gives::<Snapshot>(201).fails(&[404, 409, 410]), snapshots::create)
        .on(get(ONE, "Describes a snapshot").gives::<Snapshot>(200).fails(&[404]), snapshots::describe)
        .on(alter.gives::<Snapshot>(200).fails(&[404]), snapshots::alter)
        .on(delete(ONE, "Deletes a snapshot").fails(&[409]), snapshots::delete)
        .on(restore.gives::<Snapshot>(200).fails(&[404, 409]), snapshots::restore)
}

fn of_clones(resources: Resources) -> Resources {
    const ALL: &str = "/v1/clones";
    let view = "VOLUME, VOLUME@SNAPSHOT or VOLUME@MOMENT";
    let diff = get("/v1/diff", "Tells what differs between two views");
    let diff = diff.query("from", "string", true, view).query("to", "string", true, view);
    resources
        .on(get(ALL, "Lists the volumes that are clones").gives::<VolumeList>(200), clones::list)
        .on(
            post(ALL, "Makes a volume that begins as a view")
                .takes::<NewClone>()
                .gives::<Volume>(201)
                .fails(&[404, 409, 410]),
            clones::create,
        )
        .on(diff.gives::<Diff>(200).fails(&[404, 410]), clones::difference)
}

fn of_schedules(resources: Resources) -> Resources {
    const ALL: &str = "/v1/volumes/{volume}/schedules";
    const ONE: &str = "/v1/volumes/{volume}/schedules/{schedule}";
    resources
        .on(get("/v1/schedules", "Lists the schedules of all volumes").gives::<ScheduleList>(200), schedules::all)
        .on(get(ALL, "Lists the schedules of a volume").gives::<ScheduleList>(200).fails(&[404]), schedules::list)
        .on(
            post(ALL, "Creates a schedule").takes::<NewSchedule>().gives::<Schedule>(201).fails(&[404, 409]),
            schedules::create,
        )
        .on(delete(ONE, "Deletes a schedule; its snapshots stay"), schedules::delete)
}

fn of_listeners(resources: Resources) -> Resources {
    const ALL: &str = "/v1/listeners";
    const ONE: &str = "/v1/listeners/{address}";
    resources
        .on(get(ALL, "Lists the listeners that were added").gives::<ListenerList>(200), listeners::list)
        .on(
            post(ALL, "Shows a volume or a snapshot at an address of its own")
                .takes::<NewListener>()
                .gives::<Listener>(201)
                .fails(&[404, 409]),
            listeners::create,
        )
        .on(delete(ONE, "Removes a listener"), listeners::delete)
}

fn of_topics(resources: Resources) -> Resources {
    const ALL: &str = "/v1/topics";
    const ONE: &str = "/v1/topics/{name}";
    let of = "A volume or VOLUME@SNAPSHOT, whose topics are listed in place of those that are shown to all";
    let list = get(ALL, "Lists the topics").query("of", "string", false, of);
    let alter = patch(ONE, "Changes a topic").takes::<TopicChange>();
    resources
        .on(list.gives::<TopicList>(200).fails(&[404]), topics::list)
        .on(post(ALL, "Creates a topic").takes::<NewTopic>().gives::<Topic>(201).fails(&[409]), topics::create)
        .on(get(ONE, "Describes a topic").gives::<Topic>(200).fails(&[404]), topics::describe)
        .on(alter.gives::<Topic>(200).fails(&[404, 409]), topics::alter)
        .on(delete(ONE, "Deletes a topic").fails(&[409]), topics::delete)
}

fn of_groups(resources: Resources) -> Resources {
    const ONE: &str = "/v1/groups/{id}";
    let of = |operation: Operation| {
        let of = "A volume or VOLUME@SNAPSHOT: groups of clients at its listeners, in place of those where everything is shown";
        operation.query("of", "string", false, of)
    };
    let delete = delete(ONE, "Deletes a group without members, and its positions");
    resources
        .on(of(get("/v1/groups", "Lists the consumer groups").gives::<GroupList>(200).fails(&[404])), groups::list)
        .on(of(get(ONE, "Describes a group").gives::<Group>(200).fails(&[404])), groups::describe)
        .on(of(delete.fails(&[409])), groups::delete)
}
