"""Everything that perfkit raises on purpose.

PerfkitError
├── PlanError        what was asked for makes no experiment: nothing was started
├── ServerError      a server did not start, died, hung or could not take its port
├── LoadError        k6 is missing or refused, or its load broke: never a number
├── StoreError       a run folder that can't be read, written or continued
├── NotebookError    a cell of a notebook failed
└── CounterError     a call that a counter did not apply
    ├── NegativeValue
    ├── StrangeKey
    ├── CountOverflow
    ├── CallDropped
    ├── CounterClosed
    ├── StoreFailed  (whether it was applied shows when the store is opened again)
    ├── GarbledRequest
    └── OversizeRequest
"""


class PerfkitError(Exception):
    """The message names the value seen and the next step."""


class PlanError(PerfkitError):
    """What was asked for makes no experiment; nothing was started."""


class ServerError(PerfkitError):
    """A server did not start, died, hung or could not take its port."""


class LoadError(PerfkitError):
    """k6 is missing or refused, or the load broke."""


class StoreError(PerfkitError):
    """A run folder can't be read, written or continued."""


class NotebookError(PerfkitError):
    """A cell of a notebook failed."""


class CounterError(PerfkitError):
    """A call that a counter did not apply; the count is unchanged."""


class NegativeValue(CounterError):
    """Only the wire contract's words are wanted here."""

    def __init__(self) -> None:
        super().__init__("Value cannot be negative")


class StrangeKey(CounterError):
    """A key that no count can have."""


class CountOverflow(CounterError):
    """The count would leave 64 bits."""


class CallDropped(CounterError):
    """The caller was gone, by cancellation or deadline, before the call could be applied."""


class CounterClosed(CounterError):
    """The counter was closed before the call could be applied."""


class StoreFailed(CounterError):
    """A commit failed; whether the call was applied shows only when the store is opened again."""


class GarbledRequest(CounterError):
    """The bytes of a call are no request."""

    def __init__(self) -> None:
        super().__init__("the request is no counter.incrementBy message")


class OversizeRequest(CounterError):
    """A call has more bytes than any request."""
