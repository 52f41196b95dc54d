//! The bounds of each search.

use crate::*;

const BASE: Bounds = Bounds {
    name: "",
    timelines: 1,
    lsns: 3,
    files: 3,
    snapshots: 1,
    states_at: 2,
    parts: 1,
    ids: 0,
    reader: false,
    branches: false,
    settle: false,
    facts: 2,
    fine: false,
    compactions: 0,
};
const COMPACTS: Bounds = Bounds { snapshots: 0, states_at: 1, facts: 1, compactions: 1, ..BASE };
pub(crate) const SCENARIOS: &[Bounds] = &[
    Bounds { name: "one, fine", lsns: 2, fine: true, settle: true, ..BASE },
    Bounds { name: "one, readers", lsns: 2, reader: true, fine: true, ..BASE },
    Bounds { name: "two, fine", timelines: 2, lsns: 1, files: 2, branches: true, fine: true, settle: true, ..BASE },
    Bounds {
        name: "two, ids",
        timelines: 2,
        lsns: 2,
        facts: 1,
        files: 1,
        states_at: 1,
        ids: 4,
        branches: true,
        ..BASE
    },
    Bounds { name: "one, leaks", settle: true, ..BASE },
    Bounds { name: "two, leaks", timelines: 2, lsns: 2, files: 2, facts: 1, branches: true, settle: true, ..BASE },
    Bounds { name: "one, larger", lsns: 4, ..BASE },
    Bounds { name: "one, two pins", snapshots: 2, ..BASE },
    Bounds { name: "one, partitions", parts: 2, facts: 1, ..BASE },
    Bounds { name: "one, long", lsns: 5, facts: 1, ..BASE },
    Bounds { name: "two, fine 2", timelines: 2, lsns: 2, files: 2, facts: 1, branches: true, fine: true, ..BASE },
    Bounds { name: "two, larger", timelines: 2, lsns: 3, files: 2, snapshots: 0, facts: 1, branches: true, ..BASE },
    Bounds { name: "three, restores", timelines: 3, lsns: 2, files: 1, states_at: 1, facts: 1, branches: true, ..BASE },
    Bounds {
        name: "three",
        timelines: 3,
        lsns: 2,
        files: 2,
        snapshots: 0,
        states_at: 1,
        facts: 1,
        branches: true,
        ..BASE
    },
    Bounds { name: "one, compacts", compactions: 2, ..COMPACTS },
    Bounds { name: "one, compacts, fine", lsns: 2, fine: true, ..COMPACTS },
    Bounds { name: "one, compacts, leaks", snapshots: 1, states_at: 2, compactions: 2, settle: true, ..COMPACTS },
    Bounds { name: "two, compacts", timelines: 2, lsns: 2, files: 2, branches: true, ..COMPACTS },
    Bounds { name: "two, compacts, leaks", timelines: 2, lsns: 2, branches: true, settle: true, ..COMPACTS },
    Bounds { name: "one, compacts, pins", lsns: 4, snapshots: 1, states_at: 2, compactions: 2, ..COMPACTS },
    Bounds {
        name: "two, compacts, restores",
        timelines: 2,
        lsns: 2,
        files: 2,
        snapshots: 1,
        branches: true,
        ..COMPACTS
    },
    Bounds { name: "two, compacts, larger", timelines: 2, compactions: 2, branches: true, ..COMPACTS },
];
