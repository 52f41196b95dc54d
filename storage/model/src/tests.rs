//! A bounded run: the rules hold in what is searched here of every scenario, and each one that is broken is caught. The whole search is
//! `cargo run -p millpond-model`.

use crate::*;

/// So many states of each scenario are searched with all rules kept.
const STATES_MAX: usize = 100_000;
/// So many at the most until a broken rule is caught.
const STATES_BROKEN_MAX: usize = 100_000;

/// The scenario in which each rule is missed soonest. (One more, [`Rule::HideInOwn`], is missed after 257,145 states of "two, leaks": by the whole search.)
const CAUGHT_IN: [(&str, &[Rule]); 11] = [
    (
        "one, fine",
        &[
            Rule::OpenEditFirst,
            Rule::OpenAfterSync,
            Rule::OlderFirst,
            Rule::RewriteTail,
            Rule::SyncManifest,
            Rule::OutputsSynced,
            Rule::EditBeforeUnlink,
            Rule::JobIntent,
            Rule::AsideNotSwept,
            Rule::PinAfterDurable,
            Rule::PinRegistered,
            Rule::PlannedFloor,
            Rule::PinsAfterPlan,
            Rule::EditAfterFloor,
            Rule::FloorDurable,
            Rule::FloorBelowDurable,
            Rule::UnpinDurable,
            Rule::DeleteDurable,
            Rule::DropDurable,
            Rule::DropAfterPins,
            Rule::IntervalNeed,
            Rule::PlaceUnversioned,
            Rule::StateAtDurable,
            Rule::StateAtBase,
        ],
    ),
    ("one, readers", &[Rule::ReadersFirst]),
    (
        "two, fine",
        &[
            Rule::BranchIntent,
            Rule::BranchRegistered,
            Rule::ChildNeeds,
            Rule::BranchDurable,
            Rule::DirBeforeFact,
            Rule::RestoreOneFact,
        ],
    ),
    ("two, ids", &[Rule::Fence, Rule::IdsInSystem, Rule::IdAfterDurable]),
    ("one, leaks", &[Rule::FactsFolded, Rule::EndsFolded]),
    ("two, leaks", &[Rule::ChildCuts]),
    (
        "one, compacts",
        &[
            Rule::CompactionIsFact,
            Rule::OutputsHeld,
            Rule::NewGeneration,
            Rule::CompactsDurable,
            Rule::CompactionLeased,
            Rule::OncePerWindow,
            Rule::SupersededStays,
            Rule::SupersededFolded,
            Rule::GenerationStays,
            Rule::CompactionKnown,
        ],
    ),
    ("one, compacts, fine", &[Rule::OutputsBeforeFact]),
    ("one, compacts, leaks", &[Rule::UnfinishedGoes, Rule::SupersededGoes]),
    ("two, compacts", &[Rule::BranchAsOf, Rule::ChildSeesGeneration, Rule::ChildFolds, Rule::CloneOwnFiles]),
    ("two, compacts, leaks", &[Rule::ChildSupersedes]),
];

fn scenario(name: &str) -> Bounds {
    *SCENARIOS.iter().find(|bounds| bounds.name == name).expect("there is one of that name")
}

#[test]
fn the_rules_hold() {
    for bounds in SCENARIOS {
        let found = Model { bounds: *bounds, broken: vec![] }.search(STATES_MAX);
        assert!(found.bad.is_none(), "{}: {:?}", bounds.name, found.bad);
        assert!(found.complete || found.states >= STATES_MAX, "{}", bounds.name);
    }
}

#[test]
fn a_broken_rule_is_caught() {
    for (name, rules) in CAUGHT_IN {
        for rule in rules {
            let found = Model { bounds: scenario(name), broken: broken_with(*rule) }.search(STATES_BROKEN_MAX);
            assert!(found.bad.is_some(), "nothing goes wrong in {name:?} without {rule:?}");
        }
    }
    let tried: usize = CAUGHT_IN.iter().map(|(_, rules)| rules.len()).sum();
    assert_eq!(tried + 1, RULES.len(), "a rule that is never broken");
}
