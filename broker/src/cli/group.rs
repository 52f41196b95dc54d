//! `millpond group`: lists, describes and deletes consumer groups over HTTP.

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::output::{Table, print, printable};
use super::remote::{Deleted, Remote, RemoteArgs, json};
use crate::http::groups::{Group, GroupAssignment, GroupList};

/// What to do with consumer groups.
#[derive(Args, Debug)]
pub struct GroupArgs {
    #[command(subcommand)]
    command: GroupCommand,
}

#[derive(Subcommand, Debug)]
enum GroupCommand {
    /// List the consumer groups with their states and members
    List {
        #[command(flatten)]
        of: Of,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Show a group's members, positions and lag
    Describe {
        /// Its id
        group: String,
        #[command(flatten)]
        of: Of,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Delete a group that has no members, and its positions
    Delete {
        /// Its id
        group: String,
        #[command(flatten)]
        of: Of,
        #[command(flatten)]
        remote: RemoteArgs,
    },
}

/// Where a group's clients are.
#[derive(Args, Debug)]
struct Of {
    /// Of clients at the listeners of this volume or snapshot, such as trading-v2 or trading@close [default: of those where
    /// everything is shown]
    #[arg(long, value_name = "VOLUME[@SNAPSHOT]")]
    of: Option<String>,
}

impl Of {
    fn query(&self) -> Vec<(&str, &str)> {
        self.of.iter().map(|of| ("of", of.as_str())).collect()
    }
}

impl GroupArgs {
    /// Does it, and prints the answer.
    pub async fn run(self) -> Result<(), Failure> {
        let text = match self.command {
            GroupCommand::List { of, remote } => list(&remote, &of).await?,
            GroupCommand::Describe { group, of, remote } => describe(&remote, &group, &of).await?,
            GroupCommand::Delete { group, of, remote } => delete(&remote, &group, &of).await?,
        };
        Ok(print(&text)?)
    }
}

async fn list(args: &RemoteArgs, of: &Of) -> Result<String, Failure> {
    let list: GroupList = Remote::new(args)?.get_with(&["groups"], &of.query()).await?;
    if args.json { json(&list) } else { Ok(show_list(&list)) }
}

async fn describe(args: &RemoteArgs, group: &str, of: &Of) -> Result<String, Failure> {
    let group: Group = Remote::new(args)?.get_with(&["groups", group], &of.query()).await?;
    if args.json { json(&group) } else { Ok(show(&group)) }
}

async fn delete(args: &RemoteArgs, group: &str, of: &Of) -> Result<String, Failure> {
    Remote::new(args)?.delete_with(&["groups", group], &of.query()).await?;
    if args.json {
        return json(&Deleted { deleted: group.to_owned() });
    }
    Ok(format!("Deleted group {}.\n", printable(group)))
}

fn show_list(list: &GroupList) -> String {
    if list.groups.is_empty() {
        return "There are no groups yet: one comes into being when a consumer joins it or commits a position.\n"
            .to_owned();
    }
    let mut table = Table::new(&["GROUP", "STATE", "PROTOCOL", ">MEMBERS"]);
    for group in &list.groups {
        let protocol = or_dash(&group.protocol_type);
        table.row([group.group.clone(), group.state.clone(), protocol, group.members.to_string()]);
    }
    table.show()
}

fn show(group: &Group) -> String {
    let protocol = match group.protocol.as_str() {
        "" => String::new(),
        protocol => format!(" and shares partitions out by {}", printable(protocol)),
    };
    let mut text = format!("Group {} is {}{protocol}\n\n", printable(&group.group), group.state);
    text.push_str(&members(group));
    text.push('\n');
    text.push_str(&positions(group));
    text
}

fn members(group: &Group) -> String {
    if group.members.is_empty() {
        return "It has no members.\n".to_owned();
    }
    let mut table = Table::new(&["MEMBER", "INSTANCE", "CLIENT", "HOST", "READS"]);
    for member in &group.members {
        let instance = or_dash(member.instance_id.as_deref().unwrap_or_default());
        let reads = assignment(&member.assignment);
        table.row([member.member_id.clone(), instance, or_dash(&member.client_id), member.host.clone(), reads]);
    }
    table.show()
}

fn positions(group: &Group) -> String {
    if group.positions.is_empty() {
        return "It has committed no positions.\n".to_owned();
    }
    let mut table = Table::new(&["TOPIC", ">PARTITION", ">POSITION", ">END", ">LAG"]);
    for position in &group.positions {
        let number = |number: Option<i64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        table.row([
            position.topic.clone(),
            position.partition.to_string(),
            position.committed.to_string(),
            number(position.high_watermark),
            number(position.lag()),
        ]);
    }
    table.show()
}

/// `trades[0,1] quotes[3]`
fn assignment(assignment: &[GroupAssignment]) -> String {
    let topic = |topic: &GroupAssignment| {
        let partitions: Vec<String> = topic.partitions.iter().map(i32::to_string).collect();
        format!("{}[{}]", topic.topic, partitions.join(","))
    };
    or_dash(&assignment.iter().map(topic).collect::<Vec<_>>().join(" "))
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::groups::{GroupMember, GroupPosition, GroupSummary};

    fn position(committed: i64, high_watermark: Option<i64>) -> GroupPosition {
        GroupPosition { topic: "trades".to_owned(), partition: 0, committed, high_watermark, metadata: String::new() }
    }

    #[test]
    fn lag_is_what_is_left_to_read() {
        assert_eq!(position(3, Some(10)).lag(), Some(7));
        assert_eq!(position(10, Some(3)).lag(), Some(0));
        assert_eq!(position(3, None).lag(), None);
    }

    #[test]
    fn a_group_shows_members_positions_and_lag() {
        let member = GroupMember {
            member_id: "m-1".to_owned(),
            instance_id: None,
            client_id: "app".to_owned(),
            host: "/127.0.0.1".to_owned(),
            assignment: vec![GroupAssignment { topic: "trades".to_owned(), partitions: vec![0, 2] }],
        };
        let text = show(&Group {
            group: "g".to_owned(),
            state: "Stable".to_owned(),
            protocol_type: "consumer".to_owned(),
            protocol: "range".to_owned(),
            members: vec![member],
            positions: vec![position(3, Some(10)), position(4, None)],
        });
        assert!(text.starts_with("Group g is Stable and shares partitions out by range\n"), "{text}");
        assert!(text.contains("m-1     -         app     /127.0.0.1  trades[0,2]\n"), "{text}");
        assert!(text.contains("trades          0         3   10    7\n"), "{text}");
        assert!(text.contains("trades          0         4    -    -\n"), "{text}");
    }

    #[test]
    fn a_list_is_a_table() {
        let group =
            GroupSummary { group: "g".to_owned(), state: "Empty".to_owned(), protocol_type: String::new(), members: 0 };
        let text = show_list(&GroupList { groups: vec![group] });
        assert_eq!(text, "GROUP  STATE  PROTOCOL  MEMBERS\ng      Empty  -               0\n");
        assert!(show_list(&GroupList { groups: vec![] }).contains("no groups yet"));
    }
}
