//! Unmodified clients over `kill -9` and restart of the broker: they notice nothing but a pause.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::support::{Member, is_fair, own, poll_until, produce, topic, values};

#[test]
fn an_idempotent_producer_and_a_group_go_on_over_kills() {
    let mut server = own();
    let address = server.kafka().to_owned();
    let topic = topic(&address, 4, &[]);
    let group = "survivors";
    let mut members = [Member::join(&address, group, &topic, &[]), Member::join(&address, group, &topic, &[])];
    poll_until("a fair assignment", &mut members, |members| is_fair(members, 4));
    let revoked_before: usize = members.iter().map(|member| member.revoked().len()).sum();

    let sent = values("v", 6000);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let producer = scope.spawn(|| {
            let settings = [("enable.idempotence", "true"), ("batch.num.messages", "20"), ("linger.ms", "0")];
            let offsets = produce(&address, &topic, 2, &sent, &settings);
            done.store(true, Ordering::Release);
            offsets
        });
        for kill in 1..=3 {
            let read = |members: &[Member]| members.iter().map(|member| member.read.len()).sum::<usize>();
            poll_until("some more", &mut members, |members| read(members) > kill * 500 || done.load(Ordering::Acquire));
            server.kill();
            server.restart();
        }
        let offsets = producer.join().expect("it does not panic").expect("all are delivered");
        assert_eq!(offsets, (0..6000).collect::<Vec<i64>>());
    });
    poll_until("all read", &mut members, |members| {
        members.iter().map(|member| member.read.len()).sum::<usize>() >= 6000
    });

    let read: Vec<&String> = members.iter().flat_map(|member| &member.read).collect();
    assert_eq!(read, sent.iter().collect::<Vec<_>>(), "lost, doubled or out of order");
    let revoked: usize = members.iter().map(|member| member.revoked().len()).sum();
    assert_eq!(revoked, revoked_before, "a restart is no reason for a rebalance");
}
