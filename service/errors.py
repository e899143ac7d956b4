"""The errors a caller can meet, as one tree; each class is one condition.

CarryoverError
├── InvalidRequest          the request itself is wrong
│   ├── InvalidJson
│   ├── UnknownField
│   ├── BodyTooLarge
│   ├── TooManyRows
│   ├── SequenceTooLong
│   ├── TooManyEvents
│   ├── RequestTooLarge
│   ├── EmptySequence
│   ├── UnknownEvent
│   ├── InvalidEvent
│   ├── NonFiniteInput
│   ├── InvalidMemory
│   ├── TokenInvalid
│   ├── TokenForeign
│   ├── PlainMemoryRefused
│   ├── UnknownLabel
│   ├── MalformedRequest
│   ├── AnswerTooLarge
│   ├── CannotForecast
│   ├── IdempotencyMismatch
│   ├── SequenceNotStarted
│   └── ModelNotLoaded
├── Unauthorized            the API key is missing, unknown or expired
├── Forbidden               another scope of the key, or a page of another site
├── NotFound
│   ├── ModelNotFound
│   ├── VersionNotFound
│   ├── ReportNotFound
│   └── SessionNotFound
├── MethodNotAllowed        the address takes other methods
├── NotServed               a call of a protocol that this service leaves out
├── Gone                    it was here, and is no more
│   ├── SessionGone
│   └── TokenExpired
├── Conflict                the request does not fit the present memory
│   ├── StepConflict
│   ├── SessionLive
│   ├── WrongNetwork
│   ├── SnapshotUnavailable
│   ├── TokenReplayed
│   ├── SessionContended
│   ├── RequestInProgress
│   └── EarlierRowFailed
├── PreconditionFailed      the session is in another state than the request is for
├── PreconditionRequired    the request does not say which state it is for
├── NonFiniteResult         the network's answer is not a number; nothing was stored
├── CorruptRecord           stored memory fails its checksum; it is never served
├── RateLimited             the tenant has sent too many requests
│   └── TooManyAtOnce
├── Overloaded              more rows are waiting than the service takes
├── DeadlineExceeded        the row took too long; its memory is as it was
├── StoreFull               the store takes no new sessions; nothing was evicted
└── StoreUnavailable        the store cannot be read or written now

It does not know HTTP: `service.api.problems` maps each class to its status.
"""

from __future__ import annotations

from typing import ClassVar


class CarryoverError(Exception):
    """Anything the service refuses or fails to do, with a sentence for the caller.

    Args:
        detail: What was received, what was expected and how to fix it.
        **members: Facts a program can act on (`step`, `expected`, ...); they become
            members of the problem document.
    """

    code: ClassVar[str] = "internal"

    def __init__(self, detail: str, **members: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.members = members


class InvalidRequest(CarryoverError):
    """The request does not have the form this call takes."""

    code = "invalid_request"


class InvalidJson(InvalidRequest):
    """The body is not JSON."""

    code = "invalid_json"


class UnknownField(InvalidRequest):
    """The body or a row has a field this call does not know."""

    code = "unknown_field"


class BodyTooLarge(InvalidRequest):
    """The body is longer than the service accepts."""

    code = "body_too_large"


class TooManyRows(InvalidRequest):
    """The request holds more rows than the service accepts."""

    code = "too_many_rows"


class SequenceTooLong(InvalidRequest):
    """A row holds more events than the service accepts in one request."""

    code = "sequence_too_long"


class TooManyEvents(InvalidRequest):
    """The rows together hold more events than this call accepts."""

    code = "too_many_events"


class RequestTooLarge(InvalidRequest):
    """The request could never be computed in time, even alone."""

    code = "request_too_large"


class EmptySequence(InvalidRequest):
    """A row holds no event."""

    code = "empty_sequence"


class UnknownEvent(InvalidRequest):
    """An event's name is not in the model's vocabulary."""

    code = "unknown_event"


class InvalidEvent(InvalidRequest):
    """An event does not have the fields or types of the model's input."""

    code = "invalid_event"


class NonFiniteInput(InvalidRequest):
    """A number in an event is NaN or infinite."""

    code = "non_finite_input"


class TokenInvalid(InvalidRequest):
    """A memory token is not one this service sealed for this caller."""

    code = "token_invalid"


class TokenForeign(InvalidRequest):
    """The memory token is genuine, but of another of the caller's models."""

    code = "token_foreign"


class InvalidMemory(InvalidRequest):
    """A memory sent in the open has other tensors, shapes or numbers than expected."""

    code = "invalid_memory"


class PlainMemoryRefused(InvalidRequest):
    """The service does not show, or does not accept, client-held memory in the open."""

    code = "plain_memory_refused"


class UnknownLabel(InvalidRequest):
    """The model has no such version label."""

    code = "unknown_label"


class MalformedRequest(InvalidRequest):
    """Nothing under /v1 has this address."""

    code = "malformed_request"


class AnswerTooLarge(InvalidRequest):
    """A row has an idempotency key, and its answer is too large to be kept."""

    code = "answer_too_large"


class CannotForecast(InvalidRequest):
    """The model's output is not an event it could take next."""

    code = "cannot_forecast"


class IdempotencyMismatch(InvalidRequest):
    """The idempotency key was used for another request to the session."""

    code = "idempotency_mismatch"


class SequenceNotStarted(InvalidRequest):
    """An infer request continues a sequence that is not live."""

    code = "sequence_not_started"


class ModelNotLoaded(InvalidRequest):
    """A model's folder is damaged or unreadable, or its choice cannot be stored."""

    code = "model_not_loaded"


class Unauthorized(CarryoverError):
    """The request has no API key, or one that is unknown or has expired."""

    code = "unauthorized"


class Forbidden(CarryoverError):
    """The API key, or the page that a browser sends it from, allows no such call."""

    code = "forbidden"


class NotFound(CarryoverError):
    """Nothing is at this address."""

    code = "not_found"


class ModelNotFound(NotFound):
    """No model of this name is loaded."""

    code = "model_not_found"


class VersionNotFound(NotFound):
    """The model is loaded, but not in this version."""

    code = "version_not_found"


class ReportNotFound(NotFound):
    """The version has no training report."""

    code = "report_not_found"


class SessionNotFound(NotFound):
    """No session of this id is known; it may have been forgotten."""

    code = "session_not_found"


class MethodNotAllowed(CarryoverError):
    """The address exists, but does not take this method."""

    code = "method_not_allowed"


class NotServed(CarryoverError):
    """A call of a protocol that is otherwise spoken here."""

    code = "not_served"


class Gone(CarryoverError):
    """It was here, and is no more."""

    code = "gone"


class SessionGone(Gone):
    """The session expired, was ended or was deleted."""

    code = "session_gone"


class TokenExpired(Gone):
    """The memory token is past its expiry."""

    code = "token_expired"


class Conflict(CarryoverError):
    """The request does not fit the present memory."""

    code = "conflict"


class StepConflict(Conflict):
    """The session is at another step than the row's `at`."""

    code = "step_conflict"


class SessionLive(Conflict):
    """The row says `start`, but the session is live."""

    code = "session_live"


class WrongNetwork(Conflict):
    """The memory was made by other weights than the ones being served."""

    code = "wrong_network"


class SnapshotUnavailable(Conflict):
    """The session keeps no memory of the step it is to be rewound to."""

    code = "snapshot_unavailable"


class TokenReplayed(Conflict):
    """A later token of the same sequence was given out; this one is out of date."""

    code = "token_replayed"


class SessionContended(Conflict):
    """Other requests kept changing the session while this one was computed."""

    code = "session_contended"


class RequestInProgress(Conflict):
    """A request with the same idempotency key is being worked on."""

    code = "request_in_progress"


class EarlierRowFailed(Conflict):
    """An earlier row of the session failed, or an earlier line cannot be read."""

    code = "earlier_row_failed"


class PreconditionFailed(CarryoverError):
    """The session is in another state than the request says it must be in."""

    code = "precondition_failed"


class PreconditionRequired(CarryoverError):
    """The session is live, and the request does not say which state it replaces."""

    code = "precondition_required"


class NonFiniteResult(CarryoverError):
    """The network's outputs or memory are not finite; the step was not taken."""

    code = "non_finite"


class CorruptRecord(CarryoverError):
    """Stored memory fails its checksum or has an unknown format."""

    code = "corrupt_record"


class Overloaded(CarryoverError):
    """The service has no room or time for the request now; nothing was applied."""

    code = "overloaded"


class RateLimited(CarryoverError):
    """The tenant has sent too many requests in a time; nothing was applied."""

    code = "rate_limited"


class TooManyAtOnce(RateLimited):
    """Too many requests of the tenant are under way; nothing was applied."""

    code = "too_many_at_once"


class DeadlineExceeded(CarryoverError):
    """The row was not done within the request's time; its memory is as it was."""

    code = "deadline_exceeded"


class StoreFull(CarryoverError):
    """The store has no room for another session."""

    code = "store_full"


class StoreUnavailable(CarryoverError):
    """The store cannot be read or written now."""

    code = "store_unavailable"
