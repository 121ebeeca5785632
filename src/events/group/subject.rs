//! What the grouping reads of an event (floor 2, pure): the precedence of fingerprint, exception and message, and the key.
//!
//! What must stay true: the key depends on what is read here alone; sources and types never share one; lengths go in before
//! texts, so that no two lists of parts give the same bytes.

use xxhash_rust::xxh3::xxh3_128;

use super::frames::frame_parts;
use super::modes::Mode;
use super::template::{Key, Template};
use super::words::Kind;
use super::{Basis, Explanation, KEYS, MaskedToken, Rules};
use crate::events::model::{ErrorEvent, ErrorType, Exception, Severity};

/// Longest title, in characters.
const MAX_TITLE_CHARS: usize = 200;
/// Where a client's fingerprint takes ours in.
const DEFAULT_PARTS: [&str; 2] = ["{{ default }}", "{{default}}"];

/// What the grouping reads of an event.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'e> {
    /// Which part of a system it comes from.
    pub kind: ErrorType,
    /// The program that reports.
    pub source: Option<&'e str>,
    /// What happened.
    pub message: &'e str,
    /// What was thrown.
    pub thrown: Option<&'e Exception>,
    /// What led to it, the nearest cause first.
    pub causes: &'e [Exception],
    /// The client's own grouping.
    pub fingerprint: &'e [String],
    /// How bad it is.
    pub severity: Severity,
    /// When it happened, milliseconds since the epoch.
    pub timestamp_ms: i64,
    /// When it came, milliseconds since the epoch.
    pub received_ms: i64,
}

/// An event as the rules see it.
pub(super) enum Read<'e> {
    /// Parts that are compared as they are.
    Parts { basis: Basis, parts: Vec<String> },
    /// A text in which words may turn out to be values.
    Template {
        basis: Basis,
        thrown: Option<&'e str>,
        template: Template<'e>,
    },
}

impl<'e> From<&'e ErrorEvent> for Subject<'e> {
    fn from(event: &'e ErrorEvent) -> Self {
        Self {
            kind: event.kind,
            source: event.source.as_deref(),
            message: &event.message,
            thrown: event.extras.exception.as_ref(),
            causes: &event.extras.causes,
            fingerprint: &event.extras.fingerprint,
            severity: event.severity,
            timestamp_ms: event.timestamp_ms,
            received_ms: event.received_ms,
        }
    }
}

impl<'e> Subject<'e> {
    /// The key under the learned grouping.
    pub(super) fn key(&self) -> Key {
        self.read(Mode::Learned).into_key(self)
    }

    /// The key of a source that opted out.
    pub(super) fn key_in(&self, mode: Mode) -> Key {
        self.read(mode).into_key(self)
    }

    pub(super) fn read(&self, mode: Mode) -> Read<'e> {
        if !self.fingerprint.is_empty() {
            return Read::Parts {
                basis: Basis::Fingerprint,
                parts: self.client_parts(mode),
            };
        }
        match mode {
            Mode::Learned => self.read_content(),
            Mode::Exact => Read::Parts {
                basis: Basis::Exact,
                parts: self.exact_parts(),
            },
            Mode::Fingerprint => Read::Parts {
                basis: Basis::Source,
                parts: Vec::new(),
            },
        }
    }

    fn read_content(&self) -> Read<'e> {
        let Some(first) = self.thrown else {
            return self.read_text(Basis::Message, None, self.message);
        };
        let mut parts = Vec::new();
        for exception in std::iter::once(first).chain(self.causes) {
            let frames = frame_parts(&exception.frames);
            if !frames.is_empty() {
                parts.push(exception.kind.clone().unwrap_or_default());
                parts.extend(frames);
            }
        }
        if parts.is_empty() {
            let text = first.value.as_deref().unwrap_or(self.message);
            return self.read_text(Basis::Exception, first.kind.as_deref(), text);
        }
        Read::Parts {
            basis: Basis::Exception,
            parts,
        }
    }

    fn read_text(&self, basis: Basis, thrown: Option<&'e str>, text: &'e str) -> Read<'e> {
        // The rest of the key fits in behind it.
        let mut prefix = Vec::with_capacity(128 + self.source.map_or(0, str::len) + text.len());
        self.begin(basis, &mut prefix);
        append(&mut prefix, thrown.unwrap_or_default());
        Read::Template {
            basis,
            thrown,
            template: Template::new(text, prefix),
        }
    }

    fn exact_parts(&self) -> Vec<String> {
        match self.thrown {
            Some(first) => vec![
                first.kind.clone().unwrap_or_default(),
                first.value.as_deref().unwrap_or(self.message).to_owned(),
            ],
            None => vec![self.message.to_owned()],
        }
    }

    fn client_parts(&self, mode: Mode) -> Vec<String> {
        let mut parts = Vec::with_capacity(self.fingerprint.len());
        for part in self.fingerprint {
            if !DEFAULT_PARTS.contains(&part.as_str()) {
                parts.push(part.clone());
                continue;
            }
            let own = Self {
                fingerprint: &[],
                ..*self
            };
            match own.read(mode) {
                Read::Parts { parts: own, .. } => parts.extend(own),
                Read::Template { thrown, template, .. } => {
                    parts.extend(thrown.map(str::to_owned));
                    parts.push(template.shown());
                }
            }
        }
        parts
    }

    /// What every key begins with.
    fn begin(&self, basis: Basis, out: &mut Vec<u8>) {
        out.extend_from_slice(&[KEYS, self.kind.number(), basis as u8]);
        append(out, self.source.unwrap_or_default());
    }

    /// What a group of this template is called.
    pub(super) fn title_of(&self, template: &Template<'_>) -> String {
        let text = template.shown();
        one_line(&match self.thrown.and_then(|e| e.kind.as_deref()) {
            Some(kind) => format!("{kind}: {text}"),
            None => text,
        })
    }
}

impl Read<'_> {
    pub(super) fn into_key(self, subject: &Subject<'_>) -> Key {
        match self {
            Read::Template { template, .. } => template.into_key(),
            Read::Parts { basis, parts } => {
                let mut bytes = Vec::with_capacity(128);
                subject.begin(basis, &mut bytes);
                for part in parts {
                    append(&mut bytes, &part);
                }
                xxh3_128(&bytes)
            }
        }
    }

    /// What a new group is called.
    pub(super) fn title(&self, subject: &Subject<'_>) -> String {
        match self {
            Read::Template { template, .. } => subject.title_of(template),
            Read::Parts {
                basis: Basis::Exact, ..
            } => one_line(subject.message),
            Read::Parts { .. } => {
                let first = subject.thrown;
                let text = first.and_then(|e| e.value.as_deref()).unwrap_or(subject.message);
                subject.title_of(&Template::new(text, Vec::new()))
            }
        }
    }

    /// What is shown for its template.
    pub(super) fn template(&self, subject: &Subject<'_>) -> String {
        match self {
            Read::Template { template, .. } => template.shown(),
            Read::Parts { .. } => self.title(subject),
        }
    }

    /// The same, as these rules judge it.
    pub(super) fn by(mut self, rules: Rules) -> Self {
        if let Self::Template { template, .. } = &mut self {
            template.judge_by(rules);
        }
        self
    }

    /// The stored explanation of a new group.
    pub(super) fn explanation(&self, subject: &Subject<'_>, rules: Rules) -> String {
        let (basis, parts, masked) = match self {
            Read::Parts { basis, parts } => (*basis, parts.clone(), Vec::new()),
            Read::Template {
                basis,
                thrown,
                template,
            } => {
                let parts = thrown
                    .map(str::to_owned)
                    .into_iter()
                    .chain([template.shown()])
                    .collect();
                (*basis, parts, masked_tokens(template, subject.text()))
            }
        };
        let made = Explanation {
            basis,
            parts,
            version: rules.number(),
            masked,
        };
        // Strings and numbers always serialise.
        serde_json::to_string(&made).unwrap_or_default()
    }
}

impl Subject<'_> {
    fn text(&self) -> &str {
        self.thrown.and_then(|e| e.value.as_deref()).unwrap_or(self.message)
    }
}

/// What was masked, where and as what.
fn masked_tokens(template: &Template<'_>, text: &str) -> Vec<MaskedToken> {
    let base = text.as_ptr() as usize;
    let masks = template.pieces().iter().filter_map(|piece| match piece.kind {
        Kind::Mask(class) => Some((piece, class)),
        _ => None,
    });
    masks
        .take(64)
        .map(|(piece, class)| MaskedToken {
            at: (piece.text.as_ptr() as usize).saturating_sub(base),
            text: piece.text.chars().take(80).collect(),
            class,
        })
        .collect()
}

fn append(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn one_line(text: &str) -> String {
    text.lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(MAX_TITLE_CHARS)
        .collect()
}
