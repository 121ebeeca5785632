//! Any sequence of events and acts leaves what a plain model says, however the events are cut into batches.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Log, NOW};
use crate::events::life::{Act, InRelease};

const RELEASES: [&str; 5] = ["1.0.0", "1.1.0-rc.1", "1.1.0", "v1.2", "2.0.0"];

/// What happens.
#[derive(Debug, Clone)]
enum Step {
    Pass(i64),
    /// So long ago, of which release.
    Event(i64, Option<usize>),
    Resolve(Option<usize>),
    ResolveNow(bool),
    Reopen,
    Mute(Option<i64>, Option<(u32, Option<i64>)>),
}

fn step() -> impl Strategy<Value = Step> {
    let release = proptest::option::of(0..RELEASES.len());
    let more = (1_u32..5, proptest::option::of(1_i64..200));
    prop_oneof![
        3 => (0_i64..100).prop_map(Step::Pass),
        8 => (prop_oneof![3 => Just(0_i64), 1 => 0_i64..150], release.clone()).prop_map(|(ago, r)| Step::Event(ago, r)),
        2 => release.prop_map(Step::Resolve),
        1 => any::<bool>().prop_map(Step::ResolveNow),
        1 => Just(Step::Reopen),
        3 => (proptest::option::of(1_i64..150), proptest::option::of(more)).prop_map(|(until, more)| Step::Mute(until, more)),
    ]
}

/// Keeps everything that happened since the last act, and thinks it through anew each time it is asked.
#[derive(Debug, Default)]
struct Model {
    rule: Option<Rule>,
    began: i64,
    /// Times of happening and of coming, and releases.
    since: Vec<(i64, i64, Option<usize>)>,
    latest: Option<usize>,
    regressed: bool,
    count: usize,
}

#[derive(Debug, Clone, PartialEq)]
enum Rule {
    Resolved {
        least: Option<usize>,
    },
    Muted {
        until: Option<i64>,
        more: Option<(u32, Option<i64>)>,
    },
}

impl Model {
    fn status(&self, now: i64) -> &'static str {
        match &self.rule {
            None => "unresolved",
            Some(Rule::Resolved { .. }) => "resolved",
            Some(Rule::Muted { until, .. }) if until.is_some_and(|until| until <= now) => "unresolved",
            Some(Rule::Muted { .. }) => "muted",
        }
    }

    fn event(&mut self, happened: i64, came: i64, release: Option<usize>) {
        self.count += 1;
        self.latest = self.latest.max(release);
        self.since.push((happened, came, release));
        let counted: Vec<_> = self
            .since
            .iter()
            .filter(|(happened, ..)| *happened >= self.began)
            .collect();
        let over = match &self.rule {
            None => false,
            Some(Rule::Resolved { least }) => {
                let back = counted
                    .iter()
                    .any(|(.., release)| least.is_none() || release.is_some_and(|r| Some(r) >= *least));
                self.regressed = back;
                back
            }
            Some(Rule::Muted { until, more }) => {
                let enough = |(wanted, span): &(u32, Option<i64>)| {
                    let wanted = *wanted as usize;
                    counted
                        .windows(wanted)
                        .any(|w| span.is_none_or(|span| w[wanted - 1].1 - w[0].1 <= span))
                };
                until.is_some_and(|until| came >= until) || more.as_ref().is_some_and(enough)
            }
        };
        if over {
            self.rule = None;
        }
    }

    fn act(&mut self, now: i64, rule: Option<Rule>) {
        if self.status(now) == "unresolved" && self.rule.is_some() {
            self.rule = None;
        }
        if self.rule != rule {
            (self.rule, self.began, self.regressed) = (rule, now, false);
            self.since.clear();
        }
    }
}

fn event(now: i64, ago: i64, release: Option<usize>) -> Value {
    let time = crate::clock::rfc3339_ms(crate::clock::from_epoch_ms(now - ago));
    let mut event = json!({ "message": "a", "timestamp": time });
    if let Some(release) = release {
        event["release"] = json!(RELEASES[release]);
    }
    event
}

proptest! {
    #[test]
    fn the_life_of_a_group_is_that_of_the_model(
        steps in proptest::collection::vec(step(), 1..60),
        most in 1_usize..6,
    ) {
        let (log, mut model) = (Log::new(), Model::default());
        let mut batch = vec![event(NOW, 0, None)];
        model.event(NOW, NOW, None);
        let group = log.store(&batch)[0];
        batch.clear();
        for step in steps {
            let now = log.now.get();
            if batch.len() == most || !matches!(step, Step::Event(..)) {
                log.store(&batch);
                batch.clear();
            }
            let rule_act = match step {
                Step::Pass(ms) => {
                    log.pass(ms);
                    None
                }
                Step::Event(ago, release) => {
                    batch.push(event(now, ago, release));
                    model.event(now - ago, now, release);
                    None
                }
                Step::Resolve(release) => {
                    let named = release.map(|release| InRelease::Named(RELEASES[release].to_owned()));
                    Some((Some(Rule::Resolved { least: release }), Act::Resolve(named)))
                }
                Step::ResolveNow(next) => model.latest.map(|latest| {
                    let least = Some(latest + usize::from(next));
                    let release = if next { InRelease::Next } else { InRelease::Current };
                    (Some(Rule::Resolved { least }), Act::Resolve(Some(release)))
                }),
                Step::Reopen => Some((None, Act::Reopen)),
                Step::Mute(span, more) => {
                    let until_ms = span.map(|span| now + span);
                    Some((Some(Rule::Muted { until: until_ms, more }), Act::Mute { until_ms, more }))
                }
            };
            if let Some((rule, act)) = rule_act {
                model.act(now, rule);
                log.act(group, act);
            }
            if batch.is_empty() {
                let (shown, now) = (log.shown(group), log.now.get());
                prop_assert_eq!(shown["status"].as_str(), Some(model.status(now)));
                prop_assert_eq!(&shown["regressed"], model.regressed && model.rule.is_none());
                prop_assert_eq!(&shown["count"], model.count);
            }
        }
    }
}
