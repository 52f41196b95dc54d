//! Which volumes and snapshots there are, by every name that they have: what `system` says of them, as of one moment.
//!
//! It is made anew when the number that `system` counts such changes by has moved, which every look checks: so a restore is
//! noticed at once, and nothing holds on to a timeline that was handed over. A place that did not change is the same one,
//! with all that is loaded of it. While the engine brings a volume's new timeline into service, the volume is still in the
//! old one, which forwards what is submitted.
//!
//! Invariant: a label that is, or was, a volume's never falls to volume `default`, nor, on a listener of one volume, to that
//! (but for a topic that was there before).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use millpond_storage::state::{DEFAULT_STREAM, Pin, State, TimelineInfo, Volume, VolumeId};
use millpond_storage::{DEFAULT_VOLUME, Engine, TimelineId};

use super::TopicError;
use super::frozen::{Recent, Snapshot};
use super::ids::{Form, Spelling};
use super::names::{Dotted, Name, Path};
use super::place::{HomeName, Log, Place, Quota};
use crate::documents::{self, Ancestor, Collection, FormerVolume, VolumeLimits, VolumeSettings};
use crate::scope::Scope;

/// All volumes and snapshots that there are.
pub(super) struct Directory {
    /// What `system` counted when it was made.
    pub(super) version: u64,
    /// Whether every volume is in the timeline that `system` says.
    is_settled: bool,
    default: Arc<Place>,
    volumes: HashMap<Arc<str>, Known>,
    /// The volumes by what they are mounted at.
    mounts: HashMap<Arc<str>, Arc<str>>,
    homes: HashMap<Scope, Arc<Place>>,
    /// Names of volumes that are no more.
    former: HashSet<Arc<str>>,
}

/// A volume, and its snapshots by name.
struct Known {
    place: Arc<Place>,
    snapshots: HashMap<Arc<str>, Arc<Place>>,
}

/// Where a name leads.
#[derive(Clone)]
pub(super) struct Found<'a> {
    pub(super) place: Arc<Place>,
    pub(super) stream: &'a str,
    pub(super) topic: &'a str,
    pub(super) spelling: Spelling,
}

impl Directory {
    /// What the engine has now; what did not change is taken over from `before`. None if there is no volume `default`.
    pub(super) fn read(engine: &Engine, before: Option<&Self>) -> Option<Self> {
        let system = engine.system();
        let (version, said) = system.state(|state| (system.names_version(), Said::read(state)));
        let mut making = Making { engine, before, said: &said, is_settled: true, homes: HashMap::new() };
        let mut volumes = HashMap::new();
        let mut mounts = HashMap::new();
        for volume in said.volumes.values() {
            let Some(place) = making.volume(volume) else { continue };
            let pins = said.pins.get(&volume.id).into_iter().flatten();
            let snapshots = pins.filter_map(|pin| Some((Arc::clone(&pin.name), making.snapshot(pin, volume)?)));
            let known = Known { place, snapshots: snapshots.collect() };
            mounts.insert(Arc::clone(&volume.mount), Arc::clone(&volume.name));
            volumes.insert(Arc::clone(&volume.name), known);
        }
        let Making { is_settled, homes, .. } = making;
        let default = Arc::clone(&volumes.get(DEFAULT_VOLUME)?.place);
        let former = said.former.into_iter().map(|(name, _)| name).collect();
        Some(Self { version, is_settled, default, volumes, mounts, homes, former })
    }

    /// Whether it says what `system` says.
    pub(super) fn is_current(&self, engine: &Engine) -> bool {
        self.is_settled && self.version == engine.system().names_version()
    }

    /// A volume or a snapshot.
    pub(super) fn place(&self, home: Scope) -> Option<&Arc<Place>> {
        self.homes.get(&home)
    }

    /// All volumes.
    pub(super) fn volumes(&self) -> impl Iterator<Item = &Arc<Place>> {
        self.volumes.values().map(|known| &known.place)
    }

    /// Where topics are that are shown to who names none.
    pub(super) fn listed(&self, scope: Scope) -> Vec<&Arc<Place>> {
        match scope {
            Scope::Everything => {
                self.volumes.values().map(|known| &known.place).filter(|place| place.is_listed_in(scope)).collect()
            }
            home => self.place(home).into_iter().collect(),
        }
    }

    /// Whether a label is, or was, a volume's, so that no plain name begins with it.
    pub(super) fn is_reserved(&self, label: &str) -> bool {
        label != DEFAULT_VOLUME && (self.volumes.contains_key(label) || self.former.contains(label))
    }

    /// Where a name leads in a scope.
    pub(super) fn find<'a>(&self, scope: Scope, name: &'a str, recent: &Arc<Recent>) -> Result<Found<'a>, TopicError> {
        match (scope, Name::parse(name)?) {
            (Scope::Everything, Name::Labels(labels)) => self.find_labels(labels),
            (Scope::Everything, Name::Path(path)) => self.find_path(path),
            (home, name) => {
                let place = self.place(home).ok_or(TopicError::Unknown)?;
                match name {
                    Name::Labels(labels) => self.find_own_labels(place, labels, recent),
                    Name::Path(path) => find_own_path(place, path),
                }
            }
        }
    }

    fn find_labels<'a>(&self, labels: &'a str) -> Result<Found<'a>, TopicError> {
        let dotted = Dotted::of(labels).filter(|dotted| self.is_reserved(dotted.volume));
        let Some(Dotted { volume, snapshot, stream, topic }) = dotted else {
            let place = Arc::clone(&self.default);
            return Ok(Found { place, stream: DEFAULT_STREAM, topic: labels, spelling: Spelling::own(Form::Dotted) });
        };
        let (place, form) = self.place_of(volume, snapshot, (Form::Dotted, Form::Alias))?;
        Ok(Found { place, stream, topic, spelling: Spelling::own(form) })
    }

    fn find_path<'a>(&self, path: Path<'a>) -> Result<Found<'a>, TopicError> {
        let (mount, snapshot) = match (self.mounts.contains_key(path.place), path.snapshot()) {
            (false, Some((mount, snapshot))) => (mount, Some(snapshot)),
            _ => (path.place, None),
        };
        let volume = self.mounts.get(mount).ok_or(TopicError::Unknown)?;
        let (place, form) = self.place_of(volume, snapshot, (Form::Path, Form::SnapshotPath))?;
        Ok(Found { place, stream: path.stream, topic: path.topic, spelling: Spelling::own(form) })
    }

    /// A volume, or a snapshot of it, and the form of the name.
    fn place_of(
        &self,
        volume: &str,
        snapshot: Option<&str>,
        (of_volume, of_snapshot): (Form, Form),
    ) -> Result<(Arc<Place>, Form), TopicError> {
        let known = self.volumes.get(volume).ok_or(TopicError::Unknown)?;
        match snapshot {
            None => Ok((Arc::clone(&known.place), of_volume)),
            Some(name) => {
                let place = known.snapshots.get(name).ok_or(TopicError::Unknown)?;
                Ok((Arc::clone(place), of_snapshot))
            }
        }
    }

    /// On a listener of one volume or snapshot: its own dotted name or one of those it was cloned from, else a short name.
    fn find_own_labels<'a>(
        &self,
        place: &Arc<Place>,
        labels: &'a str,
        recent: &Arc<Recent>,
    ) -> Result<Found<'a>, TopicError> {
        let found = |stream, topic, form, whose| {
            Ok(Found { place: Arc::clone(place), stream, topic, spelling: Spelling { form, whose } })
        };
        let short = |stream, topic| found(stream, topic, Form::Short, 0);
        let Some((first, rest)) = labels.split_once('.') else { return short(DEFAULT_STREAM, labels) };
        let named = if first == DEFAULT_VOLUME { None } else { whose(place, |name| *name.volume == *first) };
        if let (Some(whose), Some(dotted)) = (named, Dotted::of(labels).filter(|dotted| !dotted.topic.is_empty())) {
            return match dotted.snapshot {
                None => found(dotted.stream, dotted.topic, Form::Dotted, whose),
                Some(name) if is_snapshot(place, name) => found(dotted.stream, dotted.topic, Form::Alias, whose),
                Some(_) => Err(TopicError::Unknown),
            };
        }
        if first != DEFAULT_STREAM && place.open(recent)?.has_stream(first) {
            return short(first, rest);
        }
        // One that was there before a volume was called so stays what it is.
        if named.is_none() && self.is_reserved(first) && place.open(recent)?.topic(DEFAULT_STREAM, labels).is_none() {
            return Err(TopicError::Unknown);
        }
        short(DEFAULT_STREAM, labels)
    }

    /// The place that a topic id means in a scope, and the spelling there: if that is shown, and a topic there has this spelling.
    ///
    /// To a scoped client the ids of those that its volume was cloned from mean its own topics, as their names do. A client whose port moves to a clone has
    /// requests under way with the ids that it knows: refused, an older batch would come behind a newer one, and never be taken.
    pub(super) fn find_id(&self, scope: Scope, home: Scope, spelling: Spelling) -> Option<(&Arc<Place>, Spelling)> {
        let (home, spelling) =
            if scope.shows(home) { (home, spelling) } else { self.inherited_id(scope, home, spelling)? };
        let place = self.place(home)?;
        let is_snapshot = place.snapshot().is_some();
        let is_scoped = scope != Scope::Everything;
        let is_used = match spelling.form {
            Form::Short => is_scoped,
            Form::Dotted | Form::Path => is_scoped || !is_snapshot,
            Form::Alias | Form::SnapshotPath => is_snapshot,
        };
        let whose = usize::from(spelling.whose);
        (is_used && whose < if is_scoped { place.names.len() } else { 1 }).then_some((place, spelling))
    }

    /// An id of a volume that the one in a scope comes from, as an id there.
    fn inherited_id(&self, scope: Scope, home: Scope, spelling: Spelling) -> Option<(Scope, Spelling)> {
        let Scope::Volume(ancestor) = home else { return None };
        let generation = self.place(scope)?.names.iter().position(|name| name.id == ancestor)?;
        let whose = match spelling.form {
            // The same name, whoever's it is: to a producer this is no second one.
            Form::Short => spelling.whose,
            Form::Dotted | Form::Path => spelling.whose.checked_add(u8::try_from(generation).ok()?)?,
            Form::Alias | Form::SnapshotPath => return None,
        };
        Some((scope, Spelling { whose, ..spelling }))
    }
}

fn find_own_path<'a>(place: &Arc<Place>, path: Path<'a>) -> Result<Found<'a>, TopicError> {
    let own = whose(place, |name| *name.mount == *path.place).map(|whose| (Form::Path, whose));
    let in_snapshot = || {
        let (mount, snapshot) = path.snapshot().filter(|(_, snapshot)| is_snapshot(place, snapshot))?;
        debug_assert!(!snapshot.is_empty(), "a path has no empty step");
        whose(place, |name| *name.mount == *mount).map(|whose| (Form::SnapshotPath, whose))
    };
    let (form, whose) = own.or_else(in_snapshot).ok_or(TopicError::Unknown)?;
    Ok(Found { place: Arc::clone(place), stream: path.stream, topic: path.topic, spelling: Spelling { form, whose } })
}

fn is_snapshot(place: &Place, name: &str) -> bool {
    place.snapshot().is_some_and(|known| **known == *name)
}

/// Which of a place's names it is.
fn whose(place: &Place, is_it: impl Fn(&HomeName) -> bool) -> Option<u8> {
    place.names.iter().position(is_it).and_then(|at| u8::try_from(at).ok())
}

/// What `system` says of volumes and snapshots.
struct Said {
    volumes: HashMap<VolumeId, Volume>,
    pins: HashMap<VolumeId, Vec<Pin>>,
    timelines: HashMap<TimelineId, TimelineInfo>,
    ancestors: HashMap<VolumeId, Vec<Ancestor>>,
    limits: HashMap<VolumeId, VolumeLimits>,
    former: Vec<(Arc<str>, FormerVolume)>,
}

impl Said {
    fn read(state: &State) -> Self {
        let mut pins: HashMap<VolumeId, Vec<Pin>> = HashMap::new();
        for pin in state.pins() {
            pins.entry(pin.volume).or_default().push(pin.clone());
        }
        let former = state.documents_in(Collection::FormerVolumes as u8);
        let (mut ancestors, mut limits) = (HashMap::new(), HashMap::new());
        for volume in state.volumes() {
            let settings = documents::find(state, Collection::VolumeSettings, &volume.id.0.to_string());
            let settings: VolumeSettings = settings.unwrap_or_default();
            if !settings.ancestors.is_empty() {
                ancestors.insert(volume.id, settings.ancestors);
            }
            limits.insert(volume.id, settings.limits);
        }
        Self {
            ancestors,
            limits,
            volumes: state.volumes().map(|volume| (volume.id, volume.clone())).collect(),
            pins,
            timelines: state.timelines().map(|info| (info.id, info.clone())).collect(),
            former: former
                .map(|(key, body)| (Arc::clone(&key.name), documents::read(key, body).unwrap_or_default()))
                .collect(),
        }
    }

    /// Whether a volume's timeline branched off another of its own.
    fn is_restored(&self, volume: &Volume) -> bool {
        let origin = self.timelines.get(&volume.timeline).and_then(|info| info.origin);
        origin.and_then(|(parent, _)| self.timelines.get(&parent)).is_some_and(|parent| parent.volume == volume.id)
    }

    /// What a volume is called, and those that it was cloned from, the nearest first.
    fn names(&self, volume: &Volume, timeline: TimelineId) -> Vec<HomeName> {
        let own = HomeName { id: volume.id, volume: Arc::clone(&volume.name), mount: Arc::clone(&volume.mount) };
        let Some(ancestors) = self.ancestors.get(&volume.id) else {
            return self.names_by_origin(own, volume, timeline);
        };
        let mut ids = vec![volume.id.0];
        let mut names = vec![own];
        for ancestor in ancestors.iter().take(Spelling::NAMES_MAX - 1) {
            if !ids.contains(&ancestor.id) {
                ids.push(ancestor.id);
                let (volume, mount) = (ancestor.name.as_str().into(), ancestor.mount.as_str().into());
                names.push(HomeName { id: VolumeId(ancestor.id), volume, mount });
            }
        }
        names
    }

    /// The same of a volume of which nobody wrote down what it was cloned from: by what its timelines branched off.
    fn names_by_origin(&self, own: HomeName, volume: &Volume, timeline: TimelineId) -> Vec<HomeName> {
        let mut ids = vec![volume.id];
        let mut names = vec![own];
        let mut next = self.timelines.get(&timeline);
        while let Some(info) = next.filter(|_| names.len() < Spelling::NAMES_MAX) {
            if !ids.contains(&info.volume) {
                ids.push(info.volume);
                names.extend(self.name(info.volume));
            }
            next = info.origin.and_then(|(parent, _)| self.timelines.get(&parent));
        }
        names
    }

    /// What a volume is, or was, called.
    fn name(&self, id: VolumeId) -> Option<HomeName> {
        if let Some(volume) = self.volumes.get(&id) {
            return Some(HomeName { id, volume: Arc::clone(&volume.name), mount: Arc::clone(&volume.mount) });
        }
        let (name, former) = self.former.iter().find(|(_, former)| former.id == id.0)?;
        Some(HomeName { id, volume: Arc::clone(name), mount: former.mount.as_str().into() })
    }
}

/// A directory while it is made.
struct Making<'a> {
    engine: &'a Engine,
    before: Option<&'a Directory>,
    said: &'a Said,
    is_settled: bool,
    homes: HashMap<Scope, Arc<Place>>,
}

impl Making<'_> {
    /// A volume; in its former timeline while the current one is not in service yet.
    fn volume(&mut self, volume: &Volume) -> Option<Arc<Place>> {
        let home = Scope::Volume(volume.id);
        let before = self.before.and_then(|before| before.place(home));
        let Some(timeline) = self.engine.timeline(volume.timeline) else {
            self.is_settled = false;
            let place = Arc::clone(before?);
            self.homes.insert(home, Arc::clone(&place));
            return Some(place);
        };
        let names = self.said.names(volume, volume.timeline);
        let limits = self.said.limits.get(&volume.id).cloned().unwrap_or_default();
        let is_same = |place: &&Arc<Place>| {
            place.timeline().id() == timeline.id()
                && place.names == names
                && place.is_listed == volume.listed
                && place.quota.limits == limits
        };
        let place = if let Some(same) = before.filter(is_same) {
            Arc::clone(same)
        } else {
            let room = before.map(|before| Arc::clone(&before.quota.room)).unwrap_or_default();
            let (log, quota) = (Log::Live(timeline), Quota { limits, room });
            let mut place = Place::new(home, volume.id, names, volume.listed, log, quota);
            place.is_restored = self.said.is_restored(volume);
            Arc::new(place)
        };
        self.homes.insert(home, Arc::clone(&place));
        Some(place)
    }

    fn snapshot(&mut self, pin: &Pin, volume: &Volume) -> Option<Arc<Place>> {
        let home = Scope::Snapshot(pin.id);
        let names = self.said.names(volume, pin.timeline);
        let before = self.before.and_then(|before| before.place(home)).filter(|place| place.names == names);
        let place = if let Some(same) = before {
            Arc::clone(same)
        } else {
            let log = Log::Frozen(Snapshot::new(pin.clone(), self.engine.timeline(pin.timeline)?));
            Arc::new(Place::new(home, volume.id, names, false, log, Quota::default()))
        };
        self.homes.insert(home, Arc::clone(&place));
        Some(place)
    }
}
