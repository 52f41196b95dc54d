//! The rules, each of which can be broken alone: then the search finds what goes wrong.

/// Every rule that the model obeys, each can be broken alone. The text is the rule.
macro_rules! rules { ($($name:ident = $text:literal,)*) => {
    #[derive(Clone, Copy, PartialEq, Debug)]
    pub(crate) enum Rule { $($name),* }
    /// All of them.
    pub(crate) const RULES: &[(Rule, &str)] = &[$((Rule::$name, $text)),*];
} }
rules! {
    OpenEditFirst = "a log file's opening edit is synced before a frame is written to it",
    OpenAfterSync = "the next log file is opened only when the one before is synced to its end",
    OlderFirst = "a frame counts as durable only when all files before its own are synced",
    RewriteTail = "recovery writes and syncs the log's tail again before it serves",
    SyncManifest = "recovery writes and syncs the manifest's last edit again before it acts on it",
    OutputsSynced = "outputs and their directory are synced before the edit",
    EditBeforeUnlink = "inputs are unlinked after the edit is synced",
    ReadersFirst = "inputs are unlinked when the last reader has left",
    JobIntent = "a job notes its outputs first, recovery deletes those of unfinished jobs",
    BranchIntent = "a branch's directory is known as unfinished until its fact, recovery deletes it",
    AsideNotSwept = "files with frames that no edit names are set aside, not swept",
    PinAfterDurable = "a pin's fact is written when its LSN is durable",
    PinRegistered = "a snapshot's pin is registered in memory before its fact is written",
    BranchRegistered = "a branch's pin is registered in memory before its directory is made",
    PlannedFloor = "pins below the planned floor are refused (not only those below the durable one)",
    PinsAfterPlan = "a job reads the pins after the floor that it works with is published",
    EditAfterFloor = "an edit that drops is written when the floor it relies on is durable",
    FloorDurable = "the floor is a durable fact",
    FloorBelowDurable = "the floor is at most the timeline's durable LSN",
    UnpinDurable = "a pin counts until its deletion is durable",
    DeleteDurable = "a volume's views count until its deletion is durable",
    DropDurable = "a timeline's bytes go when the fact that drops it is durable",
    DropAfterPins = "a timeline is dropped only when no pin, branch in the making or child is left",
    ChildNeeds = "what a child sees of its parent is needed",
    ChildCuts = "a child needs of its parent only what it has not hidden itself",
    HideInOwn = "what a child hides ends only what the child sees",
    IntervalNeed = "need is [from, until), not: everything below the newest pin",
    PlaceUnversioned = "placement is not versioned: an input goes though older views remain",
    BranchDurable = "a branch point is durable",
    DirBeforeFact = "a branch's directory and files are synced before its fact",
    RestoreOneFact = "a restore is one fact: name, branch and safety pin",
    Fence = "a restore fences the old writer before it takes the safety pin",
    IdsInSystem = "ids and epochs are counted in system, not in the volume's log",
    IdAfterDurable = "an id is given when its fact is durable",
    FactsFolded = "a fact is dropped when each view that needs it has a state-at in [fact, view]",
    EndsFolded = "a partition's last header is dropped under the same condition",
    StateAtDurable = "a state-at is made at a durable LSN",
    StateAtBase = "a state-at stays while it is the base of a pin or of the window",
}
