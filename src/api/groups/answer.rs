//! A group, and a page of groups, on the wire (floor 6).

use serde::Serialize;

use crate::events::Storm;
use crate::events::life::{Details, GroupView, Page};

/// One group, with the storm that it is in.
#[derive(Serialize)]
pub(super) struct Shown {
    #[serde(flatten)]
    group: Details,
    #[serde(skip_serializing_if = "Option::is_none")]
    storm: Option<Storm>,
}

impl Shown {
    /// `family`: the ids under which its events are stored.
    pub(super) fn of(group: Details, family: &[i64], storms: &[Storm]) -> Self {
        let storm = storms.iter().find(|storm| family.contains(&storm.group)).copied();
        Self { group, storm }
    }
}

/// One page of the list.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GroupList {
    groups: Vec<GroupView>,
    next_cursor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    /// The count stopped at its limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    total_is_at_least: Option<bool>,
}

impl From<Page> for GroupList {
    fn from(page: Page) -> Self {
        Self {
            groups: page.groups,
            next_cursor: page.next.map(|next| next.to_string()),
            total: page.total.map(|(total, _)| total),
            total_is_at_least: page.total.and_then(|(_, at_least)| at_least.then_some(true)),
        }
    }
}
