//! Volumes of the real binary under load: what is frozen, cloned and restored is a state that there was, whatever happens meanwhile.

mod compactions;
mod cut;
mod history;
mod kills;
mod pond;
mod steps;
mod trap;
mod view;
