//! The closed, documented list of problem codes (floor 5).
//!
//! What must stay true: a code, once published, keeps its name, its status and its meaning; the README lists them
//! all (a test compares). Used by everything that answers.

/// The closed, documented list of problem codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// Malformed request: unparsable JSON, a bad header, a bad parameter.
    InvalidRequest,
    /// Well-formed, but members have wrong values.
    ValidationFailed,
    /// No token, or one that isn't known.
    Unauthorized,
    /// A known token without the needed scope.
    Forbidden,
    /// Open local use was refused: forwarding header, foreign Origin or Host.
    ProtectedMode,
    /// No such route.
    RouteNotFound,
    /// No such thing behind a known route.
    NotFound,
    /// The collection doesn't exist.
    CollectionNotFound,
    /// The route exists, the method doesn't.
    MethodNotAllowed,
    /// Exists already, or conflicts with what exists.
    Conflict,
    /// The idempotency key belongs to another request.
    IdempotencyMismatch,
    /// If-Match did not hold.
    PreconditionFailed,
    /// The body is larger than the limit.
    PayloadTooLarge,
    /// The body's media type isn't understood.
    UnsupportedMediaType,
    /// Too many requests.
    RateLimited,
    /// A bug or a panic.
    Internal,
    /// The database is locked or has too much to do.
    DatabaseBusy,
    /// The database can't be used now.
    DatabaseUnavailable,
    /// Changes can't be saved; reading works.
    DatabaseReadOnly,
    /// A data problem was found; the operator was told.
    DatabaseDamaged,
    /// It may or may not have been saved.
    OutcomeUnknown,
    /// The service is shutting down.
    ShuttingDown,
    /// Neither the event database nor the spool could take the event.
    EventsNotAccepted,
    /// The live tail has as many readers as it may have.
    TooManyReaders,
    /// The request's body did not arrive in time.
    RequestTimeout,
    /// The operation was stopped at its deadline.
    Timeout,
}

impl Code {
    /// Every code, for the documentation and its test.
    pub const ALL: [Code; 26] = [
        Code::InvalidRequest,
        Code::ValidationFailed,
        Code::Unauthorized,
        Code::Forbidden,
        Code::ProtectedMode,
        Code::RouteNotFound,
        Code::NotFound,
        Code::CollectionNotFound,
        Code::MethodNotAllowed,
        Code::Conflict,
        Code::IdempotencyMismatch,
        Code::PreconditionFailed,
        Code::PayloadTooLarge,
        Code::UnsupportedMediaType,
        Code::RateLimited,
        Code::Internal,
        Code::DatabaseBusy,
        Code::DatabaseUnavailable,
        Code::DatabaseReadOnly,
        Code::DatabaseDamaged,
        Code::OutcomeUnknown,
        Code::ShuttingDown,
        Code::EventsNotAccepted,
        Code::TooManyReaders,
        Code::Timeout,
        Code::RequestTimeout,
    ];

    /// `(code on the wire, status, title)`.
    pub const fn row(self) -> (&'static str, u16, &'static str) {
        const UNAVAILABLE: &str = "Service temporarily unavailable";
        match self {
            Code::InvalidRequest => ("invalid_request", 400, "The request is malformed"),
            Code::ValidationFailed => ("validation_failed", 422, "The request has invalid values"),
            Code::Unauthorized => ("unauthorized", 401, "A token is needed"),
            Code::Forbidden => ("forbidden", 403, "The token does not allow this"),
            Code::ProtectedMode => ("protected_mode", 403, "Open local use was refused"),
            Code::RouteNotFound => ("route_not_found", 404, "No such route"),
            Code::NotFound => ("not_found", 404, "Not found"),
            Code::CollectionNotFound => ("collection_not_found", 404, "No such collection"),
            Code::MethodNotAllowed => ("method_not_allowed", 405, "Method not allowed"),
            Code::RequestTimeout => ("request_timeout", 408, "The request did not arrive in time"),
            Code::Conflict => ("conflict", 409, "Conflicts with existing data"),
            Code::IdempotencyMismatch => (
                "idempotency_mismatch",
                422,
                "The idempotency key belongs to another request",
            ),
            Code::PreconditionFailed => ("precondition_failed", 412, "The document has changed"),
            Code::PayloadTooLarge => ("payload_too_large", 413, "The body is too large"),
            Code::UnsupportedMediaType => ("unsupported_media_type", 415, "The body's media type is not understood"),
            Code::RateLimited => ("rate_limited", 429, "Too many requests"),
            Code::Internal => ("internal", 500, "Internal error"),
            Code::DatabaseBusy => ("database_busy", 503, UNAVAILABLE),
            Code::DatabaseUnavailable => ("database_unavailable", 503, UNAVAILABLE),
            Code::DatabaseReadOnly => (
                "database_read_only",
                503,
                "Changes cannot be saved now; reading still works",
            ),
            Code::DatabaseDamaged => (
                "database_damaged",
                503,
                "A data problem was detected; the operator was told",
            ),
            Code::OutcomeUnknown => ("outcome_unknown", 503, "It is not known whether the change was saved"),
            Code::ShuttingDown => ("shutting_down", 503, "The service is shutting down"),
            Code::EventsNotAccepted => ("events_not_accepted", 503, "The events could not be stored"),
            Code::TooManyReaders => ("too_many_readers", 429, "Too many readers"),
            Code::Timeout => ("timeout", 504, "The operation took too long"),
        }
    }

    /// What it means for the client and what to do.
    pub const fn meaning(self) -> &'static str {
        match self {
            Code::InvalidRequest => "The request could not be understood; `errors` names the part. Correct it.",
            Code::ValidationFailed => {
                "Members have wrong values; `errors` names each with what is allowed. Correct them."
            }
            Code::Unauthorized => "A token is missing, unknown or expired. Send: Authorization: Bearer TOKEN.",
            Code::Forbidden => {
                "The token lacks the scope or is limited to another collection, or the key of a DSN is not known."
            }
            Code::ProtectedMode => {
                "No token exists yet, so only direct local use is open: no proxy, no other site or name."
            }
            Code::RouteNotFound => "Nothing answers at this path.",
            Code::NotFound => "The path is right, but there is no such thing.",
            Code::CollectionNotFound => "The collection doesn't exist; create it with PUT /api/data/{collection}.",
            Code::RequestTimeout => "The body stalled on its way. Nothing was done; send it again.",
            Code::MethodNotAllowed => "The path answers to other methods; Allow lists them.",
            Code::Conflict => "It exists already, or a rule of the stored data forbids it. Nothing was changed.",
            Code::IdempotencyMismatch => {
                "The key came with another request before; take a new one. Nothing was changed."
            }
            Code::PreconditionFailed => "The document changed since you read it; read it again. Nothing was changed.",
            Code::PayloadTooLarge => "The body or a value is larger than allowed. Nothing was changed.",
            Code::UnsupportedMediaType => "Send a Content-Type or Content-Encoding that the detail names.",
            Code::RateLimited => "Too many tries, or events of one source; come back after Retry-After seconds.",
            Code::Internal => "A bug, or a panic; the log has it under the request id.",
            Code::DatabaseBusy => "Locked, or too much to do. Nothing was done; come back later.",
            Code::DatabaseUnavailable => "The database can't be used now. Nothing was done; service resumes by itself.",
            Code::DatabaseReadOnly => "The disk is full or read-only: reading works, changes are refused.",
            Code::DatabaseDamaged => "The stored data or its file is damaged or gone; the operator has to act.",
            Code::OutcomeUnknown => "The change may or may not have been saved; read before you repeat it.",
            Code::ShuttingDown => "The service is ending. Nothing was done; come back when it runs again.",
            Code::EventsNotAccepted => {
                "Neither the event database nor the spool took the events; send them again later."
            }
            Code::TooManyReaders => {
                "The live tail has all the readers that it may have; come back later, or read the list."
            }
            Code::Timeout => "It ran longer than its deadline and was stopped. Nothing was changed.",
        }
    }
}
